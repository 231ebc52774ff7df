#include "instantnet/runtime/plan_float.h"

#include <algorithm>
#include <limits>

#include "instantnet/core/error.h"
#include "instantnet/runtime/plan_tensors.h"

namespace instantnet::runtime {
namespace {

float least_of(Activation activation) {
  return activation == Activation::None ? -std::numeric_limits<float>::infinity() : 0.0F;
}

float most_of(Activation activation) {
  return activation == Activation::Relu6 ? 6.0F : std::numeric_limits<float>::infinity();
}

/// Tensors are values: number value + 1.
class Planner {
 public:
  Planner(const Source& source, const Kernels& kernels, Plan& plan)
      : source_(source),
        graph_(source.graph()),
        kernels_(kernels),
        plan_(plan),
        tensors_(graph_.shapes.size()),
        readers_(graph_.shapes.size()),
        done_(graph_.shapes.size(), false) {}

  void run() {
    find_readers();
    for (int value = kImage; value <= graph_.output(); ++value)
      tensors_.view(value + 1) =
          PlanTensors::shaped(graph_.shape(value), Element::F32, halo_of(value));
    for (int value = kImage; value <= graph_.output(); ++value)
      if (needed(value) && !done_[at(value)]) add_step(value);
    const int output = seen(graph_.output());
    tensors_.touch(output + 1, static_cast<int>(plan_.steps.size()));
    plan_.arena_bytes = tensors_.place();
    for (Step& step : plan_.steps) place(step);
    plan_.logits = tensors_.view(output + 1);
  }

 private:
  static size_t at(int value) { return static_cast<size_t>(value + 1); }

  /// Dropout's value is its input's.
  int seen(int value) const {
    while (value != kImage && graph_.node(value).op == Op::Dropout)
      value = graph_.inputs[static_cast<size_t>(value)][0];
    return value;
  }

  /// The values that node `value` computes from.
  std::vector<int> sources(int value) const {
    if (value == kImage) return {};
    if (const int layer = graph_.layer_of[static_cast<size_t>(value)]; layer >= 0)
      return {seen(graph_.layers[static_cast<size_t>(layer)].input)};
    std::vector<int> from = graph_.inputs[static_cast<size_t>(value)];
    for (int& one : from) one = seen(one);
    return from;
  }

  void find_readers() {
    for (int value = graph_.output(); value >= 0; --value)
      if (needed(value))
        for (const int one : sources(value)) readers_[at(one)].push_back(value);
  }
  bool needed(int value) const {
    return value == seen(graph_.output()) || !readers_[at(value)].empty();
  }

  int halo_of(int value) const {
    int halo = 0;
    for (const int reader : readers_[at(value)])
      if (graph_.node(reader).op == Op::Conv)
        halo = std::max(halo, static_cast<int>(graph_.node(reader).padding));
    return halo;
  }

  View reads(int value) {
    tensors_.touch(value + 1, static_cast<int>(plan_.steps.size()));
    return named(value);
  }
  View writes(int value, Step& step) {
    tensors_.touch(value + 1, static_cast<int>(plan_.steps.size()));
    step.outputs.push_back({named(value), 0, value});
    done_[at(value)] = true;
    return named(value);
  }
  View named(int value) const {
    View view = tensors_.view(value + 1);
    view.offset = value + 1;
    return view;
  }
  void place(View& view) const {
    view.offset = tensors_.view(static_cast<int>(view.offset)).offset;
  }

  void add_step(int value) {
    Step step;
    const TensorShape& shape = graph_.shape(value);
    step.rows = static_cast<int>(shape.height);
    step.channels = static_cast<int>(shape.channels);
    step.work = shape.height * shape.width * shape.channels;
    if (value == kImage) {
      step.what = InputStep{writes(value, step), nullptr, plan_.scale.data(), plan_.shift.data()};
    } else {
      const Op op = graph_.node(value).op;
      if (op == Op::Conv || op == Op::Linear)
        step.what = layer(value, step);
      else if (op == Op::Add)
        step.what = addition(value, step);
      else if (op == Op::ChannelShuffle || op == Op::Flatten)
        step.what = move(value, step);
      else
        step.what = pool(value, step);
    }
    plan_.steps.push_back(std::move(step));
  }

