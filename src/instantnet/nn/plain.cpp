// The plain executor: one tensor operation after the other, gradients by autograd, on any device
// and with any quantizer. It is the meaning of a SwitchableModel; the fused executor is tested
// against it.
#include <torch/torch.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "instantnet/nn/executor.h"
#include "instantnet/nn/observed.h"
#include "instantnet/nn/plain_node.h"
#include "instantnet/nn/ranges.h"

namespace instantnet::nn {

namespace {

InputFacts facts_of(const at::Tensor& x, const Layer& layer, BatchFacts needed) {
  const at::NoGradGuard no_gradient;
  InputFacts facts;
  if (needed == BatchFacts::MeanSquare) facts.mean_square = x.detach().square().mean().reshape({1});
  if (needed == BatchFacts::Extremes) {
    if (layer.per_channel_range) {
      facts.low = x.detach().amin({0, 2, 3});
      facts.high = x.detach().amax({0, 2, 3});
    } else {
      facts.low = x.detach().min().reshape({1});
      facts.high = x.detach().max().reshape({1});
    }
  }
  return facts;
}

class PlainExecutor : public Executor {
 public:
  PlainExecutor(SwitchableModel& model, int threads, LayerObserver observer)
      : model_(model), threads_(threads), observer_(std::move(observer)), gates_(model.spec()) {}

  void begin(const at::Tensor& images) override {
    images_ = images.to(torch::Device(model_.device()));
  }
  void weights_changed() override {}

  at::Tensor forward(int bits, Mode mode) override { return forward(model_.uniform(bits), mode); }

  at::Tensor forward(const std::vector<Precision>& precisions, Mode mode) override {
    at::set_num_threads(threads_);
    model_.check_precisions(precisions);
    at::AutoGradMode track(mode == Mode::Train);
    std::map<std::string, at::Tensor> values = {{"input", images_}};
    size_t layer = 0;
    gate_leaves_.clear();
    for (size_t i = 0; i < model_.spec().nodes.size(); ++i) {
      const Node& node = model_.spec().nodes[i];
      if (!gates_.alive(i)) {
        layer += node.op == Op::Conv || node.op == Op::Linear ? 1 : 0;
        continue;
      }
      at::Tensor& value = values[node.name];
      if (node.op != Op::Conv && node.op != Op::Linear) {
        value = run_node(node, i, values, mode);
        continue;
      }
      const at::Tensor& input = values.at(node.inputs[0]);
      value = run_layer(model_.layers()[layer], node, input, precisions[layer], mode);
      if (observer_) observer_(layer, input.detach(), value.detach());
      ++layer;
    }
    logits_ = values.at(model_.spec().nodes.back().name);
    return logits_.detach();
  }

  void backward(const at::Tensor& logits_gradient) override {
    at::set_num_threads(threads_);
    if (learn_weights_) {
      logits_.backward(logits_gradient);
      for (const auto& [node, leaf] : gate_leaves_) take_gate_gradients(node, leaf.grad());
    } else {
      backward_gates(logits_gradient);
    }
    logits_ = at::Tensor();
    gate_leaves_.clear();
  }

  void finish() override {}
  void learn_weights(bool learn) override { learn_weights_ = learn; }
  void set_gates(const Gates& gates) override { gates_.set(gates); }
  Gates gate_gradients() const override { return gates_.gradients(); }
  void calibration_momentum(double momentum) override { calibration_momentum_ = momentum; }
  void noise_seed(uint64_t seed) override { noise_seed_ = seed; }

 private:
  at::Tensor quantize_input(Layer& layer, const at::Tensor& x, int bits, Mode mode) {
    const quant::Grid grid = input_grid(
        model_, layer, bits, mode, facts_of(x, layer, needed_facts(model_, layer, bits, mode)));
    const at::Tensor alpha = learned_range(model_, layer, bits);
    if (!alpha.defined() || mode != Mode::Train) return quant::fake_quantize(x, grid);
    return quant::fake_quantize_learned(
        x, alpha, bits, layer.signed_input, model_.quantizer().range_gradient(),
        quant::range_gradient_scale(layer.input_features, bits, layer.signed_input));
  }

