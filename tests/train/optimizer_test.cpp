#include "instantnet/train/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>

#include "core/helpers.h"

namespace instantnet::train {
namespace {

using ::testing::HasSubstr;

/// A few parameters of odd shapes, the second channels-last.
std::vector<nn::Named> some_parameters() {
  const auto values = [](std::vector<int64_t> shape, double phase) {
    const at::Tensor flat = at::arange(c10::multiply_integers(shape), at::kFloat).add(phase).sin();
    return flat.view(shape).clone();
  };
  std::vector<nn::Named> all = {
      {"a", nn::Role::Weight, values({3, 5}, 0), true, 0},
      {"b", nn::Role::Weight, values({4, 2, 3, 3}, 1).contiguous(at::MemoryFormat::ChannelsLast),
       true, 0},
      {"c", nn::Role::NormScale, values({7}, 2), true, 0},
  };
  for (nn::Named& one : all) one.tensor.requires_grad_();
  return all;
}

/// Gradients of a step: parameter 2 has none in every third step; parameter 1 alternates between
/// layouts.
void set_gradients(const std::vector<nn::Named>& parameters, int step) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    at::Tensor parameter = parameters[i].tensor;
    parameter.mutable_grad() = at::Tensor();
    if (i == 2 && step % 3 == 0) continue;
    at::Tensor gradient = at::arange(parameter.numel(), at::kFloat).mul(1.3).add(step).cos();
    gradient = gradient.view(parameter.sizes()).contiguous(parameter.suggest_memory_format());
    if (i == 1 && step % 2 == 0) gradient = gradient.contiguous();
    parameter.mutable_grad() = gradient;
  }
}

std::vector<at::Tensor> tensors_of(const std::vector<nn::Named>& parameters) {
  std::vector<at::Tensor> all;
  for (const nn::Named& one : parameters) all.push_back(one.tensor);
  return all;
}

/// Ours and torch's side by side for 20 steps.
void expect_same_steps(
    const OptimizerOptions& options,
    const std::function<std::unique_ptr<torch::optim::Optimizer>(std::vector<at::Tensor>)>&
        theirs) {
  const std::vector<nn::Named> mine = some_parameters(), other = some_parameters();
  const auto ours = make_optimizer(options, mine);
  const auto torchs = theirs(tensors_of(other));
  for (int step = 0; step < 20; ++step) {
    set_gradients(mine, step);
    set_gradients(other, step);
    ours->step(options.lr);
    torchs->step();
    for (size_t i = 0; i < mine.size(); ++i)
      EXPECT_TRUE(mine[i].tensor.allclose(other[i].tensor, 1e-6, 1e-7))
          << "parameter " << i << " after step " << step;
  }
}

TEST(Optimizer, SgdStepsAsTorchs) {
  for (const double momentum : {0.0, 0.9})
    for (const bool nesterov : {false, true}) {
      if (nesterov && momentum == 0) continue;
      OptimizerOptions options;
      options.momentum = momentum;
      options.nesterov = nesterov;
      options.weight_decay = 0.01;
      expect_same_steps(options, [&](std::vector<at::Tensor> parameters) {
        return std::make_unique<torch::optim::SGD>(std::move(parameters),
                                                   torch::optim::SGDOptions(options.lr)
                                                       .momentum(momentum)
                                                       .nesterov(nesterov)
                                                       .weight_decay(0.01));
      });
    }
}

TEST(Optimizer, AdamStepsAsTorchs) {
  OptimizerOptions options;
  options.kind = OptimizerKind::Adam;
  options.weight_decay = 0.01;
  expect_same_steps(options, [&](std::vector<at::Tensor> parameters) {
    return std::make_unique<torch::optim::Adam>(
        std::move(parameters), torch::optim::AdamOptions(options.lr).weight_decay(0.01));
  });
}

TEST(Optimizer, AdamWStepsAsTorchs) {
  OptimizerOptions options;
  options.kind = OptimizerKind::AdamW;
  options.weight_decay = 0.01;
  expect_same_steps(options, [&](std::vector<at::Tensor> parameters) {
    return std::make_unique<torch::optim::AdamW>(
        std::move(parameters), torch::optim::AdamWOptions(options.lr).weight_decay(0.01));
  });
}

