// The fused executor backward: gradients, a chunk at a time.
#include <torch/torch.h>

#include <algorithm>
#include <set>

#include "instantnet/nn/fused_executor.h"

namespace instantnet::nn {

namespace {

void add_gradient(const at::Tensor& parameter, const at::Tensor& gradient) {
  at::Tensor handle = parameter;
  if (handle.grad().defined()) {
    handle.mutable_grad().add_(gradient);
  } else {
    handle.mutable_grad() = gradient.clone(at::MemoryFormat::Preserve);
  }
}

at::Tensor tensor_of(const std::vector<double>& values) {
  at::Tensor made = at::empty({static_cast<int64_t>(values.size())}, at::kFloat);
  for (size_t i = 0; i < values.size(); ++i)
    made.data_ptr<float>()[i] = static_cast<float>(values[i]);
  return made;
}

}  // namespace

void FusedExecutor::backward_node(int i) {
  Value& out = value_at(i);
  if (!out.has_gradient) return;
  if (is_layer(node(i))) {
    backward_layer(i);
  } else if (node(i).op == Op::Add) {
    backward_add(i);
  } else if (node(i).op == Op::GlobalAvgPool) {
    backward_average(i);
  } else if (node(i).op == Op::ChannelShuffle) {
    backward_shuffle(i);
  } else {
    backward_other(i);
  }
  if (out.varies && !lends_gradient(i)) drop_gradient(out);
}

bool FusedExecutor::lends_gradient(int i) {
  for (const int from : inputs_[static_cast<size_t>(i)])
    if (value_at(from).borrows_gradient && value_at(from).gradient.is_same(value_at(i).gradient))
      return true;
  return false;
}

bool FusedExecutor::open_gradient(Value& in) {
  const bool add = in.has_gradient;
  if (!add) in.gradient = take_like(in);
  in.has_gradient = true;
  return add;
}

const float* FusedExecutor::pivot_of(int i) {
  return runs_.at(i).batch_mean.empty() ? zeros(value_at(i).shape.channels)
                                        : runs_.at(i).batch_mean.data();
}

const float* FusedExecutor::zeros(int64_t count) {
  if (zeros_.size() < static_cast<size_t>(count)) zeros_.assign(static_cast<size_t>(count), 0.0F);
  return zeros_.data();
}

std::optional<NormBackward> FusedExecutor::backward_affine(LayerRun& run, const Layer& layer,
                                                           const Value& out) {
  const ChannelSums& sums = out.gradient_sums;
  if (run.norm < 0) {
    if (layer.bias.defined() && learn_weights_) add_gradient(layer.bias, tensor_of(sums.sum));
    return std::nullopt;
  }
  const Norm& norm = layer.norms[static_cast<size_t>(run.norm)];
  const auto count = static_cast<double>(batch_ * out.rows());
  const size_t channels = sums.sum.size();
  NormBackward back;
  back.a.resize(channels);
  back.b.resize(channels);
  back.c.resize(channels);
  back.mean = run.batch_mean;
  std::vector<double> scale_gradient(channels);
  for (size_t c = 0; c < channels; ++c) {
    const double inverse = run.inverse_deviation[c];
    const double scale = static_cast<double>(floats(norm.scale)[c]) * inverse;
    scale_gradient[c] = sums.square[c] * inverse;
    back.a[c] = static_cast<float>(scale * static_cast<double>(out.gradient_factor));
    back.b[c] = static_cast<float>(-scale * inverse * scale_gradient[c] / count);
    back.c[c] = static_cast<float>(-scale * sums.sum[c] / count);
  }
  if (!learn_weights_) return back;
  add_gradient(norm.scale, tensor_of(scale_gradient));
  add_gradient(norm.shift, tensor_of(sums.sum));
  return back;
}

void FusedExecutor::reduce_materialised(int i, LayerRun& run, Value& out) {
  if (out.pending || run.is_identity) return;
  const int64_t lanes = std::min(batch_, kMostLanes);
  const float* pivot = pivot_of(i);
  out.gradient_sums =
      sums_over_lanes(lanes, out.shape.channels, [&](int64_t lane, ChannelSums& sums) {
        const Span span = lane_span(batch_, lanes, lane);
        const int64_t offset = span.first * out.rows() * out.shape.channels;
        reduce_rows(floats(out.gradient) + offset, floats(run.raw) + offset, pivot,
                    floats(out.gradient) + offset, (span.last - span.first) * out.rows(),
                    out.shape.channels, run.affine, sums);
      });
}

RangeRule FusedExecutor::range_rule(const LayerRun& run, const Layer& layer) {
  if (!run.has_grid || !learned_range(model_, layer, run.precision.activation).defined())
    return RangeRule::None;
  return model_.quantizer().range_gradient() == quant::RangeGradient::Pact ? RangeRule::Pact
                                                                           : RangeRule::Lsq;
}

void FusedExecutor::backward_layer(int i) {
  LayerRun& run = runs_.at(i);
  Layer& layer = layer_of(run);
  const int from = inputs_[static_cast<size_t>(i)][0];
  Value& in = value_at(from);
  Value& out = value_at(i);
  reduce_materialised(i, run, out);
  const std::optional<NormBackward> norm = backward_affine(run, layer, out);
  ChunkPlan& plan = plan_of(i);
  float* packed = nullptr;
  if (in.wants_gradient) {
    packed = aligned(packed_, plan.convolution->backward_weight_floats());
    plan.convolution->pack_backward(floats(run.weight), packed);
  }
  const bool add = in.wants_gradient && open_gradient(in);
  if (results_.size() < static_cast<size_t>(plan.lanes))
    results_.resize(static_cast<size_t>(plan.lanes));
  const std::span<LaneResult> results(results_.data(), static_cast<size_t>(plan.lanes));
  const RangeRule rule =
      in.wants_gradient && learn_weights_ ? range_rule(run, layer) : RangeRule::None;
  const float* pivot = in.pending ? pivot_of(from) : nullptr;
  run_lanes(plan.lanes, threads_, [&](int64_t lane) {
    const Span span = lane_span(plan.chunks, plan.lanes, lane);
    LaneResult& result = results[static_cast<size_t>(lane)];
    result.sums.reset(in.shape.channels);
    result.range = 0;
    for (int64_t chunk = span.first; chunk < span.last; ++chunk)
      backward_chunk(run, plan, in, out, norm ? &*norm : nullptr, packed, chunk, rule, pivot, add,
                     chunk == span.first, result);
  });
  collect(run, layer, plan, in, rule, results);
}

void FusedExecutor::backward_chunk(const LayerRun& run, const ChunkPlan& plan, const Value& in,
                                   const Value& out, const NormBackward* norm, const float* packed,
                                   int64_t chunk, RangeRule rule, const float* pivot, bool add,
                                   bool first, LaneResult& result) const {
  thread_local std::vector<float> out_room, in_room, gradient_room, weight_room;
  const int64_t out_rows = plan.images * out.rows(), out_size = out_rows * out.shape.channels;
  const int64_t in_rows = plan.images * in.rows(), in_size = in_rows * in.shape.channels;
  const float* gradient = floats(out.gradient) + chunk * out_size;
  if (norm) {
    const float* raw = floats(run.raw.defined() ? run.raw : out.stored) + chunk * out_size;
    norm_backward_rows(gradient, raw, aligned(out_room, out_size), out_rows, out.shape.channels,
                       *norm);
    gradient = aligned(out_room, out_size);
  }
  const FusedConvolution& convolution = *plan.convolution;
  if (learn_weights_) {
    const float* input = input_chunk(run, in, chunk, plan.images, in_room);
    const int64_t weights = convolution.gradient_floats();
    if (first) {
      convolution.backward_weight(input, gradient, aligned(result.weight, weights));
    } else {
      convolution.backward_weight(input, gradient, aligned(weight_room, weights));
      add_into(aligned(result.weight, weights), aligned(weight_room, weights), weights);
    }
  }
  if (!in.wants_gradient) return;
  float* input_gradient = aligned(gradient_room, in_size);
  convolution.backward_data(gradient, packed, input_gradient);
  const BackwardRows what{floats(in.stored) + chunk * in_size, input_gradient,
                          floats(in.gradient) + chunk * in_size, add, pivot};
  backward_rows(what, in_rows, in.shape.channels, in.affine, run.has_grid ? &run.grid : nullptr,
                rule, &result.range, in.pending ? &result.sums : nullptr);
}

void FusedExecutor::collect_weights(LayerRun& run, Layer& layer, const ChunkPlan& plan,
                                    std::span<LaneResult> results) {
  const int64_t weights = plan.convolution->gradient_floats();
  float* total = aligned(results[0].weight, weights);
  for (size_t lane = 1; lane < results.size(); ++lane)
    add_into(total, aligned(results[lane].weight, weights), weights);
  at::Tensor gradient = at::empty_like(run.weight);
  plan.convolution->unpack_gradient(total, floats(gradient));
  if (run.graph_weight.defined()) {
    run.graph_weight.backward(gradient);
  } else {
    add_gradient(layer.weight, gradient);
  }
}

void FusedExecutor::collect(LayerRun& run, Layer& layer, const ChunkPlan& plan, Value& in,
                            RangeRule rule, std::span<LaneResult> results) {
  for (size_t lane = 1; lane < results.size(); ++lane) {
    results[0].sums.add(results[lane].sums);
    results[0].range += results[lane].range;
  }
  if (learn_weights_) collect_weights(run, layer, plan, results);
  if (in.pending) in.gradient_sums = std::move(results[0].sums);
  if (rule != RangeRule::None) {
    const int bits = run.precision.activation;
    const double scale =
        quant::range_gradient_scale(layer.input_features, bits, layer.signed_input);
    add_gradient(learned_range(model_, layer, bits),
                 at::full({1}, results[0].range * scale, at::kFloat));
  }
}

bool FusedExecutor::may_borrow(int add, int from) {
  const Value& in = value_at(from);
  if (in.has_gradient || !in.varies) return false;
  for (const int other : inputs_[static_cast<size_t>(add)])
    if (other != from && value_at(other).borrows_gradient) return false;
  return true;
}

void FusedExecutor::backward_add(int i) {
  Value& out = value_at(i);
  if (node(i).activation != Activation::None)
    over_images(out, [&](int64_t offset, int64_t rows) {
      mask_rows(floats(out.gradient) + offset, floats(out.stored) + offset, rows,
                out.shape.channels, least_of(node(i).activation), most_of(node(i).activation));
    });
  if (const std::vector<float>* gates = gates_.of(static_cast<size_t>(i)))
    return backward_gated_add(i, *gates);
  const std::vector<int>& inputs = inputs_[static_cast<size_t>(i)];
  const bool twice = std::set<int>(inputs.begin(), inputs.end()).size() != inputs.size();
  for (const int from : inputs) {
    Value& in = value_at(from);
    if (!in.wants_gradient) continue;
    if (in.pending) {
      backward_add_pending(from, in, out);
    } else if (!twice && may_borrow(i, from)) {
      in.gradient = out.gradient;
      in.has_gradient = in.borrows_gradient = true;
    } else {
      const bool add = open_gradient(in);
      over_images(in, [&](int64_t offset, int64_t rows) {
        const int64_t size = rows * in.shape.channels;
        if (add)
          add_into(floats(in.gradient) + offset, floats(out.gradient) + offset, size);
        else
          std::copy_n(floats(out.gradient) + offset, size, floats(in.gradient) + offset);
      });
    }
  }
}

void FusedExecutor::sum_pending(int from, Value& in, const Value& out, bool adds) {
  const int64_t lanes = std::min(batch_, kMostLanes);
  const float* pivot = pivot_of(from);
  in.gradient_sums =
      sums_over_lanes(lanes, in.shape.channels, [&](int64_t lane, ChannelSums& sums) {
        const Span span = lane_span(batch_, lanes, lane);
        const int64_t offset = span.first * in.rows() * in.shape.channels;
        reduce_rows(floats(out.gradient) + offset, floats(in.stored) + offset, pivot,
                    adds ? floats(in.gradient) + offset : nullptr,
                    (span.last - span.first) * in.rows(), in.shape.channels, in.affine, sums);
      });
}

void FusedExecutor::backward_add_pending(int from, Value& in, const Value& out) {
  open_gradient(in);
  sum_pending(from, in, out, /*adds=*/true);
}

void FusedExecutor::backward_gated_add(int i, const std::vector<float>& gates) {
  const Value& out = value_at(i);
  for (size_t k = 0; k < gates.size(); ++k) {
    if (!(gates[k] > 0)) continue;
    const int from = inputs_[static_cast<size_t>(i)][k];
    Value& in = value_at(from);
    if (!in.wants_gradient) continue;
    gates_.add_gradient(static_cast<size_t>(i), k,
                        in.pending ? backward_gated_pending(from, in, out, gates[k])
                                   : backward_gated_value(in, out, gates[k]));
  }
}

double FusedExecutor::backward_gated_pending(int from, Value& in, const Value& out, float gate) {
  const bool clamps = in.affine.least > -kInfinity || in.affine.most < kInfinity;
  const bool shares = !clamps && runs_.at(from).norm >= 0;
  if (shares) {
    in.gradient = out.gradient;
    in.has_gradient = in.borrows_gradient = true;
  } else {
    open_gradient(in);
  }
  sum_pending(from, in, out, /*adds=*/!shares);
  const float* pivot = pivot_of(from);
  // <g, y> of y = scale * x + shift, where it is not clamped.
  double dot = 0;
  for (size_t c = 0; c < in.gradient_sums.sum.size(); ++c) {
    const auto scale = static_cast<double>(in.scale[c]), shift = static_cast<double>(in.shift[c]);
    double& sum = in.gradient_sums.sum[c];
    double& square = in.gradient_sums.square[c];
    dot += scale * square + (scale * static_cast<double>(pivot[c]) + shift) * sum;
    sum *= static_cast<double>(gate);
    square *= static_cast<double>(gate);
  }
  in.gradient_factor = gate;
  if (runs_.at(from).norm >= 0) return dot;
  in.gradient.mul_(gate);
  in.gradient_factor = 1;
  return dot;
}

double FusedExecutor::backward_gated_value(Value& in, const Value& out, float gate) {
  const bool add = open_gradient(in);
  const int64_t lanes = std::min(batch_, kMostLanes);
  std::vector<double> dots(static_cast<size_t>(lanes));
  run_lanes(lanes, threads_, [&](int64_t lane) {
    const Span span = lane_span(batch_, lanes, lane);
    const int64_t size = in.rows() * in.shape.channels, offset = span.first * size;
    dots[static_cast<size_t>(lane)] =
        scaled_into(floats(in.gradient) + offset, floats(out.gradient) + offset, gate, add,
                    floats(in.stored) + offset, (span.last - span.first) * size);
  });
  double dot = 0;
  for (const double one : dots) dot += one;
  return dot;
}

void FusedExecutor::backward_average(int i) {
  const int from = inputs_[static_cast<size_t>(i)][0];
  Value& in = value_at(from);
  const Value& out = value_at(i);
  if (!in.wants_gradient) return;
  const bool add = open_gradient(in);
  const int64_t size = in.rows() * in.shape.channels;
  const int64_t lanes = std::min(batch_, kMostLanes);
  const float* pivot = in.pending ? pivot_of(from) : zeros(in.shape.channels);
  in.gradient_sums =
      sums_over_lanes(lanes, in.shape.channels, [&](int64_t lane, ChannelSums& sums) {
        const Span span = lane_span(batch_, lanes, lane);
        for (int64_t n = span.first; n < span.last; ++n) {
          float* target = floats(in.gradient) + n * size;
          const float* stored = floats(in.stored) + n * size;
          spread_rows(floats(out.gradient) + n * in.shape.channels, stored, target, add, in.rows(),
                      in.shape.channels, in.affine);
          if (in.pending)
            reduce_rows(target, stored, pivot, nullptr, in.rows(), in.shape.channels, in.affine,
                        sums);
        }
      });
}

void FusedExecutor::backward_shuffle(int i) {
  const int from = inputs_[static_cast<size_t>(i)][0];
  Value& in = value_at(from);
  const Value& out = value_at(i);
  if (!in.wants_gradient) return;
  const bool add = open_gradient(in);
  const int64_t lanes = std::min(batch_, kMostLanes), channels = in.shape.channels;
  const float* pivot = in.pending ? pivot_of(from) : nullptr;
  in.gradient_sums = sums_over_lanes(lanes, channels, [&](int64_t lane, ChannelSums& sums) {
    const Span span = lane_span(batch_, lanes, lane);
    const int64_t rows = (span.last - span.first) * in.rows();
    const int64_t offset = span.first * in.rows() * channels;
    float* target = floats(in.gradient) + offset;
    unshuffle_rows(floats(out.gradient) + offset, target, add, rows, channels, node(i).groups);
    if (in.pending)
      reduce_rows(target, floats(in.stored) + offset, pivot, target, rows, channels, in.affine,
                  sums);
  });
}

void FusedExecutor::backward_other(int i) {
  Value& in = value_at(inputs_[static_cast<size_t>(i)][0]);
  Value& out = value_at(i);
  if (!in.wants_gradient) return;
  const auto [leaf, result] = graphs_.at(i);
  const at::Tensor gradient = torch::autograd::grad({result}, {leaf}, {out.gradient})[0];
  const bool add = open_gradient(in);
  if (add)
    in.gradient.add_(gradient);
  else
    in.gradient.copy_(gradient);
}

}  // namespace instantnet::nn
