// The supernet against numbers that the authors' own PyTorch code computed: softmax weights without
// noise, logits at 4 bits, gradients of cross-entropy and FLOPs with respect to alpha.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <filesystem>
#include <optional>

#include "instantnet/nas/alphas.h"
#include "instantnet/nas/cost.h"
#include "instantnet/nas/mixture.h"
#include "instantnet/nn/authors.h"
#include "instantnet/nn/executor.h"
#include "instantnet/train/loss.h"

namespace instantnet::nas {
namespace {

SearchSpace golden_space() {
  SearchSpace space;
  space.cells = {1, 2, 2, 1};
  space.channels = {8, 12, 16, 24};
  space.strides = {1, 2, 2, 1};
  space.stem_channels = 8;
  space.header_channels = 32;
  return space;
}

constexpr SpaceImage kImage{3, 16, 16, 10};

/// Their names of a layer's convolution and batch norm: "cells.0._ops.3.conv1", "...bn1".
std::pair<std::string, std::string> authors_names(const std::string& layer,
                                                  const SearchSpace& space) {
  if (layer == "fc") return {"fc", ""};
  if (!layer.starts_with("cells.")) return {layer + ".conv", layer + ".bn"};
  const size_t second = layer.find('.', 6), third = layer.find('.', second + 1);
  const std::string op = layer.substr(second + 1, third - second - 1),
                    part = layer.substr(third + 1);
  const auto number =
      std::find(space.operators.begin(), space.operators.end(), op) - space.operators.begin();
  const std::string prefix = fmt::format("{}._ops.{}.", layer.substr(0, second), number);
  if (part == "skip") return {prefix + "conv", prefix + "bn"};
  return {prefix + part, prefix + "bn" + part.substr(4)};
}

void load(nn::SwitchableModel& model, const nn::NamedTensors& stored, const SearchSpace& space) {
  const at::NoGradGuard no_gradient;
  const auto copy = [&](const at::Tensor& target, const std::string& name) {
    at::Tensor to = target.detach();
    to.copy_(stored.at("init." + name));
  };
  for (const nn::Layer& layer : model.layers()) {
    const auto [conv, norm] =
        authors_names(model.spec().nodes[static_cast<size_t>(layer.node)].name, space);
    copy(layer.weight, conv + ".weight");
    if (layer.bias.defined()) copy(layer.bias, conv + ".bias");
    for (size_t i = 0; i < layer.norms.size(); ++i) {
      copy(layer.norms[i].scale, fmt::format("{}.bn.{}.weight", norm, i));
      copy(layer.norms[i].shift, fmt::format("{}.bn.{}.bias", norm, i));
    }
  }
}

Rows rows_of(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kDouble).contiguous();
  Rows rows(static_cast<size_t>(values.size(0)));
  for (size_t i = 0; i < rows.size(); ++i) {
    const double* row = values.data_ptr<double>() + static_cast<int64_t>(i) * values.size(1);
    rows[i].assign(row, row + values.size(1));
  }
  return rows;
}

/// Largest difference, relative to the largest value.
double gap(const Rows& ours, const Rows& theirs) {
  double difference = 0, largest = 0;
  for (size_t i = 0; i < ours.size(); ++i)
    for (size_t k = 0; k < ours[i].size(); ++k) {
      difference = std::max(difference, std::abs(ours[i][k] - theirs[i][k]));
      largest = std::max(largest, std::abs(theirs[i][k]));
    }
  return difference / largest;
}

struct Gaps {
  double logits = 0, gradient = 0;
};

/// One forward and backward pass of a fresh supernet with the authors' weights, against theirs.
std::optional<Gaps> gaps_of(const nn::NamedTensors& stored, bool plain) {
  const SearchSpace space = golden_space();
  const Supernet supernet = supernet_of(space, kImage, plain ? Identity::Own : Identity::Shared);
  nn::ModelOptions options = nn::authors_model_options();
  if (!plain) options.layout = nn::Layout::ChannelsLast;
  nn::SwitchableModel model(supernet.network, {4, 8, 12, 16, 32}, options, 0);
  load(model, stored, space);
  const auto executor =
      plain ? nn::make_plain_executor(model, 1) : nn::make_fused_executor(model, 1);
  if (!executor) return std::nullopt;
  const Rows alpha = rows_of(stored.at("init.alpha"));
  const Sample sample = sample_soft(alpha, rows_like(alpha, 0.0), 1);
  executor->set_gates(gates_of(supernet, sample.weights));
  executor->begin(stored.at("x"));
  const at::Tensor logits = executor->forward(4, nn::Mode::Train), theirs = stored.at("logits.4");
  executor->backward(train::cross_entropy(logits, stored.at("y")).gradient.to(at::kFloat));
  executor->finish();
  const Rows gradient = backward(sample, weight_gradients(supernet, executor->gate_gradients()));
  return Gaps{((logits - theirs).abs().max() / theirs.abs().max()).item<double>(),
              gap(gradient, rows_of(stored.at("alpha.grad.ce")))};
}

bool at_hand(const std::string& file) { return std::filesystem::exists(file); }
const std::string kFile =
    std::string(INSTANTNET_SHARED_DIR) + "/golden/reference/supernet_softmax.pt";

TEST(GoldenSupernet, TheAuthorsLogitsAndAlphaGradientsAreReproduced) {
  if (!at_hand(kFile)) GTEST_SKIP() << "golden data not at hand";
  const nn::NamedTensors stored = nn::read_pytorch(kFile);
  const std::optional<Gaps> gaps = gaps_of(stored, /*plain=*/false);
  if (!gaps) GTEST_SKIP() << "no fused kernels in this build";
  fmt::print("fused: logits {:.1e} alpha gradients {:.1e}\n", gaps->logits, gaps->gradient);
  EXPECT_LE(gaps->logits, 1e-4);
  EXPECT_LE(gaps->gradient, 1e-3);
}

// A value on the border of two codes falls to either side by the last bit of a convolution's sum.
// At 4 bits everything behind it changes by percents: by plain operations, on the machine this was
// written on, one in the first cell falls otherwise than the authors'. At float both executors
// agree (tests/nn/gates_test.cpp).
TEST(GoldenSupernet, ByPlainOperationsIsTheAuthorsButForCodesThatFallOtherwise) {
  if (!at_hand(kFile)) GTEST_SKIP() << "golden data not at hand";
  const Gaps gaps = *gaps_of(nn::read_pytorch(kFile), /*plain=*/true);
  fmt::print("plain: logits {:.1e} alpha gradients {:.1e}\n", gaps.logits, gaps.gradient);
  EXPECT_LE(gaps.logits, 0.3);
}

TEST(GoldenCost, TheAuthorsFlopsAndTheirGradientAreReproduced) {
  if (!at_hand(kFile)) GTEST_SKIP() << "golden data not at hand";
  const nn::NamedTensors stored = nn::read_pytorch(kFile);
  // Their skip with stride 2 is counted as if the stride were 1, and the classifier is not counted.
  const CostTable table =
      price_space(golden_space(), kImage, 4, [](const LayerShape& shape, Precision) {
        const bool classifier = shape.k == 10, skip = shape.r == 1 && shape.stride > 1;
        return classifier
                   ? 0.0
                   : static_cast<double>(shape.macs() * (skip ? shape.stride * shape.stride : 1));
      });
  const Rows alpha = rows_of(stored.at("init.alpha"));
  const Sample sample = sample_soft(alpha, rows_like(alpha, 0.0), 1);
  double flops = table.fixed;
  for (size_t i = 0; i < alpha.size(); ++i)
    for (size_t k = 0; k < 9; ++k) flops += sample.weights[i][k] * table.cells[i][k];
  EXPECT_NEAR(flops / stored.at("flops").item<double>(), 1, 1e-5);
  EXPECT_LE(gap(backward(sample, table.cells), rows_of(stored.at("alpha.grad.flops"))), 1e-4);
}

}  // namespace
}  // namespace instantnet::nas
