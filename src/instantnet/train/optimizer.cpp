#include "instantnet/train/optimizer.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <array>
#include <cmath>
#include <utility>

#include "instantnet/core/error.h"

namespace instantnet::train {
namespace {

/// Whether plain loops over memory meet the same element in all of them: dense, float32, on the
/// CPU, equal strides.
template <class... Tensors>
bool runs_flat(const at::Tensor& first, const Tensors&... others) {
  const auto plain = [&](const at::Tensor& x) {
    return x.device().is_cpu() && x.scalar_type() == at::kFloat && x.strides() == first.strides();
  };
  return first.is_non_overlapping_and_dense() && plain(first) && (plain(others) && ...);
}

double squares(const float* x, int64_t n) {
  std::array<double, 8> sums{};  // a fixed order that compilers can put side by side
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (size_t lane = 0; lane < 8; ++lane) {
      const double value = x[i + static_cast<int64_t>(lane)];
      sums[lane] += value * value;
    }
  double sum = 0;
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  for (const double one : sums) sum += one;
  return sum;
}

/// d = gradient + weight_decay * x; m = momentum * m + d; x -= lr * (m, or d + momentum * m with
/// Nesterov). torch.optim.SGD with dampening 0; its first m = d is what m = 0 gives.
class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerOptions& options, std::vector<nn::Named> parameters)
      : Optimizer(options, std::move(parameters)) {
    for (const Slot& slot : slots())
      momentum_.push_back(options.momentum == 0 ? at::Tensor() : at::zeros_like(slot.parameter));
  }

  std::map<std::string, at::Tensor> state() const override {
    std::map<std::string, at::Tensor> values;
    for (size_t i = 0; i < slots().size(); ++i)
      if (momentum_[i].defined()) values["momentum/" + slots()[i].name] = momentum_[i];
    return values;
  }

 protected:
  void update(size_t i, const at::Tensor& gradient, double lr) override {
    const Slot& slot = slots()[i];
    at::Tensor x = slot.parameter;
    const at::Tensor& m = momentum_[i];
    if (m.defined() ? runs_flat(x, gradient, m) : runs_flat(x, gradient))
      return flat(x, gradient, m, slot.weight_decay, lr);
    at::Tensor d = slot.weight_decay == 0 ? gradient : gradient.add(x, slot.weight_decay);
    if (m.defined()) {
      momentum_[i].mul_(options().momentum).add_(d);
      d = options().nesterov ? d.add(m, options().momentum) : m;
    }
    x.add_(d, -lr);
  }

 private:
  void flat(at::Tensor& parameter, const at::Tensor& gradient, const at::Tensor& buffer,
            double weight_decay, double rate) const {
    float* x = parameter.data_ptr<float>();
    const float* g = gradient.data_ptr<float>();
    const int64_t n = parameter.numel();
    const float decay = static_cast<float>(weight_decay), lr = static_cast<float>(rate);
    if (!buffer.defined()) {
      for (int64_t i = 0; i < n; ++i) x[i] -= lr * (g[i] + decay * x[i]);
      return;
    }
    float* m = buffer.data_ptr<float>();
    const float keep = static_cast<float>(options().momentum);
    const bool nesterov = options().nesterov;
    for (int64_t i = 0; i < n; ++i) {
      const float d = g[i] + decay * x[i];
      m[i] = keep * m[i] + d;
      x[i] -= lr * (nesterov ? d + keep * m[i] : m[i]);
    }
  }

  std::vector<at::Tensor> momentum_;
};

/// Kingma and Ba, ICLR 2015, algorithm 1, with torch's placing of epsilon:
///   x -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + epsilon).
/// Adam adds weight_decay * x to the gradient, AdamW multiplies x by 1 - lr * weight_decay first. t
/// counts the updates of this parameter.
class Adam : public Optimizer {
 public:
  Adam(const OptimizerOptions& options, std::vector<nn::Named> parameters)
      : Optimizer(options, std::move(parameters)) {
    for (const Slot& slot : slots()) {
      average_.push_back(at::zeros_like(slot.parameter));
      square_.push_back(at::zeros_like(slot.parameter));
    }
    steps_ = at::zeros({static_cast<int64_t>(slots().size())}, at::kLong);
  }

  std::map<std::string, at::Tensor> state() const override {
    std::map<std::string, at::Tensor> values = {{"steps", steps_}};
    for (size_t i = 0; i < slots().size(); ++i) {
      values["average/" + slots()[i].name] = average_[i];
      values["square/" + slots()[i].name] = square_[i];
    }
    return values;
  }

 protected:
  struct Numbers {
    double step, root_correction, coupled_decay, shrink;
  };

  void update(size_t i, const at::Tensor& gradient, double lr) override {
    const Slot& slot = slots()[i];
    const Numbers numbers = numbers_of(slot, lr, ++steps_.data_ptr<int64_t>()[i]);
    at::Tensor x = slot.parameter;
    if (runs_flat(x, gradient, average_[i], square_[i])) return flat(i, gradient, numbers);
    const double b1 = options().betas[0], b2 = options().betas[1];
    x.mul_(numbers.shrink);
    const at::Tensor g =
        numbers.coupled_decay == 0 ? gradient : gradient.add(x, numbers.coupled_decay);
    average_[i].mul_(b1).add_(g, 1 - b1);
    square_[i].mul_(b2).addcmul_(g, g, 1 - b2);
    const at::Tensor root = square_[i].sqrt().div_(numbers.root_correction).add_(options().epsilon);
    x.addcdiv_(average_[i], root, -numbers.step);
  }