TEST(Optimizer, NeverDecaysRangesAndDecaysNormsOnRequest) {
  for (const bool decay_norms : {false, true}) {
    std::vector<nn::Named> parameters;
    for (const nn::Role role : {nn::Role::Range, nn::Role::NormShift, nn::Role::Weight})
      parameters.push_back({std::to_string(static_cast<int>(role)), role, at::ones({2}), true, 0});
    for (nn::Named& one : parameters) one.tensor.mutable_grad() = at::zeros({2});
    OptimizerOptions options;
    options.decay_norms = decay_norms;
    make_optimizer(options, parameters)->step(0.1);
    EXPECT_EQ(parameters[0].tensor[0].item<float>(), 1.0F);
    EXPECT_EQ(parameters[1].tensor[0].item<float>() == 1.0F, !decay_norms);
    EXPECT_LT(parameters[2].tensor[0].item<float>(), 1.0F);
  }
}

TEST(Optimizer, RangesHaveTheirOwnMultipleOfTheLearningRate) {
  std::vector<nn::Named> parameters = {{"r", nn::Role::Range, at::zeros({1}), true, 8},
                                       {"w", nn::Role::Weight, at::zeros({1}), true, 0}};
  for (nn::Named& one : parameters) one.tensor.mutable_grad() = at::ones({1});
  OptimizerOptions options;
  options.range_lr_multiple = 0.5;
  make_optimizer(options, parameters)->step(0.5);
  EXPECT_EQ(parameters[0].tensor.item<float>(), -0.25F);
  EXPECT_EQ(parameters[1].tensor.item<float>(), -0.5F);
}

TEST(Optimizer, ContinuesFromItsState) {
  for (const OptimizerKind kind : {OptimizerKind::Sgd, OptimizerKind::Adam}) {
    OptimizerOptions options;
    options.kind = kind;
    const std::vector<nn::Named> one = some_parameters();
    const auto first = make_optimizer(options, one);
    for (int step = 1; step < 4; ++step) {
      set_gradients(one, step);
      first->step(0.1);
    }
    std::vector<nn::Named> other = some_parameters();
    for (size_t i = 0; i < one.size(); ++i) other[i].tensor.detach().copy_(one[i].tensor.detach());
    const auto second = make_optimizer(options, other);
    second->load(first->state(), "here");
    set_gradients(one, 4);
    set_gradients(other, 4);
    first->step(0.1);
    second->step(0.1);
    for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(one[i].tensor.equal(other[i].tensor));
  }
}

TEST(Optimizer, NamesStateThatIsMissingOrMisshapen) {
  const auto optimizer = make_optimizer({}, some_parameters());
  EXPECT_THAT(test::error_of([&] { optimizer->load({}, "last"); }),
              HasSubstr("last: has no optimiser state 'momentum/a'"));
  auto state = optimizer->state();
  state["momentum/a"] = at::zeros({1});
  EXPECT_THAT(test::error_of([&] { optimizer->load(state, "last"); }), HasSubstr("another shape"));
}

TEST(GradientNorm, ClipsAsTorchDoes) {
  const std::vector<nn::Named> mine = some_parameters(), other = some_parameters();
  set_gradients(mine, 3);
  set_gradients(other, 3);
  std::vector<at::Tensor> gradients;
  for (const nn::Named& one : mine) gradients.push_back(one.tensor.grad());
  std::vector<at::Tensor> used = {other[0].tensor, other[1].tensor};
  const double expected = torch::nn::utils::clip_grad_norm_(used, 1.5);
  EXPECT_NEAR(gradient_norm(gradients), expected, 1e-6 * expected);
  clip_gradients(gradients, gradient_norm(gradients), 1.5);
  for (size_t i = 0; i < 2; ++i)
    EXPECT_TRUE(mine[i].tensor.grad().allclose(other[i].tensor.grad(), 1e-6, 1e-8));
}

}  // namespace
}  // namespace instantnet::train
