// A frozen layer read in real numbers, straight from docs/integer-model.md, against the trainer's
// own evaluation of that layer on the same input: what freeze() wrote down means what the network
// computes.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "freeze/networks.h"
#include "instantnet/nn/observed.h"
#include "instantnet/nn/plain_node.h"

namespace instantnet::freeze::test {
namespace {

using quant::Kind;
using runtime::InputKind;
using runtime::IntLayer;
using runtime::IntModel;
using runtime::Lattice;
using runtime::LayerWidth;

at::Tensor doubles(const std::vector<float>& values) {
  return torch::tensor(values).to(at::kDouble);
}

/// (k) or (c) against (n, k, ...) or (k, ...).
at::Tensor along(const at::Tensor& values, int64_t axis, int64_t axes) {
  std::vector<int64_t> shape(static_cast<size_t>(axes), 1);
  shape[static_cast<size_t>(axis)] = values.numel();
  return values.reshape(shape);
}

/// Weights at `bits`, (k, c, r, s) or (k, c), in units of the layer's real input.
at::Tensor weights_of(const IntModel& model, const IntLayer& layer, const at::Tensor& like,
                      int64_t groups, int bits) {
  std::vector<int64_t> codes(layer.codes.begin(), layer.codes.end());
  at::Tensor master = torch::tensor(codes);
  master = like.dim() == 4
               ? master.reshape({like.size(0), like.size(2), like.size(3), like.size(1)})
                     .permute({0, 3, 1, 2})
               : master.reshape(like.sizes());
  const int64_t wide = (int64_t{1} << layer.master_bits) - 1, most = (int64_t{1} << bits) - 1;
  const at::Tensor range = along(doubles(layer.range), 0, like.dim());
  if (layer.lattice == Lattice::Sbm)
    return at::floor_divide(2 * master * most + wide, 2 * wide).to(at::kDouble) * range /
               static_cast<double>(most) +
           along(doubles(layer.low), 0, like.dim());
  const at::Tensor odd =
      at::floor_divide(master, int64_t{1} << (layer.master_bits - bits)) * 2 - most;
  at::Tensor weights = odd.to(at::kDouble) * range * std::ldexp(1.0, -bits);
  if (layer.input == InputKind::Image)
    for (int64_t c = 0; c < like.size(1); ++c)
      for (int64_t k = 0; k < like.size(0); ++k) {
        const int64_t channel = k / (like.size(0) / groups) * like.size(1) + c;
        weights[k][c].mul_(
            255.0 *
            static_cast<double>(model.normalisation.deviation[static_cast<size_t>(channel)]));
      }
  return weights;
}

/// The input on its grid.
at::Tensor on_grid(const IntLayer& layer, const LayerWidth& width, const at::Tensor& x, int bits) {
  if (layer.input == InputKind::Image) return x;
  const bool is_signed = layer.input == InputKind::Signed && bits > 1;
  const double most = is_signed ? std::ldexp(1.0, bits - 1) - 1 : std::ldexp(1.0, bits) - 1;
  const at::Tensor step = along(doubles(width.range), 1, x.dim()) / most;
  const at::Tensor low = layer.input == InputKind::Offset ? along(doubles(width.low), 1, x.dim())
                                                          : at::zeros({1}, at::kDouble);
  return ((x - low) / step).round().clamp(is_signed ? -most : 0.0, most) * step + low;
}

/// What the frozen layer gives for real inputs at one width of the network.
at::Tensor read_layer(const IntModel& model, size_t index, const at::Tensor& like,
                      const at::Tensor& input, size_t width) {
  const IntLayer& layer = model.layers[index];
  const Node* node = nullptr;
  for (const Node& one : model.spec.nodes)
    if (one.name == layer.node) node = &one;
  const int network = layer.widths[width].bits;
  const int bits = node->bits == 0 ? network : node->bits == 32 ? 16 : node->bits;
  const at::Tensor x = on_grid(layer, layer.widths[width], input.to(at::kDouble), bits);
  const at::Tensor weights = weights_of(model, layer, like, node->groups, bits);
  const at::Tensor sum =
      node->op == Op::Linear
          ? at::linear(x, weights)
          : at::conv2d(x, weights, {}, {node->stride, node->stride}, {node->padding, node->padding},
                       {node->dilation, node->dilation}, node->groups);
  const at::Tensor y = sum * along(doubles(layer.widths[width].scale), 1, sum.dim()) +
                       along(doubles(layer.widths[width].shift), 1, sum.dim());
  return nn::activate(y, node->activation);
}

/// The share of a layer's outputs further apart than `tolerance` root mean squares of the output.
double share_apart(const at::Tensor& a, const at::Tensor& b, double tolerance) {
  const double scale = b.to(at::kDouble).square().mean().sqrt().item<double>() + 1e-12;
  return (a - b.to(at::kDouble)).abs().gt(tolerance * scale).to(at::kDouble).mean().item<double>();
}

struct Case {
  std::string name;
  NetworkSpec spec;
  std::vector<int> bits;
  quant::QuantOptions quant;
  nn::NormScope scope = nn::NormScope::AfterQuantized;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  quant::QuantOptions statistic = quantizer(Kind::Nested), shared = quantizer(Kind::Sbm),
                      learned = quantizer(Kind::Sbm);
  statistic.range = "statistic";
  shared.range_scope = quant::RangeScope::Shared;
  shared.depthwise_per_channel = false;
  learned.range = "learned";
  all.push_back({"space, nested", small_space(), {2, 4, 8, 32}, quantizer(Kind::Nested)});
  all.push_back({"space, sbm", small_space(), {4, 8}, quantizer(Kind::Sbm)});
  all.push_back(
      {"space, shared sbm", small_space(), {2, 4, 8}, shared, nn::NormScope::QuantizedOnly});
  all.push_back(
      {"resnet, nested to 16", small_resnet(), {1, 3, 6, 12, 16, 32}, quantizer(Kind::Nested)});
  all.push_back(
      {"resnet, sbm master", small_resnet(), {4, 5, 8, 12, 16}, quantizer(Kind::Sbm, 16)});
  all.push_back({"resnet, statistic", small_resnet(), {2, 8}, statistic});
  all.push_back({"resnet, adabits", small_resnet(), {2, 4, 6}, quantizer(Kind::Adabits)});
  all.push_back({"resnet, dorefa", small_resnet(), {2, 4, 8}, quantizer(Kind::Dorefa)});
  all.push_back({"pooled, quantized ends", pooled(0, 8), {2, 4, 8}, quantizer(Kind::Nested)});
  all.push_back({"pooled, quantized ends, sbm", pooled(0, 0), {4, 8}, quantizer(Kind::Sbm)});
  all.push_back({"pooled, sbm with learned ranges", pooled(), {4, 8}, learned});
  return all;
}

TEST(FrozenLayer, GivesWhatTheTrainersLayerGivesForTheSameInput) {
  for (const Case& one : cases()) {
    nn::SwitchableModel model = trained(one.spec, one.bits, one.quant, one.scope);
    const IntModel made = frozen(model).model;
    size_t width = 0;
    const auto executor = nn::make_observed_executor(
        model, 1, [&](size_t layer, const at::Tensor& input, const at::Tensor& output) {
          const at::Tensor read =
              read_layer(made, layer, model.layers()[layer].weight, input, width);
          // Inputs that float32 puts on the other side of a rounding border are few. Layers kept
          // at 32 bits become 16-bit codes: half a step of each input and weight.
          const bool kept = made.layers[layer].master_bits == 16 && one.bits.back() < 16;
          EXPECT_LE(share_apart(read, output, kept ? 1e-3 : 2e-4), 0.01)
              << one.name << ", layer " << made.layers[layer].node << " at "
              << made.layers[layer].widths[width].bits << " bits";
        });
    executor->begin(normalised(random_images(one.spec, 4, 300), normalisation_of(one.spec)));
    for (; width < made.layers[0].widths.size(); ++width)
      executor->forward(made.layers[0].widths[width].bits, nn::Mode::Eval);
  }
}

}  // namespace
}  // namespace instantnet::freeze::test