  FloatConvStep layer(int value, Step& step) {
    const int number = graph_.layer_of[static_cast<size_t>(value)];
    const FloatLayer& floats = source_.model().floats[static_cast<size_t>(number)];
    FloatConvStep conv;
    conv.layer = number;
    conv.shape = source_.shape(number);
    conv.call.input = reads(sources(value)[0]);
    conv.call.scale = floats.scale.data();
    conv.call.shift = floats.shift.data();
    conv.call.least = least_of(graph_.node(value).activation);
    conv.call.most = most_of(graph_.node(value).activation);
    step.work *= conv.shape.taps();
    plan_.scratch_bytes = std::max(plan_.scratch_bytes,
                                   static_cast<int64_t>(kernels_.float_scratch_bytes(conv.shape)));
    const int addition = joined_addition(value);
    if (addition >= 0) {
      const std::vector<int> inputs = sources(addition);
      conv.call.has_addend = true;
      conv.call.addend = reads(inputs[inputs[0] == value ? 1 : 0]);
      conv.call.add_least = least_of(graph_.node(addition).activation);
      conv.call.add_most = most_of(graph_.node(addition).activation);
    }
    done_[at(value)] = true;
    conv.call.output = writes(addition >= 0 ? addition : value, step);
    return conv;
  }

  /// As for integers: the addition that is the only reader of a layer's value, when its other input
  /// is there.
  int joined_addition(int value) const {
    if (value == seen(graph_.output()) || readers_[at(value)].size() != 1) return -1;
    const int reader = readers_[at(value)][0];
    if (graph_.node(reader).op != Op::Add) return -1;
    const std::vector<int> inputs = sources(reader);
    if (inputs.size() != 2) return -1;
    return done_[at(inputs[inputs[0] == value ? 1 : 0])] ? reader : -1;
  }

  FloatAddStep addition(int value, Step& step) {
    FloatAddStep add;
    for (const int one : sources(value)) add.inputs.push_back(reads(one));
    add.output = writes(value, step);
    add.least = least_of(graph_.node(value).activation);
    add.most = most_of(graph_.node(value).activation);
    return add;
  }

  PoolStep pool(int value, Step& step) {
    PoolStep pool;
    pool.call = pool_of(graph_, value);
    pool.average = graph_.node(value).op != Op::MaxPool;
    pool.call.input = reads(sources(value)[0]);
    pool.call.output = writes(value, step);
    step.work *= int64_t{pool.call.kernel_height} * pool.call.kernel_width;
    return pool;
  }

  MoveStep move(int value, Step& step) {
    MoveStep move = move_of(graph_, value);
    move.input = reads(sources(value)[0]);
    move.output = writes(value, step);
    return move;
  }

  void place(Step& step) const {
    for (Step::Output& output : step.outputs) place(output.view);
    if (auto* input = std::get_if<InputStep>(&step.what)) {
      place(input->to);
    } else if (auto* conv = std::get_if<FloatConvStep>(&step.what)) {
      place(conv->call.input);
      place(conv->call.output);
      if (conv->call.has_addend) place(conv->call.addend);
    } else if (auto* add = std::get_if<FloatAddStep>(&step.what)) {
      for (View& one : add->inputs) place(one);
      place(add->output);
    } else if (auto* pool = std::get_if<PoolStep>(&step.what)) {
      place(pool->call.input);
      place(pool->call.output);
    } else if (auto* move = std::get_if<MoveStep>(&step.what)) {
      place(move->input);
      place(move->output);
    }
  }

  const Source& source_;
  const Graph& graph_;
  const Kernels& kernels_;
  Plan& plan_;
  PlanTensors tensors_;
  std::vector<std::vector<int>> readers_;
  std::vector<bool> done_;
};

}  // namespace

MoveStep move_of(const Graph& graph, int value) {
  MoveStep move;
  const TensorShape& in = graph.shape(graph.inputs[static_cast<size_t>(value)][0]);
  move.flatten = graph.node(value).op == Op::Flatten;
  if (!move.flatten) {
    for (int64_t k = 0; k < in.channels; ++k)
      move.from.push_back(static_cast<int32_t>(graph.shuffled_from(value, k)));
    return move;
  }
  for (int64_t c = 0; c < in.channels; ++c)
    for (int64_t pixel = 0; pixel < in.height * in.width; ++pixel)
      move.from.push_back(static_cast<int32_t>(pixel * in.channels + c));
  return move;
}

PoolCall pool_of(const Graph& graph, int value) {
  PoolCall call;
  const Node& node = graph.node(value);
  const TensorShape& in = graph.shape(graph.inputs[static_cast<size_t>(value)][0]);
  const bool global = node.op == Op::GlobalAvgPool;
  call.kernel_height = static_cast<int>(global ? in.height : node.kernel);
  call.kernel_width = static_cast<int>(global ? in.width : node.kernel);
  call.stride = static_cast<int>(node.stride);
  call.padding = static_cast<int>(node.padding);
  return call;
}

void plan_float(const Source& source, const Kernels& kernels, Plan& plan) {
  const Normalisation& norm = source.model().normalisation;
  for (size_t c = 0; c < norm.mean.size(); ++c) {
    plan.scale.push_back(1 / norm.deviation[c]);
    plan.shift.push_back(-norm.mean[c] / norm.deviation[c]);
  }
  Planner(source, kernels, plan).run();
}

}  // namespace instantnet::runtime
