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
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "instantnet/nn/executor.h"
#include "instantnet/nn/fused_convolution.h"
#include "instantnet/nn/fused_kernels.h"
#include "instantnet/nn/fused_memory.h"
#include "instantnet/nn/lanes.h"
#include "instantnet/nn/ranges.h"

namespace instantnet::nn {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

inline float least_of(Activation activation) {
  return activation == Activation::None ? -kInfinity : 0.0F;
}
inline float most_of(Activation activation) {
  return activation == Activation::Relu6 ? 6.0F : kInfinity;
}
inline float* floats(const at::Tensor& tensor) { return tensor.data_ptr<float>(); }

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
  float gradient_factor = 1;      // pending: what `gradient` is still to be multiplied by
  ChannelSums gradient_sums;      // pending: sum of g and of g * (stored - pivot), with the factor

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

/// See the head of this file. The methods are in fused.cpp, fused_forward.cpp and
/// fused_backward.cpp.
class FusedExecutor : public Executor {
 public:
  FusedExecutor(SwitchableModel& model, int threads);

  void begin(const at::Tensor& images) override;
  void weights_changed() override { prefix_valid_ = false; }
  at::Tensor forward(int bits, Mode mode) override { return forward(model_.uniform(bits), mode); }
  at::Tensor forward(const std::vector<Precision>& precisions, Mode mode) override;
  void backward(const at::Tensor& logits_gradient) override;
  void finish() override;
  void set_gates(const Gates& gates) override;
  void learn_weights(bool learn) override { learn_weights_ = learn; }
  Gates gate_gradients() const override { return gates_.gradients(); }
  void calibration_momentum(double momentum) override { calibration_momentum_ = momentum; }
  void noise_seed(uint64_t seed) override { noise_seed_ = seed; }

 private:
  static bool is_layer(const Node& node) { return node.op == Op::Conv || node.op == Op::Linear; }
  const Node& node(int i) const { return model_.spec().nodes[static_cast<size_t>(i)]; }
  int node_count() const { return static_cast<int>(values_.size()); }
  Value& value_at(int i) { return i < 0 ? image_ : values_[static_cast<size_t>(i)]; }
  Layer& layer_of(const LayerRun& run) { return model_.layers()[static_cast<size_t>(run.layer)]; }

  /// A raw output stays raw when its only consumer applies batch norm and activation itself.
  bool can_stay_pending(int i) const;
  static void set_identity(Value& value, int64_t channels);
  std::vector<int64_t> shape_of(const Value& value) const;
  at::Tensor take_like(const Value& value) { return pool_.take(shape_of(value)); }
  void renew(Value& value);
  void drop_gradient(Value& value);

  template <class Work>
  ChannelSums sums_over_lanes(int64_t lanes, int64_t channels, const Work& work) {
    std::vector<ChannelSums> partial(static_cast<size_t>(lanes));
    for (ChannelSums& one : partial) one.reset(channels);
    run_lanes(lanes, threads_,
              [&](int64_t lane) { work(lane, partial[static_cast<size_t>(lane)]); });
    for (size_t lane = 1; lane < partial.size(); ++lane) partial[0].add(partial[lane]);
    return std::move(partial[0]);
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

  // forward: fused_forward.cpp
  ChunkPlan& plan_of(int i);
  /// Per-channel sums of an activation or raw value about zero, cached while the value lives.
  const ChannelSums& extremes_of(Value& value);
  /// Extremes of y from those of the raw values: the affine and the clamp are monotone, so they are
  /// exact.
  InputFacts facts_of(Value& in, const Layer& layer, BatchFacts needed);
  void prepare_grid(LayerRun& run, Layer& layer, Value& in);
  void prepare_weight(LayerRun& run, Layer& layer);
  bool needs_prologue(const LayerRun& run, const Value& in) const;
  /// The layer's input for a chunk: quantized into `scratch`, or where it lies.
  const float* input_chunk(const LayerRun& run, const Value& in, int64_t chunk, int64_t images,
                           std::vector<float>& scratch) const;
  void forward_layer(int i, Precision asked);
  /// Scale and shift of the output: batch norm's, or the bias.
  void finish_affine(int i, LayerRun& run, const Layer& layer, Value& out);
  void batch_statistics(LayerRun& run, const Layer& layer, const Value& out);
  void update_running(LayerRun& run);
  /// The activation itself, when more than one consumer or another kind needs it. The raw output
  /// stays for the backward pass.
  void materialise(LayerRun& run, Value& out);
  void forward_add(int i);
  void forward_gated_add(int i, const std::vector<float>& gates);
  void forward_average(int i);
  void forward_shuffle(int i);
  void forward_other(int i);

  // backward: fused_backward.cpp
  struct LaneResult {
    ChannelSums sums;
    double range = 0;
    std::vector<float> weight;
  };
  void backward_node(int i);
  /// True while an input of this Add uses its gradient as its own.
  bool lends_gradient(int i);
  /// Room for a gradient of `in`; true when it must be added to what is there.
  bool open_gradient(Value& in);
  const float* pivot_of(int i);
  const float* zeros(int64_t count);
  /// Gradient of the raw output's affine: batch norm's or the bias's parameters, and what turns
  /// g(y) into g(raw).
  std::optional<NormBackward> backward_affine(LayerRun& run, const Layer& layer, const Value& out);
  /// A materialised output's gradient becomes that of y, masked, with its sums.
  void reduce_materialised(int i, LayerRun& run, Value& out);
  RangeRule range_rule(const LayerRun& run, const Layer& layer);
  void backward_layer(int i);
  void backward_chunk(const LayerRun& run, const ChunkPlan& plan, const Value& in, const Value& out,
                      const NormBackward* norm, const float* packed, int64_t chunk, RangeRule rule,
                      const float* pivot, bool add, bool first, LaneResult& result) const;
  void collect_weights(LayerRun& run, Layer& layer, const ChunkPlan& plan,
                       std::span<LaneResult> results);
  /// Lanes' sums, in their order, into gradients.
  void collect(LayerRun& run, Layer& layer, const ChunkPlan& plan, Value& in, RangeRule rule,
               std::span<LaneResult> results);
  /// True when `from` may use the Add's gradient as its own: it is the first to give it one and the
  /// only one to borrow. Raw inputs have copies, so nobody else reads it later.
  bool may_borrow(int add, int from);
  void backward_add(int i);
  void backward_add_pending(int from, Value& in, const Value& out);
  /// The two sums a channel of an input whose batch norm is pending. `adds`: the output's gradient
  /// is added to the input's on the way.
  void sum_pending(int from, Value& in, const Value& out, bool adds);
  /// The same with gates. A raw input without clamp and behind a batch norm shares the Add's
  /// gradient, whatever else does: its gate goes into its batch norm's factors.
  void backward_gated_add(int i, const std::vector<float>& gates);
  /// These two give a gradient to an input and return that of its gate.
  double backward_gated_pending(int from, Value& in, const Value& out, float gate);
  double backward_gated_value(Value& in, const Value& out, float gate);
  void backward_average(int i);
  void backward_shuffle(int i);
  void backward_other(int i);

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
  GateSet gates_;
  bool learn_weights_ = true;
  std::vector<float> packed_;  // weights of the layer in work, in the convolution's order
  std::vector<float> zeros_;
  std::vector<LaneResult> results_;  // kept for their room
  Pool pool_;
};

}  // namespace instantnet::nn
