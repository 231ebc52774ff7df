// The reference preset against numbers that the authors' own PyTorch code computed.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <fmt/core.h>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "instantnet/nn/authors.h"
#include "instantnet/nn/executor.h"

namespace instantnet::nn {
namespace {

std::string golden(const std::string& name) { return std::string(INSTANTNET_SHARED_DIR) + "/golden/reference/" + name; }

SpaceOptions golden_space() {
  SpaceOptions space;
  space.layers_per_stage = {1, 2, 2, 1};
  space.channels = {8, 12, 16, 24};
  space.strides = {1, 2, 2, 1};
  space.stem_channels = 8;
  space.header_channels = 32;
  space.height = space.width = 16;
  space.classes = 10;
  return space;
}

NamedTensors with_prefix(const NamedTensors& all, const std::string& prefix) {
  NamedTensors some;
  for (const auto& [name, tensor] : all)
    if (name.starts_with(prefix)) some[name.substr(prefix.size())] = tensor;
  return some;
}

double gap(const at::Tensor& ours, const at::Tensor& theirs) {
  return (ours - theirs).abs().max().item<double>() / std::max(theirs.abs().max().item<double>(), 1e-12);
}

/// Worst relative differences.
struct Replay {
  double logits = 0, losses = 0, gradients = 0, weights = 0, buffers = 0, evaluation = 0;
};

/// Loss and gradient of the logits as in the authors' train(): cross-entropy plus MSE to each teacher.
std::pair<double, at::Tensor> loss_of(const at::Tensor& logits, const at::Tensor& labels, const std::vector<at::Tensor>& teachers) {
  at::Tensor leaf = logits.detach().clone().requires_grad_();
  at::Tensor loss = at::cross_entropy_loss(leaf, labels);
  for (const at::Tensor& teacher : teachers) loss = loss + at::mse_loss(leaf, teacher);
  loss.backward();
  return {loss.item<double>(), leaf.grad()};
}

std::vector<int> order_of(const std::string& loss, const std::vector<int>& bits) {
  if (loss == "joint") return bits;
  std::vector<int> order(bits.rbegin(), bits.rend());
  if (loss == "sp") std::rotate(order.begin() + 1, order.begin() + 1, order.end()), std::reverse(order.begin() + 1, order.end());
  return order;
}

/// The model's gradients under the authors' names.
NamedTensors gradients_of(const SwitchableModel& model) {
  const at::NoGradGuard no_gradient;
  SwitchableModel gradients = model.clone();
  const auto from = model.parameters(), to = gradients.parameters();
  for (size_t i = 0; i < from.size(); ++i) {
    at::Tensor value = to[i].tensor.detach();
    from[i].tensor.grad().defined() ? value.copy_(from[i].tensor.grad()) : value.zero_();
  }
  return to_authors(gradients);
}

/// One SGD step (lr .025, momentum .9, weight decay 5e-4) with gradients under the authors' names.
class AuthorsSgd {
 public:
  void step(SwitchableModel& model, const NamedTensors& gradients) {
    const at::NoGradGuard no_gradient;
    NamedTensors state = to_authors(model);
    for (const auto& [name, gradient] : gradients) {
      at::Tensor value = state.at(name);
      const at::Tensor decayed = gradient.add(value, 5e-4);
      const auto found = momentum_.find(name);
      at::Tensor& buffer = momentum_[name];
      buffer = found == momentum_.end() ? decayed.clone() : buffer.mul_(0.9).add_(decayed);
      value.add_(buffer, -0.025);
    }
    const SwitchableModel moved = model_from_authors(state, model.spec(), model.bits(), "step");
    const auto from = moved.tensors(), to = model.tensors();
    for (size_t i = 0; i < from.size(); ++i)
      if (from[i].learned) to[i].tensor.detach().copy_(from[i].tensor);
  }

