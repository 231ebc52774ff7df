// Learned weight steps with double rounding against one loop over numbers.
#include "instantnet/quant/lsq.h"

#include <gtest/gtest.h>

#include "quant/cases.h"

namespace instantnet::quant {
namespace {

using test::drawn;
using test::drawn_shape;
using test::floats;
using test::integers;
using test::Law;

const Lsq& lsq() {
  static const Lsq quantizer{QuantOptions{.kind = Kind::Lsq}};
  return quantizer;
}

WeightState step_of(double step) { return {at::full({1}, step)}; }

/// round to `bits` two's complement.
float rounded(float position, int bits) {
  const float half = std::ldexp(1.0F, bits - 1);
  return std::min(std::max(std::nearbyint(position), -half), half - 1);
}

struct Scalar {
  float position, code;
};

/// The formulas of lsq.cpp for one number.
Scalar slowly(float weight, float step, int bits, int highest) {
  const float ratio = std::ldexp(1.0F, highest - bits);
  return {weight / (step * ratio), rounded(rounded(weight / step, highest) / ratio, bits)};
}

TEST(Lsq, EqualsOneLoopOverNumbers) {
  const uint64_t seed = 61;
  Rng rng(seed);
  for (int i = 0; i < 200; ++i) {
    const at::Tensor weight = drawn(test::kLaws[static_cast<size_t>(i % 4)], drawn_shape(rng), rng);
    const int highest = 2 + static_cast<int>(rng.below(15));
    const int bits = 2 + static_cast<int>(rng.below(static_cast<uint64_t>(highest - 1)));
    const WeightState state = step_of(std::pow(10.0, rng.uniform(-5, 0)));
    const auto step = state.step.item<float>();
    const std::vector<float> from = floats(weight),
                             values = floats(lsq().weight(weight, bits, highest, state));
    const std::vector<int> codes = integers(lsq().codes(weight, bits, highest, state).codes);
    for (size_t j = 0; j < from.size(); ++j) {
      const Scalar expected = slowly(from[j], step, bits, highest);
      ASSERT_EQ(codes[j], expected.code) << "seed " << seed << ", case " << i << ", at " << j;
      ASSERT_EQ(values[j], expected.code * (step * std::ldexp(1.0F, highest - bits)))
          << "seed " << seed << ", case " << i << ", at " << j;
    }
  }
}

TEST(Lsq, ANarrowCodeIsRoundedFromTheStoredOne) {
  const uint64_t seed = 62;
  Rng rng(seed);
  const WeightState state = step_of(0.004);
  for (const Law law : test::kLaws) {
    const at::Tensor weight = drawn(law, {6, 50}, rng);
    for (int high = 2; high <= 16; ++high) {
      const std::vector<int> wide = integers(lsq().codes(weight, high, high, state).codes);
      for (int low = 2; low <= high; ++low) {
        const std::vector<int> narrow = integers(lsq().codes(weight, low, high, state).codes);
        for (size_t i = 0; i < wide.size(); ++i)
          ASSERT_EQ(narrow[i], rounded(std::ldexp(static_cast<float>(wide[i]), low - high), low))
              << "seed " << seed << ", " << high << " -> " << low << " bits";
      }
    }
  }
}

TEST(Lsq, CodesReadBackAsTheValuesAndZeroIsOne) {
  Rng rng(63);
  at::Tensor weight = drawn(Law::Gaussian, {5, 30}, rng);
  weight[2].zero_();
  for (int bits = 2; bits <= 8; ++bits) {
    const at::Tensor values = lsq().weight(weight, bits, 8, step_of(0.02));
    EXPECT_TRUE(test::read_codes(lsq().codes(weight, bits, 8, step_of(0.02))).equal(values))
        << bits;
    EXPECT_TRUE(values[2].eq(0).all().item<bool>()) << bits;
  }
}

TEST(Lsq, TheFirstStepSpreadsTheRangeOverTheCodes) {
  Rng rng(64);
  const at::Tensor weight = drawn(Law::Gaussian, {5, 30}, rng);
  const double rms = weight.to(at::kDouble).square().mean().sqrt().item<double>();
  const at::Tensor step = lsq().initial_weight_step(weight, 8);
  ASSERT_EQ(step.sizes(), (std::vector<int64_t>{1}));
  EXPECT_NEAR(step.item<double>() * 128, 2.3 * rms, 1e-5);
  EXPECT_GT(lsq().initial_weight_step(at::zeros({2, 2}), 8).item<float>(), 0);
  EXPECT_TRUE(lsq().learns_weight_step());
  EXPECT_EQ(lsq().least_bits(), 2);
}

// Esser et al., eq. 3 and section 2.2, on the step of `bits`, which is 2^(highest - bits) times the
// learned one.
TEST(Lsq, GradientsAreThePapers) {
  const uint64_t seed = 65;
  Rng rng(seed);
  for (int i = 0; i < 60; ++i) {
    const at::Tensor weight = drawn(Law::Laplace, drawn_shape(rng), rng).requires_grad_();
    const at::Tensor upstream = drawn(Law::Gaussian, weight.sizes().vec(), rng);
    const int highest = 2 + static_cast<int>(rng.below(9));
    const int bits = 2 + static_cast<int>(rng.below(static_cast<uint64_t>(highest - 1)));
    const WeightState state = step_of(std::ldexp(rng.uniform(0.5, 3), -highest));
    state.step.requires_grad_();
    const auto got = torch::autograd::grad(
        {(lsq().weight(weight, bits, highest, state) * upstream).sum()}, {weight, state.step});
    const std::vector<float> from = floats(weight), g = floats(upstream), passed = floats(got[0]);
    const double half = std::ldexp(1.0, bits - 1);
    double total = 0, size = 0;
    for (size_t j = 0; j < from.size(); ++j) {
      const Scalar at = slowly(from[j], state.step.item<float>(), bits, highest);
      const bool inside = at.position >= -half && at.position <= half - 1;
      const double of_step = static_cast<double>(at.code) - (inside ? at.position : 0.0F);
      total += g[j] * of_step;
      size += std::abs(g[j] * of_step);
      ASSERT_EQ(passed[j], inside ? g[j] : 0) << "seed " << seed << ", case " << i << ", at " << j;
    }
    const double scale =
        std::ldexp(1.0, highest - bits) / std::sqrt(static_cast<double>(from.size()) * (half - 1));
    ASSERT_EQ(got[1].sizes(), (std::vector<int64_t>{1}));
    EXPECT_NEAR(got[1].item<double>(), total * scale, 1e-5 * size * scale) << "seed " << seed;
  }
}

// Outside the limits the code stays, so the value is differentiable in the step.
TEST(Lsq, OutsideTheLimitsTheStepsGradientIsTheDifferenceQuotient) {
  const at::Tensor weight = at::tensor({50.0F, -70.0F, 90.0F}).view({1, 3});
  const at::Tensor upstream = at::tensor({0.3F, -1.1F, 0.6F}).view({1, 3});
  for (const int bits : {2, 4, 8}) {
    const auto value = [&](double step) {
      return (lsq().weight(weight, bits, 8, step_of(step)) * upstream).sum().item<double>();
    };
    const WeightState state = step_of(0.25);
    state.step.requires_grad_();
    const double difference = (value(0.25 + 0.0625) - value(0.25 - 0.0625)) / 0.125;
    const double scale = 1 / std::sqrt(3 * (std::ldexp(1.0, bits - 1) - 1));
    const at::Tensor got =
        test::gradient_of(lsq().weight(weight, bits, 8, state), upstream, state.step);
    EXPECT_NEAR(got.item<double>(), difference * scale, 1e-4 * std::abs(difference * scale))
        << bits;
  }
}

}  // namespace
}  // namespace instantnet::quant