  at::Tensor normalise(const Norm& norm, const at::Tensor& x, Mode mode) {
    const bool batch = mode != Mode::Eval;
    if (batch) norm.count.add_(1);
    const double momentum =
        mode == Mode::Calibrate ? calibration_momentum_ : model_.options().norm_momentum;
    return at::batch_norm(x, norm.scale, norm.shift, norm.mean, norm.variance, batch, momentum,
                          model_.options().norm_epsilon,
                          /*cudnn_enabled=*/true);
  }

  at::Tensor run_layer(Layer& layer, const Node& node, at::Tensor x, Precision asked, Mode mode) {
    const Precision precision = model_.effective(layer, asked);
    if (precision.activation < 32) x = quantize_input(layer, x, precision.activation, mode);
    at::Tensor weight = layer.weight;
    if (precision.weight < 32)
      weight = model_.quantizer().weight(weight, precision.weight, model_.master_bits(layer),
                                         layer.weight_state);
    if (model_.options().layout == Layout::Contiguous && node.op == Op::Conv) {
      weight = weight.contiguous();
      x = x.contiguous();
    }
    at::Tensor y =
        node.op == Op::Linear
            ? at::linear(x, weight, layer.bias)
            : at::conv2d(x, weight, layer.bias, {node.stride, node.stride},
                         {node.padding, node.padding}, {node.dilation, node.dilation}, node.groups);
    if (!layer.norms.empty())
      y = normalise(layer.norms[static_cast<size_t>(model_.norm_index(layer, asked))], y, mode);
    return activate(y, node.activation);
  }

  at::Tensor run_node(const Node& node, size_t index,
                      const std::map<std::string, at::Tensor>& values, Mode mode) {
    if (const std::vector<float>* gates = gates_.of(index))
      return run_gated(node, index, values, *gates);
    std::vector<at::Tensor> inputs;
    for (const std::string& input : node.inputs) inputs.push_back(values.at(input));
    return run_plain_node(node, inputs, {mode == Mode::Train, noise_seed_, index});
  }

  /// activation(sum of gate * input), over inputs with gates above 0.
  at::Tensor run_gated(const Node& node, size_t index,
                       const std::map<std::string, at::Tensor>& values,
                       const std::vector<float>& gates) {
    at::Tensor leaf = at::empty({static_cast<int64_t>(gates.size())}, at::kFloat);
    std::copy(gates.begin(), gates.end(), leaf.data_ptr<float>());
    leaf = leaf.to(torch::Device(model_.device()));
    if (at::GradMode::is_enabled()) gate_leaves_[index] = leaf.requires_grad_();
    at::Tensor sum;
    for (size_t k = 0; k < gates.size(); ++k) {
      if (!(gates[k] > 0)) continue;
      const at::Tensor part = values.at(node.inputs[k]) * leaf.select(0, static_cast<int64_t>(k));
      sum = sum.defined() ? sum + part : part;
    }
    return activate(sum, node.activation);
  }

  void backward_gates(const at::Tensor& logits_gradient) {
    std::vector<at::Tensor> leaves;
    for (const auto& [node, leaf] : gate_leaves_) leaves.push_back(leaf);
    if (leaves.empty()) return;
    const auto gradients = torch::autograd::grad({logits_}, leaves, {logits_gradient});
    size_t at = 0;
    for (const auto& [node, leaf] : gate_leaves_) take_gate_gradients(node, gradients[at++]);
  }

  void take_gate_gradients(size_t node, const at::Tensor& gradient) {
    if (!gradient.defined()) return;
    const at::Tensor values = gradient.to(at::kCPU).contiguous();
    for (int64_t k = 0; k < values.numel(); ++k)
      gates_.add_gradient(node, static_cast<size_t>(k),
                          static_cast<double>(values.data_ptr<float>()[k]));
  }

  SwitchableModel& model_;
  int threads_;
  LayerObserver observer_;
  GateSet gates_;
  bool learn_weights_ = true;
  std::map<size_t, at::Tensor> gate_leaves_;  // by node, of the last forward in Mode::Train
  at::Tensor images_, logits_;
  double calibration_momentum_ = 0.1;
  uint64_t noise_seed_ = 0;
};

}  // namespace

std::unique_ptr<Executor> make_plain_executor(SwitchableModel& model, int threads) {
  return std::make_unique<PlainExecutor>(model, threads, LayerObserver());
}

std::unique_ptr<Executor> make_observed_executor(SwitchableModel& model, int threads,
                                                 LayerObserver observer) {
  return std::make_unique<PlainExecutor>(model, threads, std::move(observer));
}

}  // namespace instantnet::nn