 private:
  Numbers numbers_of(const Slot& slot, double lr, int64_t count) const {
    const double t = static_cast<double>(count);
    const bool decoupled = options().kind == OptimizerKind::AdamW;
    return {lr / (1 - std::pow(options().betas[0], t)),
            std::sqrt(1 - std::pow(options().betas[1], t)), decoupled ? 0.0 : slot.weight_decay,
            decoupled ? 1 - lr * slot.weight_decay : 1.0};
  }

  void flat(size_t slot, const at::Tensor& gradient, const Numbers& numbers) const {
    float* x = slots()[slot].parameter.data_ptr<float>();
    float* m = average_[slot].data_ptr<float>();
    float* v = square_[slot].data_ptr<float>();
    const float* gradients = gradient.data_ptr<float>();
    const auto to_float = [](double value) { return static_cast<float>(value); };
    const float b1 = to_float(options().betas[0]), one_b1 = to_float(1 - options().betas[0]);
    const float b2 = to_float(options().betas[1]), one_b2 = to_float(1 - options().betas[1]);
    const float decay = to_float(numbers.coupled_decay), shrink = to_float(numbers.shrink);
    const float step = to_float(numbers.step), root = to_float(numbers.root_correction);
    const float epsilon = to_float(options().epsilon);
    for (int64_t i = 0, n = gradient.numel(); i < n; ++i) {
      x[i] *= shrink;
      const float g = gradients[i] + decay * x[i];
      m[i] = b1 * m[i] + one_b1 * g;
      v[i] = b2 * v[i] + one_b2 * (g * g);
      x[i] -= step * (m[i] / (std::sqrt(v[i]) / root + epsilon));
    }
  }

  std::vector<at::Tensor> average_, square_;
  at::Tensor steps_;  // (parameters) int64, on the CPU
};

bool is_range(nn::Role role) { return role == nn::Role::Range || role == nn::Role::WeightStep; }
bool is_norm(nn::Role role) { return role == nn::Role::NormScale || role == nn::Role::NormShift; }

double decay_of(nn::Role role, const OptimizerOptions& options) {
  if (is_range(role) || (is_norm(role) && !options.decay_norms)) return 0;
  return options.weight_decay;
}

}  // namespace

void GradientExchange::exchange(std::vector<at::Tensor>&) {}

double gradient_norm(const std::vector<at::Tensor>& gradients) {
  double sum = 0;
  std::vector<at::Tensor>
      elsewhere;  // one number a tensor, on its device: one wait for all of them
  for (const at::Tensor& one : gradients) {
    if (!one.defined()) continue;
    if (!one.device().is_cpu()) {
      elsewhere.push_back(one.to(at::kDouble).square().sum());
      continue;
    }
    const at::Tensor values = runs_flat(one) ? one : one.to(at::kFloat).contiguous();
    sum += squares(values.data_ptr<float>(), values.numel());
  }
  if (!elsewhere.empty()) sum += at::stack(elsewhere).sum().item<double>();
  return std::sqrt(sum);
}

void clip_gradients(std::vector<at::Tensor>& gradients, double norm, double most) {
  const double factor = most / (norm + 1e-6);
  if (!(factor < 1)) return;
  for (at::Tensor& one : gradients)
    if (one.defined()) one.mul_(factor);
}

Optimizer::Optimizer(const OptimizerOptions& options, std::vector<nn::Named> parameters)
    : options_(options) {
  for (nn::Named& one : parameters)
    slots_.push_back({std::move(one.name), one.tensor, decay_of(one.role, options),
                      is_range(one.role) ? options.range_lr_multiple : 1.0});
}

void Optimizer::step(double lr) {
  const at::NoGradGuard no_gradients;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const at::Tensor& gradient = slots_[i].parameter.grad();
    if (gradient.defined()) update(i, gradient, lr * slots_[i].lr_multiple);
  }
}

void Optimizer::zero_gradients() {
  for (Slot& slot : slots_) slot.parameter.mutable_grad() = at::Tensor();
}

std::vector<at::Tensor> Optimizer::gradients() const {
  std::vector<at::Tensor> all;
  for (const Slot& slot : slots_) all.push_back(slot.parameter.grad());
  return all;
}

void Optimizer::load(const std::map<std::string, at::Tensor>& values, const std::string& where) {
  const at::NoGradGuard no_gradients;
  for (auto& [name, tensor] : state()) {
    const auto found = values.find(name);
    if (found == values.end())
      fail(where, fmt::format("has no optimiser state '{}'; it belongs to another run.", name));
    if (found->second.sizes() != tensor.sizes())
      fail(where, fmt::format("optimiser state '{}' has another shape than the network's.", name));
    at::Tensor to = tensor;
    to.copy_(found->second);
  }
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          std::vector<nn::Named> parameters) {
  if (options.kind == OptimizerKind::Sgd)
    return std::make_unique<Sgd>(options, std::move(parameters));
  return std::make_unique<Adam>(options, std::move(parameters));
}

}  // namespace instantnet::train