 private:
  NamedTensors momentum_;
};

/// Replays three minibatches. Each starts from the authors' weights, because one code that flips in the last bit changes all
/// that follows: our gradients are compared, theirs move the weights.
Replay replay(const std::string& loss, const std::vector<int>& bits, const std::string& file, const nlohmann::json& losses) {
  const NamedTensors stored = read_pytorch(golden(file));
  const NetworkSpec spec = space_network({"k3_e1", "k3_e3", "skip", "k5_e1_g2", "k5_e3", "skip"}, golden_space());
  SwitchableModel model = model_from_authors(with_prefix(stored, "init."), spec, bits, file);
  const auto executor = make_plain_executor(model, 1);
  AuthorsSgd sgd;
  Replay result;
  for (int step = 0; step < 3; ++step) {
    const std::string at_step = fmt::format("step{}.", step);
    for (const Named& parameter : model.parameters()) at::Tensor(parameter.tensor).mutable_grad() = at::Tensor();
    executor->begin(stored.at(fmt::format("x.{}", step)));
    std::vector<at::Tensor> computed;
    for (const int width : order_of(loss, bits)) {
      const at::Tensor logits = executor->forward(width, Mode::Train);
      result.logits = std::max(result.logits, gap(logits, stored.at(fmt::format("{}logits.{}", at_step, width))));
      std::vector<at::Tensor> teachers;
      if (loss == "cdt") teachers = computed;
      if (loss == "sp" && !computed.empty()) teachers = {computed.front()};
      const auto [value, gradient] = loss_of(logits, stored.at(fmt::format("y.{}", step)), teachers);
      const double theirs = losses.at(static_cast<size_t>(step)).at(std::to_string(width)).at("loss");
      result.losses = std::max(result.losses, std::abs(value - theirs) / theirs);
      executor->backward(gradient);
      computed.push_back(logits);
    }
    executor->finish();
    const NamedTensors ours = gradients_of(model), theirs = with_prefix(stored, at_step + "grad.");
    double longest = 0;
    for (const auto& [name, gradient] : theirs) longest = std::max(longest, gradient.abs().max().item<double>());
    for (const auto& [name, gradient] : theirs) {
      // A gradient that is zero but for rounding is measured against the longest one.
      const double scale = std::max(gradient.abs().max().item<double>(), 1e-3 * longest);
      result.gradients = std::max(result.gradients, (ours.at(name) - gradient).abs().max().item<double>() / scale);
    }
    sgd.step(model, theirs);
  }
  const NamedTensors ours = to_authors(model), last = with_prefix(stored, "final.");
  std::set<std::string> used;
  for (const auto& [name, gradient] : with_prefix(stored, "step0.grad.")) used.insert(name);
  for (const auto& [name, theirs] : last) {
    const bool buffer = name.find("running") != std::string::npos;
    if (!buffer && used.count(name) == 0) continue;  // never used by their network
    double& worst = buffer ? result.buffers : result.weights;
    worst = std::max(worst, (ours.at(name) - theirs).abs().max().item<double>() / std::max(theirs.abs().max().item<double>(), 1e-3));
  }
  executor->begin(stored.at("x.0"));
  for (const int width : bits)
    result.evaluation = std::max(result.evaluation, gap(executor->forward(width, Mode::Eval), stored.at(fmt::format("eval.logits.{}", width))));
  return result;
}

using GoldenCase = std::pair<std::string, std::string>;  // loss, set of bit-widths

class Golden : public testing::TestWithParam<GoldenCase> {};

// Tolerances of the golden files: logits and losses 1e-4 relative, gradients and weights 1e-3.
TEST_P(Golden, TheAuthorsTrainingIsReproduced) {
  const auto& [loss, set] = GetParam();
  const std::string file = loss + "_" + set + ".pt";
  if (!std::filesystem::exists(golden(file))) GTEST_SKIP() << "golden data not at hand";
  std::ifstream meta(golden("meta.json"));
  const nlohmann::json facts = nlohmann::json::parse(meta).at(file);
  const Replay result = replay(loss, facts.at("bits").get<std::vector<int>>(), file, facts.at("losses"));
  fmt::print("{} {}: logits {:.1e} losses {:.1e} gradients {:.1e} weights {:.1e} buffers {:.1e} evaluation {:.1e}\n", loss, set,
             result.logits, result.losses, result.gradients, result.weights, result.buffers, result.evaluation);
  EXPECT_LE(result.logits, 1e-4);
  EXPECT_LE(result.losses, 1e-4);
  EXPECT_LE(result.gradients, 1e-3);
  EXPECT_LE(result.weights, 1e-3);
  EXPECT_LE(result.buffers, 1e-3);
  EXPECT_LE(result.evaluation, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Reference, Golden,
                         testing::Values(GoldenCase{"cdt", "wide"}, GoldenCase{"sp", "wide"}, GoldenCase{"joint", "wide"},
                                         GoldenCase{"cdt", "narrow"}, GoldenCase{"sp", "narrow"}, GoldenCase{"joint", "narrow"}),
                         [](const auto& given) { return given.param.first + "_" + given.param.second; });

}  // namespace
}  // namespace instantnet::nn
