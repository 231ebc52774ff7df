// What freeze() writes down: codes, affines, ranges, and what it refuses.
#include "instantnet/freeze/freeze.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

#include "core/helpers.h"
#include "freeze/networks.h"
#include "instantnet/freeze/weights.h"

namespace instantnet::freeze::test {
namespace {

using instantnet::test::error_of;
using quant::Kind;
using runtime::InputKind;
using runtime::IntLayer;
using runtime::Lattice;
using testing::ElementsAre;
using testing::HasSubstr;

const IntLayer& layer_of(const Frozen& frozen, const std::string& name) {
  for (const IntLayer& layer : frozen.model.layers)
    if (layer.node == name) return layer;
  throw std::logic_error("no layer " + name);
}

/// The weight that a master code means at `bits` (docs/integer-model.md, equations 1 and 2).
double value_of(const IntLayer& layer, size_t at, int bits) {
  const size_t k = at / (layer.codes.size() / layer.range.size());
  const auto range = static_cast<double>(layer.range[k]);
  const int64_t code = layer.codes[at], wide = (int64_t{1} << layer.master_bits) - 1,
                most = (int64_t{1} << bits) - 1;
  if (layer.lattice == Lattice::Nested)
    return range * static_cast<double>(2 * (code >> (layer.master_bits - bits)) - most) /
           std::ldexp(1.0, bits);
  const int64_t narrow = (2 * code * most + wide) / (2 * wide);
  return static_cast<double>(layer.low[k]) +
         static_cast<double>(narrow) * range / static_cast<double>(most);
}

/// Largest difference between the frozen layer's weights and the quantizer's values, in steps.
double worst_steps(const nn::SwitchableModel& model, size_t index, const IntLayer& layer,
                   int bits) {
  const nn::Layer& own = model.layers()[index];
  const at::Tensor values = in_runtime_order(
      model.quantizer().weight(own.weight, bits, model.master_bits(own), own.weight_state));
  double worst = 0;
  for (size_t i = 0; i < layer.codes.size(); ++i) {
    const double step =
        static_cast<double>(layer.range[i / (layer.codes.size() / layer.range.size())]) *
        std::ldexp(1.0, -bits);
    worst = std::max(worst, std::abs(value_of(layer, i, bits) -
                                     static_cast<double>(values.data_ptr<float>()[i])) /
                                step);
  }
  return worst;
}

void expect_weights(const nn::SwitchableModel& model, const Frozen& frozen, double steps) {
  for (size_t i = 0; i < model.layers().size(); ++i)
    for (const int bits : weight_widths(model, model.layers()[i]))
      EXPECT_LE(worst_steps(model, i, frozen.model.layers[i], bits), steps)
          << frozen.model.layers[i].node << " at " << bits;
}

TEST(FreezeWeights, AreTheQuantizersOnBothLatticesAtEveryWidth) {
  for (const NetworkSpec& spec : {small_space(), small_resnet(), pooled()})
    for (const Kind kind : {Kind::Nested, Kind::Adabits, Kind::Sbm, Kind::Dorefa}) {
      const nn::SwitchableModel model = trained(spec, {2, 4, 8, 32}, quantizer(kind));
      const Frozen made = frozen(model);
      const bool nested = kind == Kind::Nested || kind == Kind::Adabits;
      EXPECT_EQ(layer_of(made, made.model.layers[1].node).lattice,
                nested ? Lattice::Nested : Lattice::Sbm);
      EXPECT_EQ(made.model.layers[1].master_bits, 8);
      for (const CodeDifference& one : made.codes) EXPECT_EQ(one.differ, 0) << one.bits;
      EXPECT_EQ(made.codes.size(), 3U);
      expect_weights(model, made, 1e-3);
    }
}

TEST(FreezeWeights, TakeSixteenBitsWhereEightDoNotGiveEveryWidth) {
  const auto master = [](Kind kind, std::vector<int> bits, int sbm_master = 0) {
    const auto made = frozen(trained(pooled(), std::move(bits), quantizer(kind, sbm_master)));
    return layer_of(made, "wide").master_bits;
  };
  EXPECT_EQ(master(Kind::Nested, {3, 5, 8}), 8);
  EXPECT_EQ(master(Kind::Nested, {4, 9}), 16);
  EXPECT_EQ(master(Kind::Sbm, {4, 8}), 8);
  EXPECT_EQ(master(Kind::Sbm, {4, 5}), 16);
  EXPECT_EQ(master(Kind::Sbm, {4, 5}, 8), 8);
  EXPECT_EQ(master(Kind::Adabits, {6}), 8);
}

TEST(FreezeWeights, OfSbmAreExactWhereTrainedThroughTheMasterAndMeasuredElsewhere) {
  const std::vector<int> bits = {4, 5, 8, 12, 16};
  const Frozen exact = frozen(trained(small_resnet(), bits, quantizer(Kind::Sbm, 16)));
  for (const CodeDifference& one : exact.codes) EXPECT_EQ(one.differ, 0) << one.bits;
  const nn::SwitchableModel direct = trained(small_resnet(), bits, quantizer(Kind::Sbm));
  const Frozen near = frozen(direct);
  ASSERT_EQ(near.codes.size(), 5U);
  EXPECT_EQ(near.codes[3].bits, 12);
  EXPECT_GT(near.codes[3].differ, 0);
  EXPECT_LT(near.codes[3].differ, near.codes[3].weights / 20);
  EXPECT_EQ(near.codes[3].most, 1);
  // Widths that divide the master's differ only where float32 itself rounds to the other side.
  for (const size_t dividing : {0U, 2U, 4U}) EXPECT_LE(near.codes[dividing].differ, 3);
  expect_weights(direct, near, 1.1);
}

TEST(FreezeWeights, OfLayersThatStayAtFullWidthHaveSixteenBitsAndThePixelsStep) {
  const nn::SwitchableModel model = trained(pooled(), {4, 8}, quantizer(Kind::Sbm));
  const Frozen made = frozen(model);
  const IntLayer& stem = layer_of(made, "stem");
  EXPECT_EQ(stem.input, InputKind::Image);
  EXPECT_EQ(stem.lattice, Lattice::Nested);
  const at::Tensor weight = in_runtime_order(model.layer("stem").weight);
  const size_t each = stem.codes.size() / stem.range.size();
  for (size_t i = 0; i < stem.codes.size(); ++i) {
    const float deviation = made.model.normalisation.deviation[i % 2];
    const double wanted =
        static_cast<double>(weight.data_ptr<float>()[i]) / 255.0 / static_cast<double>(deviation);
    EXPECT_NEAR(value_of(stem, i, 16), wanted,
                static_cast<double>(stem.range[i / each]) * 1.01 / 65536.0);
  }
  EXPECT_EQ(layer_of(made, "fc").master_bits, 16);
  EXPECT_EQ(layer_of(made, "fc").input, InputKind::Signed);
}

TEST(FreezeWeights, OfAChannelOfOneValueMeanThatValue) {
  for (const Kind kind : {Kind::Nested, Kind::Sbm}) {
    nn::SwitchableModel model = trained(pooled(), {4, 8}, quantizer(kind));
    const at::NoGradGuard no_gradient;
    const double value = kind == Kind::Sbm ? 0.25 : 0.0;
    for (const size_t layer : {0U, 2U})
      model.layers()[layer].weight[1].fill_(layer == 0 ? 0.0 : value);
    const Frozen made = frozen(model);
    for (const size_t layer : {0U, 2U}) {
      const IntLayer& one = made.model.layers[layer];
      const size_t each = one.codes.size() / one.range.size();
      // A range of 0 gives weights of 0 in training, whatever the value was.
      EXPECT_NEAR(value_of(one, each, 8), 0.0, 1e-15) << layer;
    }
  }
}

TEST(FreezeAffine, IsBatchNormInEvaluation) {
  const nn::SwitchableModel model = trained(pooled(), {4, 8, 32}, quantizer(Kind::Nested));
  const Frozen made = frozen(model);
  const at::Tensor sums = torch::linspace(-3, 3, 8).reshape({1, 8, 1, 1});
  for (size_t w = 0; w < 2; ++w) {
    const nn::Norm& norm = model.layer("wide").norms[w];
    const at::Tensor wanted = at::batch_norm(sums, norm.scale, norm.shift, norm.mean, norm.variance,
                                             false, 0.1, model.options().norm_epsilon, false);
    const runtime::LayerWidth& width = layer_of(made, "wide").widths[w];
    for (int64_t k = 0; k < 8; ++k)
      EXPECT_NEAR(width.scale[k] * sums.flatten()[k].item<float>() + width.shift[k],
                  wanted.flatten()[k].item<float>(), 1e-5);
  }
  EXPECT_THAT(layer_of(made, "fc").widths[0].scale, testing::Each(1.0F));
  EXPECT_EQ(layer_of(made, "fc").widths[0].shift[1], model.layer("fc").bias[1].item<float>());
}

TEST(FreezeRanges, AreTheTrainedOnes) {
  const nn::SwitchableModel nested = trained(pooled(), {4, 8}, quantizer(Kind::Nested));
  const Frozen made = frozen(nested);
  for (size_t w = 0; w < 2; ++w)
    EXPECT_FLOAT_EQ(layer_of(made, "group").widths[w].range.at(0),
                    nested.layer("group").ranges[w].item<float>());
  EXPECT_EQ(layer_of(made, "deep").input, InputKind::Unsigned);
  EXPECT_EQ(layer_of(made, "group").input, InputKind::Signed);

  const nn::SwitchableModel sbm = trained(pooled(), {4, 8}, quantizer(Kind::Sbm));
  const Frozen offset = frozen(sbm);
  const IntLayer& deep = layer_of(offset, "deep");
  EXPECT_EQ(deep.input, InputKind::Offset);
  ASSERT_EQ(deep.widths[1].range.size(), 8U);
  for (int64_t c = 0; c < 8; ++c) {
    EXPECT_FLOAT_EQ(deep.widths[1].range[c], sbm.layer("deep").running[1][c].item<float>());
    EXPECT_FLOAT_EQ(deep.widths[1].low[c], sbm.layer("deep").low[1][c].item<float>());
  }
  EXPECT_EQ(layer_of(offset, "wide").widths[0].low.size(), 1U);
  const Frozen fixed = frozen(trained(pooled(), {4, 8}, quantizer(Kind::Dorefa)));
  EXPECT_THAT(layer_of(fixed, "deep").widths[0].range, ElementsAre(1.0F));
}

TEST(FreezeRanges, OfFullWidthLayersAreMeasured) {
  nn::SwitchableModel model = trained(pooled(), {4, 8, 32}, quantizer(Kind::Nested));
  FreezeOptions options;
  options.headroom = 2;
  const IntLayer fc = layer_of(frozen(model, options), "fc");
  options.headroom = 1;
  const IntLayer tight = layer_of(frozen(model, options), "fc");
  for (size_t w = 0; w < 2; ++w) {
    EXPECT_GT(tight.widths[w].range.at(0), 0.0F);
    EXPECT_FLOAT_EQ(fc.widths[w].range.at(0), 2 * tight.widths[w].range.at(0));
  }
  EXPECT_NE(tight.widths[0].range, tight.widths[1].range);
}

TEST(FreezeFloats, AreKeptWhenTheNetworkHas32Bits) {
  const nn::SwitchableModel model = trained(pooled(), {4, 32}, quantizer(Kind::Nested));
  const Frozen with = frozen(model);
  EXPECT_THAT(with.model.bits, ElementsAre(4, 32));
  ASSERT_EQ(with.model.floats.size(), model.layers().size());
  const at::Tensor weight = in_runtime_order(model.layer("group").weight);
  EXPECT_EQ(with.model.floats[2].weights[7], weight.flatten()[7].item<float>());
  FreezeOptions without;
  without.floats = false;
  EXPECT_THAT(frozen(model, without).model.bits, ElementsAre(4));
  EXPECT_TRUE(frozen(trained(pooled(), {4}, quantizer(Kind::Nested))).model.floats.empty());
}

TEST(FreezeMistakes, AreOneSentence) {
  const auto refusal = [](const nn::SwitchableModel& model) {
    return error_of([&] { frozen(model); });
  };
  const auto quantized = [&](quant::QuantOptions options, std::vector<int> bits = {4, 8}) {
    return refusal(trained(pooled(), std::move(bits), options));
  };
  quant::QuantOptions weights = quantizer(Kind::Nested), zero = quantizer(Kind::Sbm);
  weights.weight_only = zero.sbm_integer_zero = true;
  EXPECT_THAT(quantized(weights), HasSubstr("train without quant.weight_only"));
  EXPECT_THAT(quantized(zero), HasSubstr("quant.sbm_integer_zero: false"));
  EXPECT_THAT(quantized(quantizer(Kind::Lsq)), HasSubstr("networks of nested, adabits, sbm and"));
  EXPECT_THAT(quantized(quantizer(Kind::Dorefa), {1, 4}), HasSubstr("train from 2 bits on"));
  EXPECT_THAT(quantized(quantizer(Kind::Nested), {32}), HasSubstr("at 32 bits only"));
  EXPECT_THAT(refusal(trained(pooled(32, 8), {4, 32}, quantizer(Kind::Nested))),
              HasSubstr("layer 'fc' always runs at 8 bits"));
  nn::SwitchableModel broken = trained(pooled(), {4}, quantizer(Kind::Nested));
  broken.layers()[1].weight.detach()[0][0][0][0] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(refusal(broken), HasSubstr("wide.weight has values that are not finite"));
  const nn::SwitchableModel good = trained(pooled(), {4}, quantizer(Kind::Nested));
  EXPECT_THAT(error_of([&] {
                freeze(good, normalisation_of(good.spec()), {},
                       [](const std::function<void(const at::Tensor&)>&) {});
              }),
              HasSubstr("no calibration images were given"));
  EXPECT_THAT(error_of([&] {
                freeze(good, {{0.5F}, {0.5F}}, {}, images_of(good.spec()));
              }),
              HasSubstr("for images of 2 channels"));
}

}  // namespace
}  // namespace instantnet::freeze::test
