// What all quantizers share: grids of activations, learned ranges and their gradients, options.
#include "instantnet/quant/quantizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/helpers.h"
#include "quant/cases.h"

namespace instantnet::quant {
namespace {

using test::drawn;
using test::error_of;
using test::floats;
using test::Law;
using testing::HasSubstr;

at::Tensor one(double value) { return at::full({1}, value); }

/// One number on a grid without zero point.
float slowly(float x, const Grid& grid, int64_t c) {
  const float position = x * floats(grid.inverse)[static_cast<size_t>(c)];
  const float inside =
      std::min(std::max(position, static_cast<float>(grid.least)), static_cast<float>(grid.most));
  return std::nearbyint(inside) * floats(grid.step)[static_cast<size_t>(c)];
}

/// One number on a grid with a zero point.
float slowly_offset(float x, float low, float range, int bits) {
  const auto most = static_cast<float>((1 << bits) - 1);
  const float step = range / most;
  if (step == 0) return 0;
  return std::nearbyint(std::min(std::max((x - low) / step, 0.0F), most)) * step + low;
}

TEST(CodeLimits, CountAllCodesOfTheWidth) {
  for (int bits = 1; bits <= 16; ++bits) {
    EXPECT_EQ(code_limits(bits, false), std::make_pair(0, (1 << bits) - 1));
    if (bits == 1) continue;
    const int most = (1 << (bits - 1)) - 1;
    EXPECT_EQ(code_limits(bits, true), std::make_pair(-most, most));
  }
  EXPECT_EQ(code_limits(1, true), std::make_pair(0, 1));  // both must contain zero
}

TEST(ClipMultiple, TakesTheRecipesValuesAndTheirInterpolation) {
  EXPECT_DOUBLE_EQ(clip_multiple(2, false), 2.1);
  EXPECT_DOUBLE_EQ(clip_multiple(4, false), 3.4);
  EXPECT_DOUBLE_EQ(clip_multiple(8, false), 5.5);
  EXPECT_DOUBLE_EQ(clip_multiple(6, false), (3.4 + 5.5) / 2);
  for (const bool is_signed : {false, true})
    for (int bits = 2; bits <= 16; ++bits)
      EXPECT_GT(clip_multiple(bits, is_signed), clip_multiple(bits - 1, is_signed)) << bits;
}

TEST(ClipMultiple, IsNearTheLeastErrorOfAGaussian) {
  const auto error = [](double range, int bits) {  // of a standard normal on the symmetric grid
    const auto [least, most] = code_limits(bits, true);
    double sum = 0;
    for (double x = -8; x < 8; x += 1e-3) {
      const double code = std::nearbyint(std::clamp(x * most / range, 1.0 * least, 1.0 * most));
      sum += std::exp(-x * x / 2) * std::pow(code * range / most - x, 2);
    }
    return sum;
  };
  for (const int bits : {2, 3, 4, 6, 8}) {
    double best = error(1, bits);
    for (double range = 1; range < 6; range += 0.05) best = std::min(best, error(range, bits));
    EXPECT_LE(error(clip_multiple(bits, true), bits), 1.1 * best) << bits;
  }
}

TEST(ZeroGrid, EqualsOneLoopOverNumbers) {
  const uint64_t seed = 71;
  Rng rng(seed);
  for (int bits = 1; bits <= 16; ++bits)
    for (const bool is_signed : {false, true}) {
      const at::Tensor x = drawn(Law::Gaussian, {4, 3, 5, 5}, rng);
      const Grid grid = zero_grid(one(rng.uniform(0.1, 3)), bits, is_signed);
      const std::vector<float> from = floats(x), values = floats(fake_quantize(x, grid));
      for (size_t i = 0; i < from.size(); ++i)
        ASSERT_EQ(values[i], slowly(from[i], grid, 0)) << "seed " << seed << ", " << bits;
    }
}

TEST(ZeroGrid, HoldsZeroAndTheRangeItself) {
  for (int bits = 1; bits <= 16; ++bits)
    for (const bool is_signed : {false, true}) {
      const Grid grid = zero_grid(one(1.7), bits, is_signed);
      const std::vector<float> values =
          floats(fake_quantize(at::tensor({0.0F, 1.7F, 9.0F, -9.0F}).view({1, 4}), grid));
      EXPECT_EQ(values[0], 0);
      EXPECT_NEAR(values[1], 1.7, 1e-6);
      EXPECT_NEAR(values[2], 1.7, 1e-6);
      EXPECT_NEAR(values[3], is_signed && bits > 1 ? -1.7 : 0, 1e-6);
    }
}

TEST(ZeroGrid, TinyRangesAreRaised) {
  for (const double range : {0.0, -1.0, 1e-20}) {
    const Grid grid = zero_grid(one(range), 4, false);
    EXPECT_FLOAT_EQ(grid.step.item<float>() * 15, kLeastRange) << range;
    EXPECT_FLOAT_EQ(grid.inverse.item<float>(), 15 / kLeastRange) << range;
    EXPECT_FLOAT_EQ(fake_quantize(one(3).view({1, 1}), grid).item<float>(), kLeastRange) << range;
  }
}

TEST(OffsetGrid, EqualsOneLoopOverNumbersPerChannel) {
  const uint64_t seed = 72;
  Rng rng(seed);
  for (int bits = 1; bits <= 16; ++bits) {
    const at::Tensor x = drawn(Law::Laplace, {3, 4, 5, 5}, rng);
    const at::Tensor low = drawn(Law::Gaussian, {4}, rng);
    const at::Tensor range = drawn(Law::Uniform, {4}, rng).abs() * 2;
    range[1] = 0;
    const std::vector<float> from = floats(x),
                             values =
                                 floats(fake_quantize(x, offset_grid(low, range, bits, false)));
    for (size_t i = 0; i < from.size(); ++i) {
      const size_t c = i / 25 % 4;
      ASSERT_EQ(values[i], slowly_offset(from[i], floats(low)[c], floats(range)[c], bits))
          << "seed " << seed << ", " << bits << " bits, at " << i;
    }
  }
}

TEST(OffsetGrid, AWholeNumberZeroPointMakesZeroAValue) {
  const uint64_t seed = 73;
  Rng rng(seed);
  for (int i = 0; i < 300; ++i) {
    const int bits = 1 + static_cast<int>(rng.below(16));
    const at::Tensor low = one(rng.uniform(-2, 2)), range = one(rng.uniform(0, 3));
    const Grid grid = offset_grid(low, range, bits, true);
    const std::vector<float> values =
        floats(fake_quantize(at::tensor({0.0F, -50.0F, 50.0F}).view({1, 3}), grid));
    EXPECT_EQ(values[0], 0) << "seed " << seed << ", case " << i;
    // The ends move by half a step at most.
    const double step = grid.step.item<double>(), from = low.item<double>();
    EXPECT_NEAR(values[1], std::min(from, 0.0), step * 0.5001);
    EXPECT_NEAR(values[2], std::max(from + range.item<double>(), 0.0), step * 0.5001);
  }
}

TEST(FakeQuantize, TheGradientIsMaskedOutsideAZeroGrid) {
  const at::Tensor x =
      at::tensor({-0.1F, 0.0F, 0.5F, 2.0F, 2.0001F, -2.0F, -2.0001F}).view({1, 7}).requires_grad_();
  const at::Tensor upstream = at::arange(1, 8).to(at::kFloat).view({1, 7});
  const auto passed = [&](const Grid& grid) {
    return floats(test::gradient_of(fake_quantize(x, grid), upstream, x));
  };
  EXPECT_EQ(passed(zero_grid(one(2), 4, false)), (std::vector<float>{0, 2, 3, 4, 0, 0, 0}));
  EXPECT_EQ(passed(zero_grid(one(2), 4, true)), (std::vector<float>{1, 2, 3, 4, 0, 6, 0}));
  EXPECT_EQ(passed(offset_grid(one(0), one(2), 4, false)),  // Banner et al.: no mask
            (std::vector<float>{1, 2, 3, 4, 5, 6, 7}));
}

struct LearnedCase {
  int bits;
  bool is_signed;
};

std::vector<LearnedCase> learned_cases() {
  std::vector<LearnedCase> all;
  for (const int bits : {1, 2, 3, 4, 8, 12})
    for (const bool is_signed : {false, true}) all.push_back({bits, is_signed});
  return all;
}

TEST(LearnedRange, ValuesAreThoseOfTheZeroGrid) {
  Rng rng(74);
  for (const auto& [bits, is_signed] : learned_cases()) {
    const at::Tensor x = drawn(Law::Gaussian, {4, 3, 5, 5}, rng), alpha = one(1.3);
    for (const RangeGradient kind : {RangeGradient::Lsq, RangeGradient::Pact})
      EXPECT_TRUE(fake_quantize_learned(x, alpha, bits, is_signed, kind, 1)
                      .equal(fake_quantize(x, zero_grid(alpha, bits, is_signed))));
  }
}

/// Gradients of x and alpha, and the sum over |terms| of the latter.
struct Gradients {
  std::vector<float> x;
  double alpha = 0, size = 0;
};

/// Esser et al., eq. 3 (on the step), or Choi et al., eq. 4 (on the range), one number at a time.
Gradients slow_gradients(const at::Tensor& x, const at::Tensor& upstream, const Grid& grid,
                         RangeGradient kind) {
  Gradients result;
  const std::vector<float> from = floats(x), g = floats(upstream);
  const float inverse = grid.inverse.item<float>();
  for (size_t i = 0; i < from.size(); ++i) {
    const float v = from[i] * inverse;
    const bool below = v<static_cast<float>(grid.least), above = v> static_cast<float>(grid.most);
    result.x.push_back(below || above ? 0 : g[i]);
    double term = 0;
    if (kind == RangeGradient::Lsq)
      term = below ? grid.least : above ? grid.most : static_cast<double>(std::nearbyint(v) - v);
    else
      term = above ? 1 : below && grid.least < 0 ? -1 : 0;
    result.alpha += g[i] * term;
    result.size += std::abs(g[i] * term);
  }
  return result;
}

TEST(LearnedRange, GradientsAreThePapers) {
  const uint64_t seed = 75;
  Rng rng(seed);
  for (const auto& [bits, is_signed] : learned_cases())
    for (const RangeGradient kind : {RangeGradient::Lsq, RangeGradient::Pact}) {
      const at::Tensor x = drawn(Law::Gaussian, {4, 3, 5, 5}, rng).requires_grad_();
      const at::Tensor upstream = drawn(Law::Gaussian, {4, 3, 5, 5}, rng);
      const at::Tensor alpha = one(rng.uniform(0.3, 2)).requires_grad_();
      const double scale = range_gradient_scale(75, bits, is_signed);
      const auto got = torch::autograd::grad(
          {(fake_quantize_learned(x, alpha, bits, is_signed, kind, scale) * upstream).sum()},
          {x, alpha});
      const Gradients expected =
          slow_gradients(x, upstream, zero_grid(alpha, bits, is_signed), kind);
      EXPECT_EQ(floats(got[0]), expected.x) << "seed " << seed << ", " << bits;
      ASSERT_EQ(got[1].sizes(), (std::vector<int64_t>{1}));
      EXPECT_NEAR(got[1].item<double>(), expected.alpha * scale, 2e-6 * expected.size * scale)
          << "seed " << seed << ", " << bits << " bits, signed " << is_signed;
    }
}

TEST(LearnedRange, OutsideTheGradientIsTheDifferenceQuotient) {
  const at::Tensor x = at::tensor({40.0F, -70.0F, 90.0F}).view({1, 3});
  const at::Tensor upstream = at::tensor({0.3F, -1.1F, 0.6F}).view({1, 3});
  for (const auto& [bits, is_signed] : learned_cases())
    for (const RangeGradient kind : {RangeGradient::Lsq, RangeGradient::Pact}) {
      const int most = code_limits(bits, is_signed).second;
      // LSQ's gradient is that of the step, alpha / most; PACT's that of alpha.
      const double scale = kind == RangeGradient::Lsq ? 1.0 / most : 1.0;
      const auto value = [&](const at::Tensor& alpha) {
        return fake_quantize_learned(x, alpha, bits, is_signed, kind, scale);
      };
      const auto total = [&](double alpha) {
        return (value(one(alpha)) * upstream).sum().item<double>();
      };
      const at::Tensor alpha = one(2).requires_grad_();
      EXPECT_NEAR(test::gradient_of(value(alpha), upstream, alpha).item<double>(),
                  (total(2.5) - total(1.5)), 1e-5)
          << bits << " bits, signed " << is_signed;
    }
}

// Inside, LSQ differentiates step * (x / step + r) with the rounding r = round(x / step) - x / step
// held fixed.
TEST(LearnedRange, InsideTheGradientIsThatOfTheStepWithTheRoundingHeldFixed) {
  const float x = 0.77F;
  for (const int bits : {2, 4, 8}) {
    const int most = code_limits(bits, false).second;
    const double position = x * most / 2.0, rounding = std::nearbyint(position) - position;
    const auto surrogate = [&](double alpha) {
      return alpha / most * (x * most / alpha + rounding);
    };
    const at::Tensor alpha = one(2).requires_grad_();
    const at::Tensor value = fake_quantize_learned(at::full({1, 1}, x), alpha, bits, false,
                                                   RangeGradient::Lsq, 1.0 / most);
    EXPECT_NEAR(value.item<double>(), surrogate(2), 1e-6) << bits;
    EXPECT_NEAR(test::gradient_of(value, at::ones({1, 1}), alpha).item<double>(),
                (surrogate(2.001) - surrogate(1.999)) / 0.002, 1e-6)
        << bits;
  }
}

TEST(LearnedRange, TheBorderBelongsToTheRange) {
  const at::Tensor x =
      at::tensor({0.0F, 2.0F, -2.0F, 2.001F, -2.001F}).view({1, 5}).requires_grad_();
  const at::Tensor upstream = at::ones({1, 5});
  for (const RangeGradient kind : {RangeGradient::Lsq, RangeGradient::Pact}) {
    const at::Tensor alpha = one(2).requires_grad_();
    const auto passed = [&](bool is_signed) {
      return floats(
          test::gradient_of(fake_quantize_learned(x, alpha, 4, is_signed, kind, 1), upstream, x));
    };
    EXPECT_EQ(passed(false), (std::vector<float>{1, 1, 0, 0, 0}));
    EXPECT_EQ(passed(true), (std::vector<float>{1, 1, 1, 0, 0}));
  }
}

TEST(LearnedRange, TheGradientScaleIsThePapers) {
  EXPECT_DOUBLE_EQ(range_gradient_scale(100, 4, false), 1 / std::sqrt(100.0 * 15));
  EXPECT_DOUBLE_EQ(range_gradient_scale(100, 4, true), 1 / std::sqrt(100.0 * 7));
  EXPECT_DOUBLE_EQ(range_gradient_scale(9, 1, true), 1.0 / 3);
}

TEST(QuantOptions, EveryQuantizerHasItsOwnRangeUnlessToldOtherwise) {
  EXPECT_EQ(test::quantizer_of(Kind::Nested)->range_source(), RangeSource::Learned);
  EXPECT_EQ(test::quantizer_of(Kind::Sbm)->range_source(), RangeSource::MinMax);
  EXPECT_EQ(test::quantizer_of(Kind::Dorefa)->range_source(), RangeSource::Fixed);
  EXPECT_EQ(test::quantizer_of(Kind::Adabits)->range_source(), RangeSource::Learned);
  EXPECT_EQ(test::quantizer_of(Kind::Lsq)->range_source(), RangeSource::Learned);
  EXPECT_EQ(test::quantizer_of(Kind::Adabits)->range_gradient(), RangeGradient::Pact);
  for (const auto& [kind, kind_name] : names_of(Kind{}))
    for (const auto& [source, name] : names_of(RangeSource{})) {
      QuantOptions options;
      options.kind = kind;
      options.range = name;
      EXPECT_EQ(make_quantizer(options)->range_source(), source) << kind_name << " " << name;
    }
}

TEST(QuantOptions, AnUnknownRangeIsNamed) {
  for (const auto& [kind, name] : names_of(Kind{})) {
    QuantOptions options;
    options.kind = kind;
    options.range = "percentile";
    EXPECT_EQ(error_of([&] { make_quantizer(options); }),
              "quant.range: 'percentile' is not a range source; give auto, learned, statistic, "
              "minmax or fixed.")
        << name;
  }
}

TEST(QuantOptions, MistakesInAFileAreNamed) {
  QuantOptions options;
  const auto set = [&](const char* text) {
    return error_of([&] { set_field(fields(options), text); });
  };
  EXPECT_THAT(set("kind=nestd"), HasSubstr("nested"));
  EXPECT_THAT(set("sbm_master_bits=17"), HasSubstr("16"));
  EXPECT_THAT(set("weight_range_rms=0"), HasSubstr("0.1"));
  EXPECT_THAT(set("range_momentum=2"), HasSubstr("range_momentum"));
  EXPECT_THAT(set("rang=auto"), HasSubstr("range"));
  EXPECT_EQ(set("kind=lsq"), "no error");
  EXPECT_EQ(options.kind, Kind::Lsq);
}

TEST(QuantOptions, OnlyLsqLearnsAWeightStep) {
  for (const auto& [kind, name] : names_of(Kind{})) {
    const auto quantizer = test::quantizer_of(kind);
    EXPECT_EQ(quantizer->learns_weight_step(), kind == Kind::Lsq) << name;
    EXPECT_EQ(quantizer->least_bits(), kind == Kind::Lsq ? 2 : 1) << name;
    if (kind == Kind::Lsq) continue;
    EXPECT_THROW(quantizer->initial_weight_step(at::ones({1, 1}), 8), Bug);
  }
}

}  // namespace
}  // namespace instantnet::quant
