// AdaBits' floor grid against its formula in double.
#include "instantnet/quant/adabits.h"

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

const Adabits& adabits() {
  static const Adabits quantizer{QuantOptions{.kind = Kind::Adabits}};
  return quantizer;
}

// A code is right when its cell holds the position, give or take float32 rounding of the position.
TEST(Adabits, EqualsTheFormula) {
  const uint64_t seed = 51;
  Rng rng(seed);
  for (int i = 0; i < 120; ++i) {
    const at::Tensor weight = drawn(test::kLaws[static_cast<size_t>(i % 4)], drawn_shape(rng), rng);
    if (weight.abs().max().item<float>() < 1e-6F) continue;
    const int bits = 1 + static_cast<int>(rng.below(16));
    const double levels = std::ldexp(1.0, bits);
    const std::vector<float> from = floats(weight),
                             values = floats(adabits().weight(weight, bits, 16, {}));
    const std::vector<int> codes = integers(adabits().codes(weight, bits, 16, {}).codes);
    const std::vector<double> unit = test::unit_weights({from.begin(), from.end()});
    for (size_t j = 0; j < from.size(); ++j) {
      ASSERT_LE(codes[j], levels - 1) << "seed " << seed << ", case " << i;
      ASSERT_NEAR(codes[j] + 0.5, unit[j] * levels, 0.5 + 3e-7 * levels)
          << "seed " << seed << ", case " << i;
      ASSERT_EQ(values[j], (2 * codes[j] + 1) / levels - 1) << "seed " << seed << ", case " << i;
    }
  }
}

TEST(Adabits, ANarrowCodeIsTheLeadingBitsOfAnyWiderOne) {
  const uint64_t seed = 52;
  Rng rng(seed);
  for (const Law law : test::kLaws) {
    const at::Tensor weight = drawn(law, {8, 4, 3, 3}, rng);
    for (int high = 1; high <= 16; ++high) {
      const at::Tensor wide = adabits().codes(weight, high, 16, {}).codes;
      for (int low = 1; low <= high; ++low)
        EXPECT_TRUE(
            adabits().codes(weight, low, 16, {}).codes.equal(wide.bitwise_right_shift(high - low)))
            << "seed " << seed << ", " << high << " -> " << low << " bits";
    }
  }
}

TEST(Adabits, CodesReadBackAsTheValues) {
  const uint64_t seed = 53;
  Rng rng(seed);
  for (int bits = 1; bits <= 16; ++bits) {
    const at::Tensor weight = drawn(Law::Laplace, {5, 3, 3, 3}, rng);
    EXPECT_TRUE(test::read_codes(adabits().codes(weight, bits, 16, {}))
                    .equal(adabits().weight(weight, bits, 16, {})))
        << "seed " << seed << ", " << bits << " bits";
  }
}

TEST(Adabits, TheGradientIsThatOfTheTransformWithoutRounding) {
  const uint64_t seed = 54;
  Rng rng(seed);
  EXPECT_FALSE(adabits().straight_through());
  for (const int bits : {1, 2, 8}) {
    const at::Tensor weight = drawn(Law::Gaussian, {3, 2, 2, 2}, rng).requires_grad_();
    const at::Tensor upstream = drawn(Law::Gaussian, {3, 2, 2, 2}, rng);
    const auto got =
        floats(test::gradient_of(adabits().weight(weight, bits, 8, {}), upstream, weight));
    const auto expected = test::tanh_differences(floats(weight), floats(upstream));
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], expected[i], 1e-5 + 1e-5 * std::abs(expected[i])) << "seed " << seed;
  }
}

}  // namespace
}  // namespace instantnet::quant
