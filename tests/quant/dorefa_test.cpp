// DoReFa against the paper's equations in double.
#include "instantnet/quant/dorefa.h"

#include <gtest/gtest.h>

#include "quant/cases.h"
#include "quant/tanh_weights.h"

namespace instantnet::quant {
namespace {

using test::drawn;
using test::drawn_shape;
using test::floats;
using test::integers;
using test::Law;

const Dorefa& dorefa() {
  static const Dorefa quantizer{QuantOptions{.kind = Kind::Dorefa}};
  return quantizer;
}

// A code is right when its position is nearest, give or take float32 rounding of the position.
TEST(Dorefa, EqualsEquationNine) {
  const uint64_t seed = 41;
  Rng rng(seed);
  for (int i = 0; i < 120; ++i) {
    const at::Tensor weight = drawn(test::kLaws[static_cast<size_t>(i % 4)], drawn_shape(rng), rng);
    if (weight.abs().max().item<float>() < 1e-6F) continue;
    const int bits = 2 + static_cast<int>(rng.below(15));
    const double most = std::ldexp(1.0, bits) - 1;
    const std::vector<float> from = floats(weight),
                             values = floats(dorefa().weight(weight, bits, 16, {}));
    const std::vector<int> codes = integers(dorefa().codes(weight, bits, 16, {}).codes);
    const std::vector<double> unit = test::unit_weights({from.begin(), from.end()});
    for (size_t j = 0; j < from.size(); ++j) {
      ASSERT_NEAR(codes[j], unit[j] * most, 0.5 + 3e-7 * most) << "seed " << seed << ", case " << i;
      ASSERT_NEAR(values[j], 2 * (codes[j] / most) - 1, 2e-7) << "seed " << seed << ", case " << i;
    }
  }
}

TEST(Dorefa, TheLargestWeightIsAtTheEndOfTheRange) {
  Rng rng(42);
  const at::Tensor weight = drawn(Law::Gaussian, {4, 3, 3, 3}, rng);
  for (int bits = 2; bits <= 16; ++bits)
    EXPECT_EQ(dorefa().weight(weight, bits, 16, {}).abs().max().item<float>(), 1) << bits;
}

TEST(Dorefa, OneBitIsTheSignTimesTheMeanSize) {
  const at::Tensor weight = at::tensor({1.0F, -2.0F, 0.0F, 5.0F}).view({2, 2});
  EXPECT_EQ(floats(dorefa().weight(weight, 1, 8, {})), (std::vector<float>{2, -2, 2, 2}));
}

TEST(Dorefa, CodesReadBackAsTheValues) {
  const uint64_t seed = 43;
  Rng rng(seed);
  for (int bits = 1; bits <= 16; ++bits) {
    const at::Tensor weight = drawn(Law::Laplace, {5, 3, 3, 3}, rng);
    EXPECT_TRUE(at::allclose(test::read_codes(dorefa().codes(weight, bits, 16, {})),
                             dorefa().weight(weight, bits, 16, {}), 0, 1e-6))
        << "seed " << seed << ", " << bits << " bits";
  }
}

TEST(Dorefa, WeightsOfZeroGiveNumbers) {
  const at::Tensor weight = at::zeros({2, 3});
  for (const int bits : {1, 2, 8}) {
    const at::Tensor values = dorefa().weight(weight, bits, 8, {});
    EXPECT_TRUE(values.isfinite().all().item<bool>()) << bits;
    EXPECT_LE(values.abs().max().item<double>(), 1 / (std::ldexp(1.0, bits) - 1) + 1e-6) << bits;
  }
}

TEST(Dorefa, TheGradientIsThatOfTheTransformWithoutRounding) {
  const uint64_t seed = 44;
  Rng rng(seed);
  EXPECT_FALSE(dorefa().straight_through());
  for (const int bits : {2, 4, 8}) {
    const at::Tensor weight = drawn(Law::Gaussian, {3, 2, 2, 2}, rng).requires_grad_();
    const at::Tensor upstream = drawn(Law::Gaussian, {3, 2, 2, 2}, rng);
    const auto got =
        floats(test::gradient_of(dorefa().weight(weight, bits, 8, {}), upstream, weight));
    const auto expected = test::tanh_differences(floats(weight), floats(upstream));
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], expected[i], 1e-5 + 1e-5 * std::abs(expected[i])) << "seed " << seed;
  }
}

TEST(Dorefa, TheGradientOfOneBitPassesStraightThrough) {
  Rng rng(45);
  const at::Tensor weight = drawn(Law::Gaussian, {3, 7}, rng).requires_grad_();
  const at::Tensor upstream = drawn(Law::Gaussian, {3, 7}, rng);
  EXPECT_TRUE(
      test::gradient_of(dorefa().weight(weight, 1, 8, {}), upstream, weight).equal(upstream));
}

}  // namespace
}  // namespace instantnet::quant
