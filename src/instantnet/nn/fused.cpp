// The fused executor as a whole: its graph, and the order in which nodes run.
#include <torch/torch.h>

#include <map>
#include <string>

#include "instantnet/nn/fused_executor.h"

namespace instantnet::nn {

FusedExecutor::FusedExecutor(SwitchableModel& model, int threads)
    : model_(model), threads_(threads), gates_(model.spec()) {
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

void FusedExecutor::begin(const at::Tensor& images) {
  image_.stored = images.permute({0, 2, 3, 1}).contiguous().permute({0, 3, 1, 2});
  batch_ = images.size(0);
  image_.extremes.reset();
  prefix_valid_ = false;
}

at::Tensor FusedExecutor::forward(const std::vector<Precision>& precisions, Mode mode) {
  const at::NoGradGuard no_gradient;
  const SingleThreaded single;
  model_.check_precisions(precisions);
  mode_ = mode;
  const bool reuse = prefix_valid_ && prefix_mode_ == mode;
  for (int i = 0; i < node_count(); ++i) {
    if (!gates_.alive(static_cast<size_t>(i))) continue;
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
    } else if (node(i).op == Op::ChannelShuffle) {
      forward_shuffle(i);
    } else {
      forward_other(i);
    }
  }
  prefix_valid_ = true;
  prefix_mode_ = mode;
  return values_.back().stored.clone();
}

void FusedExecutor::backward(const at::Tensor& logits_gradient) {
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

void FusedExecutor::finish() {
  const at::NoGradGuard no_gradient;
  const SingleThreaded single;
  for (int i = node_count() - 1; i >= 0 && learn_weights_; --i)
    if (!value_at(i).varies && value_at(i).has_gradient) backward_node(i);
  for (Value& value : values_) drop_gradient(value);
}

void FusedExecutor::set_gates(const Gates& gates) {
  gates_.set(gates);
  prefix_valid_ = false;
  for (int i = 0; i < node_count(); ++i) {
    if (gates_.alive(static_cast<size_t>(i))) continue;
    Value& value = value_at(i);
    drop_gradient(value);
    pool_.give(value.stored);
    graphs_.erase(i);
    const auto run = runs_.find(i);
    if (run == runs_.end()) continue;
    pool_.give(run->second.raw);
    run->second.weight = at::Tensor();
  }
}

bool FusedExecutor::can_stay_pending(int i) const {
  const Value& value = values_[static_cast<size_t>(i)];
  if (!is_layer(node(i)) || value.consumers.size() != 1) return false;
  const int consumer = value.consumers.front();
  // What several bit-widths share collects gradients from all of them.
  if (!value.varies && values_[static_cast<size_t>(consumer)].varies) return false;
  const Op op = node(consumer).op;
  return op == Op::Conv || op == Op::Linear || op == Op::Add || op == Op::GlobalAvgPool ||
         op == Op::ChannelShuffle;
}

void FusedExecutor::set_identity(Value& value, int64_t channels) {
  value.scale.assign(static_cast<size_t>(channels), 1.0F);
  value.shift.assign(static_cast<size_t>(channels), 0.0F);
  value.affine = {value.scale.data(), value.shift.data(), -kInfinity, kInfinity};
}

std::vector<int64_t> FusedExecutor::shape_of(const Value& value) const {
  if (value.shape.flat) return {batch_, value.shape.channels};
  return {batch_, value.shape.channels, value.shape.height, value.shape.width};
}

void FusedExecutor::renew(Value& value) {
  pool_.give(value.stored);
  value.stored = take_like(value);
}

void FusedExecutor::drop_gradient(Value& value) {
  if (value.borrows_gradient)
    value.gradient = at::Tensor();
  else
    pool_.give(value.gradient);
  value.borrows_gradient = value.has_gradient = false;
  value.gradient_factor = 1;
}

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
