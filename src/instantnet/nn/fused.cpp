// The fused executor: a SwitchableModel on the CPU, in NHWC, chunk by chunk so that what one pass
// writes the next reads from the cache.
//
// Only raw convolution outputs (before batch norm) and the results of additions and pools are kept.
// Between them, one chunk at a time: batch norm, activation and quantization of the input, the
// convolution, and the sums that the output's batch norm and the next layer's range need. The
// backward pass recomputes the quantized input from the raw output before it, and carries batch
// norm's gradient as two sums a channel into the layer before. The formulas are batch norm's (Ioffe
// and Szegedy, 2015):
//   x^ = (z - mean) / sqrt(var + eps),  y = gamma x^ + beta
//   dz = gamma / sqrt(var + eps) (dy - mean(dy) - x^ mean(dy x^)),  dgamma = sum dy x^,  dbeta =
//   sum dy
#include <sys/mman.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <new>
#include <optional>
#include <set>
#include <span>

#include "instantnet/core/error.h"
#include "instantnet/nn/executor.h"
#include "instantnet/nn/fused_convolution.h"
#include "instantnet/nn/fused_kernels.h"
#include "instantnet/nn/lanes.h"
#include "instantnet/nn/plain_node.h"
#include "instantnet/nn/ranges.h"

namespace instantnet::nn {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Input and output of a chunk together, so that they stay in a core's second-level cache.
constexpr int64_t kChunkBytes = int64_t{768} << 10;

float least_of(Activation activation) { return activation == Activation::None ? -kInfinity : 0.0F; }
float most_of(Activation activation) { return activation == Activation::Relu6 ? 6.0F : kInfinity; }

/// Memory for floats on large pages where the system has them: a minibatch's tensors are read once
/// from end to end, and small pages cost a translation each.
at::Tensor large_page_floats(int64_t count) {
  constexpr size_t kPage = size_t{2} << 20;
  const size_t bytes = (static_cast<size_t>(count) * sizeof(float) + kPage - 1) / kPage * kPage;
  if (bytes < 2 * kPage) return at::empty({count}, at::kFloat);
  void* memory = std::aligned_alloc(kPage, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: nothing depends on it
  return at::from_blob(
      memory, {count}, [](void* address) { std::free(address); }, at::TensorOptions(at::kFloat));
}

/// Tensors that come and go in every pass, kept for reuse instead of given back to the system.
class Pool {
 public:
  at::Tensor take(const std::vector<int64_t>& shape) {
    int64_t floats = 1;
    for (const int64_t size : shape) floats *= size;
    const auto found = free_.lower_bound(floats);
    at::Tensor flat;
    if (found != free_.end() && found->first <= floats + floats / 2) {
      flat = std::move(found->second);
      free_.erase(found);
    } else {
      flat = large_page_floats(floats);
    }
    const at::Tensor front = flat.narrow(0, 0, floats);
    at::Tensor shaped =
        shape.size() == 4
            ? front.view({shape[0], shape[2], shape[3], shape[1]}).permute({0, 3, 1, 2})
            : front.view(shape);
    taken_[shaped.data_ptr()] = flat;
    return shaped;
  }

  /// Gives a tensor back; ignored for tensors that did not come from here.
  void give(at::Tensor& tensor) {
    if (!tensor.defined()) return;
    const auto found = taken_.find(tensor.data_ptr());
    if (found != taken_.end()) {
      free_.emplace(found->second.numel(), std::move(found->second));
      taken_.erase(found);
    }
    tensor = at::Tensor();
  }

 private:
  std::multimap<int64_t, at::Tensor> free_;
  std::map<void*, at::Tensor> taken_;
};

/// What a node computes, while a minibatch is worked on.
struct Value {
  TensorShape shape;
  std::vector<int> consumers;  // node indices
  bool varies = false;         // depends on the bit-width
  bool pending = false;        // kept raw; its only consumer applies `affine`
  bool wants_gradient = true;  // false for the image
  at::Tensor stored;           // raw when pending, else the activation; (n, c, h, w) NHWC or (n, c)
  std::vector<float> scale, shift;  // of `affine`
  Affine affine;         // y = clamp(stored * scale + shift) when pending, the identity otherwise
  ChannelSums observed;  // of a batch-normed raw output
  std::optional<ChannelSums> extremes;  // of an activation, when a range asked
  at::Tensor gradient;                  // pending: of y, masked; else of the activation
  bool has_gradient = false;
  bool borrows_gradient = false;  // `gradient` belongs to the Add behind
  ChannelSums gradient_sums;      // pending: sum of g and of g * (stored - pivot)

  int64_t rows() const { return shape.height * shape.width; }
};

/// What a convolution or linear layer keeps from its forward for its backward pass, and its
/// buffers.
struct LayerRun {
  int layer = 0;
  const float* pivot = nullptr;   // of observation and of gradient sums
  std::vector<float> batch_mean;  // mean the batch was normalised with
  std::vector<double> inverse_deviation;
  std::vector<float> fixed_variance;  // unbiased, for repeated updates of running statistics
  int norm = -1;                      // index into layer.norms; -1 without
  Precision precision;
  at::Tensor weight;        // values computed with, (k, c, r, r) channels-last
  at::Tensor graph_weight;  // the same with its graph, when the quantizer is not straight-through
  bool has_grid = false;
  GridRows grid;
  std::vector<float> grid_low, grid_division, grid_inverse, grid_step, grid_zero;
  at::Tensor packed_forward, packed_backward;
  std::vector<float> scale, shift;  // of the raw output
  Affine affine;
  bool is_identity = false;  // neither batch norm, bias nor activation
  at::Tensor raw;            // the raw output when the value holds the activation
};

/// How a layer's minibatch is cut, for one minibatch size.
struct ChunkPlan {
  int64_t images = 1, chunks = 1, lanes = 1;
  std::unique_ptr<FusedConvolution> convolution;
};

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

class FusedExecutor : public Executor {
 public:
  FusedExecutor(SwitchableModel& model, int threads) : model_(model), threads_(threads) {
    const NetworkSpec& spec = model.spec();
    std::map<std::string, int> index_of = {{"input", -1}};
    values_.resize(spec.nodes.size());
    image_.shape = {spec.channels, spec.height, spec.width, false};
    image_.wants_gradient = false;
    const std::vector<TensorShape> shapes = infer_shapes(spec);
    int next_layer = 0;
    for (size_t i = 0; i < spec.nodes.size(); ++i) {
      const Node& node = spec.nodes[i];
      Value& value = values_[i];
      value.shape = shapes[i];
      if (value.shape.flat) value.shape.height = value.shape.width = 1;
      std::vector<int> inputs;
      for (const std::string& name : node.inputs) {
        inputs.push_back(index_of.at(name));
        Value& from = value_at(inputs.back());
        from.consumers.push_back(static_cast<int>(i));
        value.varies = value.varies || from.varies;
      }
      if (is_layer(node)) {
        value.varies = value.varies || node.bits == 0;
        runs_[static_cast<int>(i)].layer = next_layer++;
      }
      inputs_.push_back(inputs);
      index_of[node.name] = static_cast<int>(i);
    }
    for (size_t i = 0; i < values_.size(); ++i)
      values_[i].pending = can_stay_pending(static_cast<int>(i));
    set_identity(image_, image_.shape.channels);
    for (Value& value : values_)
      if (!value.pending) set_identity(value, value.shape.channels);
  }

  void begin(const at::Tensor& images) override {
    image_.stored = images.permute({0, 2, 3, 1}).contiguous().permute({0, 3, 1, 2});
    batch_ = images.size(0);
    image_.extremes.reset();
    prefix_valid_ = false;
  }

  void weights_changed() override { prefix_valid_ = false; }

  at::Tensor forward(int bits, Mode mode) override { return forward(model_.uniform(bits), mode); }

  at::Tensor forward(const std::vector<Precision>& precisions, Mode mode) override {
    const at::NoGradGuard no_gradient;
    const SingleThreaded single;
    model_.check_precisions(precisions);
    mode_ = mode;
    const bool reuse = prefix_valid_ && prefix_mode_ == mode;
    for (int i = 0; i < node_count(); ++i) {
      Value& value = value_at(i);
      if (!value.varies && reuse) {
        if (is_layer(node(i)) && mode != Mode::Eval) update_running(runs_.at(i));
        continue;
      }
      value.extremes.reset();
      if (is_layer(node(i))) {
        forward_layer(i, precisions[static_cast<size_t>(runs_.at(i).layer)]);
      } else if (node(i).op == Op::Add) {
        forward_add(i);
      } else if (node(i).op == Op::GlobalAvgPool) {
        forward_average(i);
      } else {
        forward_other(i);
      }
    }
    prefix_valid_ = true;
    prefix_mode_ = mode;
    return values_.back().stored.clone();
  }

  void backward(const at::Tensor& logits_gradient) override {
    const at::NoGradGuard no_gradient;
    const SingleThreaded single;
    Value& last = values_.back();
    for (Value& value : values_)
      if (value.varies) drop_gradient(value);
    last.gradient = take_like(last);
    last.gradient.copy_(logits_gradient);
    last.has_gradient = true;
    for (int i = node_count() - 1; i >= 0; --i)
      if (value_at(i).varies) backward_node(i);
    if (!last.varies) finish();
  }

  void finish() override {
    const at::NoGradGuard no_gradient;
    const SingleThreaded single;
    for (int i = node_count() - 1; i >= 0; --i)
      if (!value_at(i).varies && value_at(i).has_gradient) backward_node(i);
    for (Value& value : values_) drop_gradient(value);
  }

  void calibration_momentum(double momentum) override { calibration_momentum_ = momentum; }
  void noise_seed(uint64_t seed) override { noise_seed_ = seed; }

 private:
  static bool is_layer(const Node& node) { return node.op == Op::Conv || node.op == Op::Linear; }
  const Node& node(int i) const { return model_.spec().nodes[static_cast<size_t>(i)]; }
  int node_count() const { return static_cast<int>(values_.size()); }
  Value& value_at(int i) { return i < 0 ? image_ : values_[static_cast<size_t>(i)]; }
  Layer& layer_of(const LayerRun& run) { return model_.layers()[static_cast<size_t>(run.layer)]; }

  /// A raw output stays raw when its only consumer applies batch norm and activation itself.
  bool can_stay_pending(int i) const {
    const Value& value = values_[static_cast<size_t>(i)];
    if (!is_layer(node(i)) || value.consumers.size() != 1) return false;
    const int consumer = value.consumers.front();
    // What several bit-widths share collects gradients from all of them.
    if (!value.varies && values_[static_cast<size_t>(consumer)].varies) return false;
    const Op op = node(consumer).op;
    return op == Op::Conv || op == Op::Linear || op == Op::Add || op == Op::GlobalAvgPool;
  }

  static void set_identity(Value& value, int64_t channels) {
    value.scale.assign(static_cast<size_t>(channels), 1.0F);
    value.shift.assign(static_cast<size_t>(channels), 0.0F);
    value.affine = {value.scale.data(), value.shift.data(), -kInfinity, kInfinity};
  }

  std::vector<int64_t> shape_of(const Value& value) const {
    if (value.shape.flat) return {batch_, value.shape.channels};
    return {batch_, value.shape.channels, value.shape.height, value.shape.width};
  }
  at::Tensor take_like(const Value& value) { return pool_.take(shape_of(value)); }
  static float* floats(const at::Tensor& tensor) { return tensor.data_ptr<float>(); }

  void renew(Value& value) {
    pool_.give(value.stored);
    value.stored = take_like(value);
  }

  void drop_gradient(Value& value) {
    if (value.borrows_gradient)
      value.gradient = at::Tensor();
    else
      pool_.give(value.gradient);
    value.borrows_gradient = value.has_gradient = false;
  }

  // ---- forward
  // ------------------------------------------------------------------------------------------------------------

  ChunkPlan& plan_of(int i) {
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

  /// Per-channel sums of an activation or raw value about zero, cached while the value lives.
  const ChannelSums& extremes_of(Value& value) {
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

  template <class Work>
  ChannelSums sums_over_lanes(int64_t lanes, int64_t channels, const Work& work) {
    std::vector<ChannelSums> partial(static_cast<size_t>(lanes));
    for (ChannelSums& one : partial) one.reset(channels);
    run_lanes(lanes, threads_,
              [&](int64_t lane) { work(lane, partial[static_cast<size_t>(lane)]); });
    for (size_t lane = 1; lane < partial.size(); ++lane) partial[0].add(partial[lane]);
    return std::move(partial[0]);
  }

  /// Extremes of y from those of the raw values: the affine and the clamp are monotone, so they are
  /// exact.
  InputFacts facts_of(Value& in, const Layer& layer, BatchFacts needed) {
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

  void prepare_grid(LayerRun& run, Layer& layer, Value& in) {
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

  void prepare_weight(LayerRun& run, Layer& layer) {
    run.graph_weight = at::Tensor();
    run.weight = layer.weight.detach();
    if (run.precision.weight < 32) {
      const int master = model_.master_bits(layer);
      const quant::Quantizer& quantizer = model_.quantizer();
      if (quantizer.straight_through() || mode_ != Mode::Train) {
        run.weight =
            quantizer
                .weight(layer.weight.detach(), run.precision.weight, master, layer.weight_state)
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

  void pack(at::Tensor& packed, int64_t count) {
    if (!packed.defined() || packed.numel() != count) packed = at::empty({count}, at::kFloat);
  }

  bool needs_prologue(const LayerRun& run, const Value& in) const {
    return run.has_grid || in.pending;
  }

  /// The layer's input for a chunk: quantized into `scratch`, or where it lies.
  const float* input_chunk(const LayerRun& run, const Value& in, int64_t chunk, int64_t images,
                           std::vector<float>& scratch) const {
    const int64_t rows = images * in.rows(), size = rows * in.shape.channels;
    const float* stored = floats(in.stored) + chunk * size;
    if (!needs_prologue(run, in)) return stored;
    apply_rows(stored, aligned(scratch, size), rows, in.shape.channels, in.affine,
               run.has_grid ? &run.grid : nullptr);
    return aligned(scratch, size);
  }

  /// 64-byte aligned room for `count` floats in a vector that only grows.
  static float* aligned(std::vector<float>& room, int64_t count) {
    if (room.size() < static_cast<size_t>(count) + 16) room.resize(static_cast<size_t>(count) + 16);
    const auto address = reinterpret_cast<uintptr_t>(room.data());
    return room.data() + (64 - address % 64) % 64 / sizeof(float);
  }

  void forward_layer(int i, Precision asked) {
    LayerRun& run = runs_.at(i);
    Layer& layer = layer_of(run);
    Value& in = value_at(inputs_[static_cast<size_t>(i)][0]);
    Value& out = value_at(i);
    run.precision = model_.effective(layer, asked);
    run.norm = layer.norms.empty() ? -1 : model_.norm_index(layer, asked);
    prepare_grid(run, layer, in);
    prepare_weight(run, layer);
    ChunkPlan& plan = plan_of(i);
    pack(run.packed_forward, plan.convolution->forward_weight_floats());
    plan.convolution->pack_forward(floats(run.weight), floats(run.packed_forward));
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
            plan.convolution->forward(input_chunk(run, in, chunk, plan.images, scratch),
                                      floats(run.packed_forward), raw);
            if (observe) observe_rows(raw, run.pivot, out_rows, out.shape.channels, sums);
          }
        });
    if (!observe) out.observed = {};
    finish_affine(i, run, layer, out);
    if (!out.pending) materialise(run, out);
  }

  /// Scale and shift of the output: batch norm's, or the bias.
  void finish_affine(int i, LayerRun& run, const Layer& layer, Value& out) {
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
    run.is_identity =
        run.norm < 0 && !layer.bias.defined() && node(i).activation == Activation::None;
    if (!out.pending) return;
    out.scale = run.scale;
    out.shift = run.shift;
    out.affine = {out.scale.data(), out.shift.data(), run.affine.least, run.affine.most};
  }

  void batch_statistics(LayerRun& run, const Layer& layer, const Value& out) {
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

  void update_running(LayerRun& run) {
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

  /// The activation itself, when more than one consumer or another kind needs it. The raw output
  /// stays for the backward pass.
  void materialise(LayerRun& run, Value& out) {
    if (run.is_identity) return;
    pool_.give(run.raw);
    run.raw = out.stored;
    out.stored = take_like(out);
    over_images(out, [&](int64_t offset, int64_t rows) {
      apply_rows(floats(run.raw) + offset, floats(out.stored) + offset, rows, out.shape.channels,
                 run.affine, nullptr);
    });
  }

  /// work(offset in floats, rows) for each lane's images.
  template <class Work>
  void over_images(const Value& value, const Work& work) {
    const int64_t lanes = std::min(batch_, kMostLanes);
    run_lanes(lanes, threads_, [&](int64_t lane) {
      const Span span = lane_span(batch_, lanes, lane);
      work(span.first * value.rows() * value.shape.channels,
           (span.last - span.first) * value.rows());
    });
  }

  void forward_add(int i) {
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

  void forward_average(int i) {
    Value& in = value_at(inputs_[static_cast<size_t>(i)][0]);
    Value& out = value_at(i);
    renew(out);
    for (int64_t n = 0; n < batch_; ++n)
      average_rows(floats(in.stored) + n * in.rows() * in.shape.channels,
                   floats(out.stored) + n * out.shape.channels, in.rows(), in.shape.channels,
                   in.affine);
  }

  void forward_other(int i) {
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

  // ---- backward
  // -----------------------------------------------------------------------------------------------------------

  void backward_node(int i) {
    Value& out = value_at(i);
    if (!out.has_gradient) return;
    if (is_layer(node(i))) {
      backward_layer(i);
    } else if (node(i).op == Op::Add) {
      backward_add(i);
    } else if (node(i).op == Op::GlobalAvgPool) {
      backward_average(i);
    } else {
      backward_other(i);
    }
    if (out.varies && !lends_gradient(i)) drop_gradient(out);
  }

  /// True while an input of this Add uses its gradient as its own.
  bool lends_gradient(int i) {
    for (const int from : inputs_[static_cast<size_t>(i)])
      if (value_at(from).borrows_gradient && value_at(from).gradient.is_same(value_at(i).gradient))
        return true;
    return false;
  }

  /// Room for a gradient of `in`; true when it must be added to what is there.
  bool open_gradient(Value& in) {
    const bool add = in.has_gradient;
    if (!add) in.gradient = take_like(in);
    in.has_gradient = true;
    return add;
  }

  const float* pivot_of(int i) {
    return runs_.at(i).batch_mean.empty() ? zeros(value_at(i).shape.channels)
                                          : runs_.at(i).batch_mean.data();
  }

  const float* zeros(int64_t count) {
    if (zeros_.size() < static_cast<size_t>(count)) zeros_.assign(static_cast<size_t>(count), 0.0F);
    return zeros_.data();
  }

  /// Gradient of the raw output's affine: batch norm's or the bias's parameters, and what turns
  /// g(y) into g(raw).
  std::optional<NormBackward> backward_affine(LayerRun& run, const Layer& layer, const Value& out) {
    const ChannelSums& sums = out.gradient_sums;
    if (run.norm < 0) {
      if (layer.bias.defined()) add_gradient(layer.bias, tensor_of(sums.sum));
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
      back.a[c] = static_cast<float>(scale);
      back.b[c] = static_cast<float>(-scale * inverse * scale_gradient[c] / count);
      back.c[c] = static_cast<float>(-scale * sums.sum[c] / count);
    }
    add_gradient(norm.scale, tensor_of(scale_gradient));
    add_gradient(norm.shift, tensor_of(sums.sum));
    return back;
  }

  /// A materialised output's gradient becomes that of y, masked, with its sums.
  void reduce_materialised(int i, LayerRun& run, Value& out) {
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

  RangeRule range_rule(const LayerRun& run, const Layer& layer) {
    if (!run.has_grid || !learned_range(model_, layer, run.precision.activation).defined())
      return RangeRule::None;
    return model_.quantizer().range_gradient() == quant::RangeGradient::Pact ? RangeRule::Pact
                                                                             : RangeRule::Lsq;
  }

  struct LaneResult {
    ChannelSums sums;
    double range = 0;
    std::vector<float> weight;
  };

  void backward_layer(int i) {
    LayerRun& run = runs_.at(i);
    Layer& layer = layer_of(run);
    const int from = inputs_[static_cast<size_t>(i)][0];
    Value& in = value_at(from);
    Value& out = value_at(i);
    reduce_materialised(i, run, out);
    const std::optional<NormBackward> norm = backward_affine(run, layer, out);
    ChunkPlan& plan = plan_of(i);
    if (in.wants_gradient) {
      pack(run.packed_backward, plan.convolution->backward_weight_floats());
      plan.convolution->pack_backward(floats(run.weight), floats(run.packed_backward));
    }
    const bool add = in.wants_gradient && open_gradient(in);
    if (results_.size() < static_cast<size_t>(plan.lanes))
      results_.resize(static_cast<size_t>(plan.lanes));
    const std::span<LaneResult> results(results_.data(), static_cast<size_t>(plan.lanes));
    const RangeRule rule = in.wants_gradient ? range_rule(run, layer) : RangeRule::None;
    const float* pivot = in.pending ? pivot_of(from) : nullptr;
    run_lanes(plan.lanes, threads_, [&](int64_t lane) {
      const Span span = lane_span(plan.chunks, plan.lanes, lane);
      LaneResult& result = results[static_cast<size_t>(lane)];
      result.sums.reset(in.shape.channels);
      result.range = 0;
      for (int64_t chunk = span.first; chunk < span.last; ++chunk)
        backward_chunk(run, plan, in, out, norm ? &*norm : nullptr, chunk, rule, pivot, add,
                       chunk == span.first, result);
    });
    collect(run, layer, plan, in, rule, results);
  }

  void backward_chunk(const LayerRun& run, const ChunkPlan& plan, const Value& in, const Value& out,
                      const NormBackward* norm, int64_t chunk, RangeRule rule, const float* pivot,
                      bool add, bool first, LaneResult& result) const {
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
    const float* input = input_chunk(run, in, chunk, plan.images, in_room);
    const int64_t weights = convolution.gradient_floats();
    if (first) {
      convolution.backward_weight(input, gradient, aligned(result.weight, weights));
    } else {
      convolution.backward_weight(input, gradient, aligned(weight_room, weights));
      add_into(aligned(result.weight, weights), aligned(weight_room, weights), weights);
    }
    if (!in.wants_gradient) return;
    float* input_gradient = aligned(gradient_room, in_size);
    convolution.backward_data(gradient, floats(run.packed_backward), input_gradient);
    const BackwardRows what{floats(in.stored) + chunk * in_size, input_gradient,
                            floats(in.gradient) + chunk * in_size, add, pivot};
    backward_rows(what, in_rows, in.shape.channels, in.affine, run.has_grid ? &run.grid : nullptr,
                  rule, &result.range, in.pending ? &result.sums : nullptr);
  }

  /// Lanes' sums, in their order, into gradients.
  void collect(LayerRun& run, Layer& layer, const ChunkPlan& plan, Value& in, RangeRule rule,
               std::span<LaneResult> results) {
    const int64_t weights = plan.convolution->gradient_floats();
    float* total = aligned(results[0].weight, weights);
    for (size_t lane = 1; lane < results.size(); ++lane) {
      add_into(total, aligned(results[lane].weight, weights), weights);
      results[0].sums.add(results[lane].sums);
      results[0].range += results[lane].range;
    }
    at::Tensor gradient = at::empty_like(run.weight);
    plan.convolution->unpack_gradient(total, floats(gradient));
    if (run.graph_weight.defined()) {
      run.graph_weight.backward(gradient);
    } else {
      add_gradient(layer.weight, gradient);
    }
    if (in.pending) in.gradient_sums = std::move(results[0].sums);
    if (rule != RangeRule::None) {
      const int bits = run.precision.activation;
      const double scale =
          quant::range_gradient_scale(layer.input_features, bits, layer.signed_input);
      add_gradient(learned_range(model_, layer, bits),
                   at::full({1}, results[0].range * scale, at::kFloat));
    }
  }

  /// True when `from` may use the Add's gradient as its own: it is the first to give it one and the
  /// only one to borrow. Raw inputs have copies, so nobody else reads it later.
  bool may_borrow(int add, int from) {
    const Value& in = value_at(from);
    if (in.has_gradient || !in.varies) return false;
    for (const int other : inputs_[static_cast<size_t>(add)])
      if (other != from && value_at(other).borrows_gradient) return false;
    return true;
  }

  void backward_add(int i) {
    Value& out = value_at(i);
    if (node(i).activation != Activation::None)
      over_images(out, [&](int64_t offset, int64_t rows) {
        mask_rows(floats(out.gradient) + offset, floats(out.stored) + offset, rows,
                  out.shape.channels, least_of(node(i).activation), most_of(node(i).activation));
      });
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

  void backward_add_pending(int from, Value& in, const Value& out) {
    open_gradient(in);
    const int64_t lanes = std::min(batch_, kMostLanes);
    const float* pivot = pivot_of(from);
    in.gradient_sums =
        sums_over_lanes(lanes, in.shape.channels, [&](int64_t lane, ChannelSums& sums) {
          const Span span = lane_span(batch_, lanes, lane);
          const int64_t offset = span.first * in.rows() * in.shape.channels;
          reduce_rows(floats(out.gradient) + offset, floats(in.stored) + offset, pivot,
                      floats(in.gradient) + offset, (span.last - span.first) * in.rows(),
                      in.shape.channels, in.affine, sums);
        });
  }

  void backward_average(int i) {
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
            spread_rows(floats(out.gradient) + n * in.shape.channels, stored, target, add,
                        in.rows(), in.shape.channels, in.affine);
            if (in.pending)
              reduce_rows(target, stored, pivot, nullptr, in.rows(), in.shape.channels, in.affine,
                          sums);
          }
        });
  }

  void backward_other(int i) {
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

  SwitchableModel& model_;
  int threads_;
  int64_t batch_ = 0;
  Mode mode_ = Mode::Eval, prefix_mode_ = Mode::Eval;
  bool prefix_valid_ = false;
  double calibration_momentum_ = 0.1;
  uint64_t noise_seed_ = 0;
  Value image_;
  std::vector<Value> values_;                           // by node
  std::vector<std::vector<int>> inputs_;                // by node; -1 is the image
  std::map<int, LayerRun> runs_;                        // by node
  std::map<std::pair<int, int64_t>, ChunkPlan> plans_;  // by node and minibatch size
  std::map<int, std::pair<at::Tensor, at::Tensor>>
      graphs_;  // by node: input and result of a tensor operation
  std::vector<float> zeros_;
  std::vector<LaneResult> results_;  // kept for their room
  Pool pool_;
};

}  // namespace

std::unique_ptr<Executor> make_fused_executor(SwitchableModel& model, int threads,
                                              std::string* why) {
  if (model.device() != "cpu") {
    if (why)
      *why = "its tensors are on " + model.device() + ", and the fused kernels are for the CPU.";
    return nullptr;
  }
  return std::make_unique<FusedExecutor>(model, threads);
}

}  // namespace instantnet::nn
