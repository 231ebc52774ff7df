// The fused executor forward: ranges, weights, chunks, batch norm.
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "instantnet/nn/fused_executor.h"
#include "instantnet/nn/plain_node.h"

namespace instantnet::nn {

namespace {

/// Input and output of a chunk together, so that they stay in a core's second-level cache.
constexpr int64_t kChunkBytes = int64_t{768} << 10;

int64_t divisor_at_most(int64_t count, int64_t most) {
  for (int64_t d = std::min(count, std::max<int64_t>(most, 1)); d > 1; --d)
    if (count % d == 0) return d;
  return 1;
}

std::vector<float> expanded(const at::Tensor& values, int64_t channels) {
  const at::Tensor flat = values.detach().reshape({-1}).contiguous();
  const float* data = flat.data_ptr<float>();
  std::vector<float> all(static_cast<size_t>(channels));
  for (int64_t c = 0; c < channels; ++c)
    all[static_cast<size_t>(c)] = data[flat.numel() == 1 ? 0 : c];
  return all;
}

}  // namespace

ChunkPlan& FusedExecutor::plan_of(int i) {
  ChunkPlan& plan = plans_[{i, batch_}];
  if (plan.convolution) return plan;
  const Value& in = value_at(inputs_[static_cast<size_t>(i)][0]);
  const Value& out = value_at(i);
  const int64_t bytes =
      (in.rows() * in.shape.channels + out.rows() * out.shape.channels) * int64_t{sizeof(float)};
  plan.images = divisor_at_most(batch_, kChunkBytes / bytes);
  plan.chunks = batch_ / plan.images;
  plan.lanes = std::min(plan.chunks, kMostLanes);
  const Node& n = node(i);
  plan.convolution = std::make_unique<FusedConvolution>(
      ConvolutionShape{plan.images, in.shape.channels, in.shape.height, in.shape.width,
                       out.shape.channels, out.shape.height, out.shape.width, n.kernel, n.stride,
                       n.padding, n.dilation, n.op == Op::Conv ? n.groups : 1});
  return plan;
}

const ChannelSums& FusedExecutor::extremes_of(Value& value) {
  if (!value.extremes) {
    const int64_t images = batch_;
    const int64_t lanes = std::min(images, kMostLanes);
    const std::vector<float> zeros(static_cast<size_t>(value.shape.channels), 0.0F);
    value.extremes =
        sums_over_lanes(lanes, value.shape.channels, [&](int64_t lane, ChannelSums& sums) {
          const Span span = lane_span(images, lanes, lane);
          const int64_t size = value.rows() * value.shape.channels;
          observe_rows(floats(value.stored) + span.first * size, zeros.data(),
                       (span.last - span.first) * value.rows(), value.shape.channels, sums);
        });
  }
  return *value.extremes;
}

InputFacts FusedExecutor::facts_of(Value& in, const Layer& layer, BatchFacts needed) {
  InputFacts facts;
  const int64_t channels = in.shape.channels;
  if (needed == BatchFacts::MeanSquare) {
    double squares = 0;
    for (int64_t n = 0; n < batch_; ++n) {
      RowFacts rows{kInfinity, -kInfinity, 0};
      facts_of_rows(floats(in.stored) + n * in.rows() * channels, in.rows(), channels, &in.affine,
                    rows);
      squares += rows.squares;
    }
    facts.mean_square =
        at::full({1}, squares / static_cast<double>(batch_ * in.rows() * channels), at::kFloat);
  }
  if (needed == BatchFacts::Extremes) {
    const ChannelSums& sums =
        in.pending && !in.observed.least.empty() ? in.observed : extremes_of(in);
    at::Tensor low = at::empty({channels}, at::kFloat), high = at::empty({channels}, at::kFloat);
    for (int64_t c = 0; c < channels; ++c) {
      const auto at = static_cast<size_t>(c);
      const auto y = [&](float x) {
        return std::clamp(x * in.scale[at] + in.shift[at], in.affine.least, in.affine.most);
      };
      const float a = y(sums.least[at]), b = y(sums.most[at]);
      floats(low)[c] = std::min(a, b);
      floats(high)[c] = std::max(a, b);
    }
    facts.low = layer.per_channel_range ? low : low.min().reshape({1});
    facts.high = layer.per_channel_range ? high : high.max().reshape({1});
  }
  return facts;
}

void FusedExecutor::prepare_grid(LayerRun& run, Layer& layer, Value& in) {
  run.has_grid = run.precision.activation < 32;
  if (!run.has_grid) return;
  const int bits = run.precision.activation;
  const quant::Grid grid = input_grid(
      model_, layer, bits, mode_, facts_of(in, layer, needed_facts(model_, layer, bits, mode_)));
  const int64_t channels = in.shape.channels;
  run.grid_step = expanded(grid.step, channels);
  run.grid.offset = grid.zero.defined();
  if (run.grid.offset) {
    run.grid_low = expanded(grid.low, channels);
    run.grid_division = expanded(grid.division, channels);
    run.grid_zero = expanded(grid.zero, channels);
  } else {
    run.grid_inverse = expanded(grid.inverse, channels);
  }
  run.grid.low = run.grid_low.data();
  run.grid.division = run.grid_division.data();
  run.grid.inverse = run.grid_inverse.data();
  run.grid.step = run.grid_step.data();
  run.grid.zero = run.grid_zero.data();
  run.grid.least = static_cast<float>(grid.least);
  run.grid.most = static_cast<float>(grid.most);
  run.grid.mask_gradient = grid.mask_gradient;
}

void FusedExecutor::prepare_weight(LayerRun& run, Layer& layer) {
  run.graph_weight = at::Tensor();
  run.weight = layer.weight.detach();
  if (run.precision.weight < 32) {
    const int master = model_.master_bits(layer);
    const quant::Quantizer& quantizer = model_.quantizer();
    if (quantizer.straight_through() || mode_ != Mode::Train) {
      run.weight =
          quantizer.weight(layer.weight.detach(), run.precision.weight, master, layer.weight_state)
              .detach();
    } else {
      const at::AutoGradMode track(true);
      run.graph_weight =
          quantizer.weight(layer.weight, run.precision.weight, master, layer.weight_state);
      run.weight = run.graph_weight.detach();
    }
  }
  if (run.weight.dim() == 4)
    run.weight = run.weight.permute({0, 2, 3, 1}).contiguous().permute({0, 3, 1, 2});
  else
    run.weight = run.weight.contiguous();
}

bool FusedExecutor::needs_prologue(const LayerRun& run, const Value& in) const {
  return run.has_grid || in.pending;
}

const float* FusedExecutor::input_chunk(const LayerRun& run, const Value& in, int64_t chunk,
                                        int64_t images, std::vector<float>& scratch) const {
  const int64_t rows = images * in.rows(), size = rows * in.shape.channels;
  const float* stored = floats(in.stored) + chunk * size;
  if (!needs_prologue(run, in)) return stored;
  apply_rows(stored, aligned(scratch, size), rows, in.shape.channels, in.affine,
             run.has_grid ? &run.grid : nullptr);
  return aligned(scratch, size);
}

void FusedExecutor::forward_layer(int i, Precision asked) {
  LayerRun& run = runs_.at(i);
  Layer& layer = layer_of(run);
  Value& in = value_at(inputs_[static_cast<size_t>(i)][0]);
  Value& out = value_at(i);
  run.precision = model_.effective(layer, asked);
  run.norm = layer.norms.empty() ? -1 : model_.norm_index(layer, asked);
  prepare_grid(run, layer, in);
  prepare_weight(run, layer);
  ChunkPlan& plan = plan_of(i);
  float* packed = aligned(packed_, plan.convolution->forward_weight_floats());
  plan.convolution->pack_forward(floats(run.weight), packed);
  renew(out);
  const bool observe = run.norm >= 0 && mode_ != Mode::Eval;
  if (run.norm >= 0) run.pivot = floats(layer.norms[static_cast<size_t>(run.norm)].mean);
  const int64_t out_rows = plan.images * out.rows();
  out.observed =
      sums_over_lanes(plan.lanes, out.shape.channels, [&](int64_t lane, ChannelSums& sums) {
        thread_local std::vector<float> scratch;
        const Span span = lane_span(plan.chunks, plan.lanes, lane);
        for (int64_t chunk = span.first; chunk < span.last; ++chunk) {
          float* raw = floats(out.stored) + chunk * out_rows * out.shape.channels;
          plan.convolution->forward(input_chunk(run, in, chunk, plan.images, scratch), packed, raw);
          if (observe) observe_rows(raw, run.pivot, out_rows, out.shape.channels, sums);
        }
      });
  if (!observe) out.observed = {};
  finish_affine(i, run, layer, out);
  if (!out.pending) materialise(run, out);
}

void FusedExecutor::finish_affine(int i, LayerRun& run, const Layer& layer, Value& out) {
  const auto channels = static_cast<size_t>(out.shape.channels);
  run.scale.assign(channels, 1.0F);
  run.shift.assign(channels, 0.0F);
  if (run.norm >= 0) {
    batch_statistics(run, layer, out);
    const Norm& norm = layer.norms[static_cast<size_t>(run.norm)];
    for (size_t c = 0; c < channels; ++c) {
      const double scale = static_cast<double>(floats(norm.scale)[c]) * run.inverse_deviation[c];
      run.scale[c] = static_cast<float>(scale);
      run.shift[c] = static_cast<float>(static_cast<double>(floats(norm.shift)[c]) -
                                        static_cast<double>(run.batch_mean[c]) * scale);
    }
  } else if (layer.bias.defined()) {
    for (size_t c = 0; c < channels; ++c) run.shift[c] = floats(layer.bias)[c];
  }
  run.affine = {run.scale.data(), run.shift.data(), least_of(node(i).activation),
                most_of(node(i).activation)};
  run.is_identity = run.norm < 0 && !layer.bias.defined() && node(i).activation == Activation::None;
  if (!out.pending) return;
  out.scale = run.scale;
  out.shift = run.shift;
  out.affine = {out.scale.data(), out.shift.data(), run.affine.least, run.affine.most};
}

void FusedExecutor::batch_statistics(LayerRun& run, const Layer& layer, const Value& out) {
  const Norm& norm = layer.norms[static_cast<size_t>(run.norm)];
  const auto channels = static_cast<size_t>(out.shape.channels);
  const double epsilon = model_.options().norm_epsilon;
  run.batch_mean.resize(channels);
  run.inverse_deviation.resize(channels);
  run.fixed_variance.resize(channels);
  const auto count = static_cast<double>(batch_ * out.rows());
  for (size_t c = 0; c < channels; ++c) {
    double mean = static_cast<double>(floats(norm.mean)[c]),
           variance = static_cast<double>(floats(norm.variance)[c]);
    if (mode_ != Mode::Eval) {
      const double shifted = out.observed.sum[c] / count;
      variance = std::max(0.0, out.observed.square[c] / count - shifted * shifted);
      mean += shifted;
      run.fixed_variance[c] =
          static_cast<float>(count > 1 ? variance * count / (count - 1) : variance);
    }
    run.batch_mean[c] = static_cast<float>(mean);
    run.inverse_deviation[c] = 1.0 / std::sqrt(variance + epsilon);
  }
  if (mode_ != Mode::Eval) update_running(run);
}

void FusedExecutor::update_running(LayerRun& run) {
  if (run.norm < 0) return;
  const Norm& norm = layer_of(run).norms[static_cast<size_t>(run.norm)];
  const double share =
      mode_ == Mode::Calibrate ? calibration_momentum_ : model_.options().norm_momentum;
  const auto keep = static_cast<float>(1.0 - share), take = static_cast<float>(share);
  for (size_t c = 0; c < run.batch_mean.size(); ++c) {
    floats(norm.mean)[c] = keep * floats(norm.mean)[c] + take * run.batch_mean[c];
    floats(norm.variance)[c] = keep * floats(norm.variance)[c] + take * run.fixed_variance[c];
  }
  norm.count.add_(1);
}

void FusedExecutor::materialise(LayerRun& run, Value& out) {
  if (run.is_identity) return;
  pool_.give(run.raw);
  run.raw = out.stored;
  out.stored = take_like(out);
  over_images(out, [&](int64_t offset, int64_t rows) {
    apply_rows(floats(run.raw) + offset, floats(out.stored) + offset, rows, out.shape.channels,
               run.affine, nullptr);
  });
}

void FusedExecutor::forward_add(int i) {
  if (const std::vector<float>* gates = gates_.of(static_cast<size_t>(i)))
    return forward_gated_add(i, *gates);
  Value& out = value_at(i);
  renew(out);
  over_images(out, [&](int64_t offset, int64_t rows) {
    std::vector<AddInput> inputs;
    for (const int from : inputs_[static_cast<size_t>(i)]) {
      const Value& in = value_at(from);
      inputs.push_back({floats(in.stored) + offset, in.pending ? in.affine : Affine{}});
    }
    add_rows(inputs, floats(out.stored) + offset, rows, out.shape.channels,
             least_of(node(i).activation), most_of(node(i).activation));
  });
}

void FusedExecutor::forward_gated_add(int i, const std::vector<float>& gates) {
  Value& out = value_at(i);
  renew(out);
  struct Input {
    const float* data;
    std::vector<float> scale, shift;
    float least, most;
  };
  std::vector<Input> inputs;
  for (size_t k = 0; k < gates.size(); ++k) {
    const float gate = gates[k];
    if (!(gate > 0)) continue;
    const Value& in = value_at(inputs_[static_cast<size_t>(i)][k]);
    Input input{floats(in.stored), in.scale, in.shift, gate * in.affine.least,
                gate * in.affine.most};
    for (float& one : input.scale) one *= gate;
    for (float& one : input.shift) one *= gate;
    inputs.push_back(std::move(input));
  }
  over_images(out, [&](int64_t offset, int64_t rows) {
    std::vector<AddInput> parts;
    for (const Input& input : inputs)
      parts.push_back(
          {input.data + offset, {input.scale.data(), input.shift.data(), input.least, input.most}});
    add_rows(parts, floats(out.stored) + offset, rows, out.shape.channels,
             least_of(node(i).activation), most_of(node(i).activation));
  });
}

void FusedExecutor::forward_average(int i) {
  Value& in = value_at(inputs_[static_cast<size_t>(i)][0]);
  Value& out = value_at(i);
  renew(out);
  for (int64_t n = 0; n < batch_; ++n)
    average_rows(floats(in.stored) + n * in.rows() * in.shape.channels,
                 floats(out.stored) + n * out.shape.channels, in.rows(), in.shape.channels,
                 in.affine);
}

void FusedExecutor::forward_shuffle(int i) {
  const Value& in = value_at(inputs_[static_cast<size_t>(i)][0]);
  Value& out = value_at(i);
  renew(out);
  over_images(out, [&](int64_t offset, int64_t rows) {
    shuffle_rows(floats(in.stored) + offset, floats(out.stored) + offset, rows, out.shape.channels,
                 node(i).groups, in.affine);
  });
}

void FusedExecutor::forward_other(int i) {
  Value& in = value_at(inputs_[static_cast<size_t>(i)][0]);
  Value& out = value_at(i);
  const bool train = mode_ == Mode::Train;
  const at::AutoGradMode track(train);
  at::Tensor leaf = in.stored.detach();
  if (train) leaf.requires_grad_();
  const at::Tensor result =
      run_plain_node(node(i), {leaf}, {train, noise_seed_, static_cast<uint64_t>(i)});
  graphs_[i] = train ? std::make_pair(leaf, result) : std::make_pair(at::Tensor(), at::Tensor());
  const at::NoGradGuard no_gradient;
  renew(out);
  out.stored.copy_(result.detach());
}

}  // namespace instantnet::nn
