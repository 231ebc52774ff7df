// The nested floor lattice against one loop over numbers.
#include "instantnet/quant/nested.h"

#include <gtest/gtest.h>

#include "quant/cases.h"

namespace instantnet::quant {
namespace {

using test::drawn;
using test::drawn_shape;
using test::floats;
using test::integers;
using test::kLaws;
using test::Law;

const Nested& nested() {
  static const Nested quantizer{QuantOptions{}};
  return quantizer;
}

/// Range c of each output channel, read off the codes' step.
at::Tensor ranges_of(const Quantizer::Codes& codes, int bits) {
  return codes.step * std::ldexp(1.0, bits - 1);
}

struct Scalar {
  int code;
  float value;
};

/// The formulas of nested.cpp for one number.
Scalar slowly(float weight, float range, int bits) {
  const float levels = std::ldexp(1.0F, bits);
  const float unit = weight / (range == 0 ? 1.0F : range);
  const float floored = std::floor((unit + 1) * (levels / 2));
  const float code = std::min(std::max(floored, 0.0F), levels - 1);
  return {static_cast<int>(code), (2 * code + 1 - levels) / levels * range};
}

TEST(Nested, ANarrowCodeIsTheLeadingBitsOfAnyWiderOne) {
  const uint64_t seed = 21;
  Rng rng(seed);
  for (int i = 0; i < 40; ++i)
    for (const Law law : kLaws) {
      const at::Tensor weight = drawn(law, drawn_shape(rng), rng);
      const at::Tensor widest = nested().codes(weight, 16, 16, {}).codes;
      for (int high = 16; high >= 1; --high) {
        const at::Tensor wide = nested().codes(weight, high, 16, {}).codes;
        ASSERT_TRUE(wide.equal(at::floor_divide(widest, 1 << (16 - high)))) << seed << " " << i;
        for (int low = 1; low <= high; ++low)
          ASSERT_TRUE(nested()
                          .codes(weight, low, high, {})
                          .codes.equal(wide.bitwise_right_shift(high - low)))
              << "seed " << seed << ", case " << i << ", " << high << " -> " << low << " bits";
      }
    }
}

TEST(Nested, EqualsOneLoopOverNumbers) {
  const uint64_t seed = 22;
  Rng rng(seed);
  for (int i = 0; i < 200; ++i) {
    const at::Tensor weight = drawn(kLaws[static_cast<size_t>(i % 4)], drawn_shape(rng), rng);
    const int bits = 1 + static_cast<int>(rng.below(16));
    const Quantizer::Codes made = nested().codes(weight, bits, bits, {});
    const std::vector<float> range = floats(ranges_of(made, bits)), from = floats(weight),
                             values = floats(nested().weight(weight, bits, 16, {}));
    const std::vector<int> codes = integers(made.codes);
    const size_t row = from.size() / range.size();
    for (size_t j = 0; j < from.size(); ++j) {
      const Scalar expected = slowly(from[j], range[j / row], bits);
      ASSERT_EQ(codes[j], expected.code) << "seed " << seed << ", case " << i << ", at " << j;
      ASSERT_EQ(values[j], expected.value) << "seed " << seed << ", case " << i << ", at " << j;
    }
  }
}

TEST(Nested, TheRangeIsAMultipleOfTheRootMeanSquareOfTheOutputChannel) {
  const uint64_t seed = 23;
  Rng rng(seed);
  QuantOptions options;
  options.weight_range_rms = 1.7;
  const Nested quantizer{options};
  for (const Law law : kLaws) {
    const at::Tensor weight = drawn(law, {5, 3, 3, 3}, rng);
    const at::Tensor range = ranges_of(quantizer.codes(weight, 6, 6, {}), 6);
    const at::Tensor expected = weight.to(at::kDouble).flatten(1).square().mean(1).sqrt() * 1.7;
    EXPECT_TRUE(at::allclose(range.to(at::kDouble), expected, 1.5e-7, 0)) << "seed " << seed;
  }
}

TEST(Nested, ValuesAreOddMultiplesAndReadFromCodes) {
  const uint64_t seed = 24;
  Rng rng(seed);
  for (int bits = 1; bits <= 16; ++bits)
    for (const Law law : kLaws) {
      const at::Tensor weight = drawn(law, {6, 4, 3, 3}, rng);
      const Quantizer::Codes codes = nested().codes(weight, bits, 16, {});
      const at::Tensor values = nested().weight(weight, bits, 16, {});
      const at::Tensor range = ranges_of(codes, bits);
      const at::Tensor odd =
          values.to(at::kDouble) / range.to(at::kDouble).view({6, 1, 1, 1}) * std::ldexp(1.0, bits);
      const at::Tensor expected = (codes.codes * 2 + 1 - (1 << bits)).to(at::kDouble);
      EXPECT_TRUE(at::allclose(odd, expected, 2e-7, 0)) << bits;
      EXPECT_LE(test::worst(values, test::read_codes(codes), range), 3e-7) << bits;
    }
}

TEST(Nested, AChannelOfZerosStaysZero) {
  Rng rng(25);
  at::Tensor weight = drawn(Law::Gaussian, {3, 2, 3, 3}, rng);
  weight[1].zero_();
  for (const int bits : {1, 2, 8, 16}) {
    const at::Tensor values = nested().weight(weight, bits, 16, {});
    EXPECT_TRUE(values[1].eq(0).all().item<bool>()) << bits;
    EXPECT_TRUE(values[0].ne(0).all().item<bool>()) << bits;
    EXPECT_TRUE(test::read_codes(nested().codes(weight, bits, 16, {}))[1].eq(0).all().item<bool>());
  }
}

TEST(Nested, OrderInMemoryDoesNotMatter) {
  Rng rng(26);
  const at::Tensor weight = drawn(Law::Gaussian, {5, 7, 3, 3}, rng);
  const at::Tensor last = weight.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor turned = weight.transpose(0, 1).contiguous().transpose(0, 1);
  for (const int bits : {1, 3, 8}) {
    const at::Tensor values = nested().weight(weight, bits, 8, {});
    EXPECT_TRUE(at::allclose(values, nested().weight(last, bits, 8, {}), 3e-7, 0)) << bits;
    EXPECT_TRUE(at::allclose(values, nested().weight(turned, bits, 8, {}), 3e-7, 0)) << bits;
  }
}

TEST(Nested, TheErrorOfAGaussianIsTheRecipes) {
  const uint64_t seed = 27;
  Rng rng(seed);
  const at::Tensor weight = drawn(Law::Gaussian, {1, 300000}, rng);
  const auto error = [&](int bits) {
    const at::Tensor gap = nested().weight(weight, bits, 8, {}) - weight;
    return (gap.square().mean() / weight.square().mean()).item<double>();
  };
  EXPECT_NEAR(error(2), 0.127, 0.002) << "seed " << seed;
  EXPECT_NEAR(error(4), 0.014, 0.002) << "seed " << seed;
  EXPECT_NEAR(error(8), 0.005, 0.001) << "seed " << seed;
}

TEST(Nested, TheGradientPassesStraightThrough) {
  Rng rng(28);
  const at::Tensor weight = drawn(Law::Extreme, {4, 3, 3, 3}, rng).requires_grad_();
  const at::Tensor upstream = drawn(Law::Gaussian, {4, 3, 3, 3}, rng);
  EXPECT_TRUE(nested().straight_through());
  for (const int bits : {1, 2, 8})
    EXPECT_TRUE(
        test::gradient_of(nested().weight(weight, bits, 8, {}), upstream, weight).equal(upstream));
}

}  // namespace
}  // namespace instantnet::quant
