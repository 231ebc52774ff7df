// The min-max quantizer against one loop over numbers, and its integer variants.
#include "instantnet/quant/sbm.h"

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

Sbm sbm(int master_bits = 0, bool integer_zero = false) {
  QuantOptions options;
  options.kind = Kind::Sbm;
  options.sbm_master_bits = master_bits;
  options.sbm_integer_zero = integer_zero;
  return Sbm(options);
}

/// The formula of sbm.cpp for one number of a channel with these extremes.
float slowly(float weight, float low, float high, int bits) {
  const auto most = static_cast<float>((1 << bits) - 1);
  const float step = (high - low) / most;
  if (step == 0) return 0;
  const float position = std::min(std::max((weight - low) / step, 0.0F), most);
  return std::nearbyint(position) * step + low;
}

TEST(Sbm, EqualsOneLoopOverNumbers) {
  const uint64_t seed = 31;
  Rng rng(seed);
  for (int i = 0; i < 300; ++i) {
    const at::Tensor weight = drawn(kLaws[static_cast<size_t>(i % 4)], drawn_shape(rng), rng);
    const int bits = 1 + static_cast<int>(rng.below(16));
    const std::vector<float> from = floats(weight),
                             values = floats(sbm().weight(weight, bits, 16, {}));
    const size_t row = from.size() / static_cast<size_t>(weight.size(0));
    for (size_t j = 0; j < from.size(); ++j) {
      const auto first = from.begin() + static_cast<std::ptrdiff_t>(j / row * row);
      const auto [low, high] = std::minmax_element(first, first + static_cast<std::ptrdiff_t>(row));
      ASSERT_EQ(values[j], slowly(from[j], *low, *high, bits))
          << "seed " << seed << ", case " << i << ", at " << j << ", " << bits << " bits";
    }
  }
}

TEST(Sbm, CodesReadBackAsTheValues) {
  const uint64_t seed = 32;
  Rng rng(seed);
  for (const auto& quantizer : {sbm(), sbm(8), sbm(12), sbm(0, true), sbm(8, true)})
    for (int bits = 1; bits <= 16; ++bits) {
      const at::Tensor weight = drawn(Law::Laplace, {5, 3, 3, 3}, rng);
      const Quantizer::Codes codes = quantizer.codes(weight, bits, 16, {});
      const at::Tensor range = weight.flatten(1).abs().amax(1);
      EXPECT_LE(test::worst(quantizer.weight(weight, bits, 16, {}), test::read_codes(codes), range),
                5e-7)
          << "seed " << seed << ", " << bits << " bits";
      EXPECT_GE(codes.codes.min().item<int>(), 0);
      EXPECT_LE(codes.codes.max().item<int>(), (1 << bits) - 1);
    }
}

TEST(Sbm, AConstantChannelBecomesZero) {
  Rng rng(33);
  at::Tensor weight = drawn(Law::Gaussian, {3, 2, 3, 3}, rng);
  weight[1].fill_(0.7);
  for (const auto& quantizer : {sbm(), sbm(8)})
    for (const int bits : {1, 2, 8, 16}) {
      EXPECT_TRUE(quantizer.weight(weight, bits, 16, {})[1].eq(0).all().item<bool>()) << bits;
      const at::Tensor read = test::read_codes(quantizer.codes(weight, bits, 16, {}));
      EXPECT_TRUE(read[1].eq(0).all().item<bool>()) << bits;
    }
}

TEST(Sbm, EndsOfTheRangeAreKept) {
  Rng rng(34);
  const at::Tensor weight = drawn(Law::Gaussian, {6, 20}, rng);
  for (int bits = 1; bits <= 16; ++bits) {
    const at::Tensor values = sbm().weight(weight, bits, 16, {});
    EXPECT_TRUE(values.amin(1).equal(weight.amin(1))) << bits;
    EXPECT_TRUE(at::allclose(values.amax(1), weight.amax(1), 0, 1e-6)) << bits;
  }
}

/// Where (w - low) / step of a width lies, in double.
at::Tensor positions_of(const at::Tensor& weight, int bits) {
  const at::Tensor wide = weight.to(at::kDouble).flatten(1);
  const at::Tensor low = wide.amin(1, true);
  return (wide - low) / (wide.amax(1, true) - low) * ((1 << bits) - 1);
}

/// Codes of `bits` derived from a master of `master` bits, less the direct ones; 0 where the direct
/// position is a tie to float32 rounding.
at::Tensor derived_less_direct(const at::Tensor& weight, int master, int bits) {
  const at::Tensor derived = sbm(master).codes(weight, bits, 16, {}).codes;
  const at::Tensor direct = sbm().codes(weight, bits, 16, {}).codes;
  const at::Tensor position = positions_of(weight, bits);
  const at::Tensor from_tie = (position - position.floor() - 0.5).abs();
  return (derived - direct).flatten(1) * from_tie.gt(1e-6 * (1 << bits) + 1e-7);
}

TEST(Sbm, CodesOfAMasterAreTheDirectOnesWhereBitsDivide) {
  const uint64_t seed = 35;
  Rng rng(seed);
  const std::vector<std::pair<int, std::vector<int>>> pairs = {
      {16, {8, 4, 2, 1}}, {12, {6, 4, 3, 2}}, {8, {8, 4, 2, 1}}, {4, {2, 1}}};
  for (const Law law : {Law::Gaussian, Law::Laplace, Law::Uniform}) {
    const at::Tensor weight = drawn(law, {16, 5000}, rng);
    for (const auto& [master, widths] : pairs)
      for (const int bits : widths)
        EXPECT_EQ(derived_less_direct(weight, master, bits).count_nonzero().item<int64_t>(), 0)
            << "seed " << seed << ", " << master << " -> " << bits;
  }
}

TEST(Sbm, CodesOfAMasterAreWithinOneOtherwise) {
  const uint64_t seed = 36;
  Rng rng(seed);
  const at::Tensor weight = drawn(Law::Gaussian, {8, 5000}, rng);
  for (int master = 2; master <= 16; ++master)
    for (int bits = 1; bits < master; ++bits)
      EXPECT_LE(derived_less_direct(weight, master, bits).abs().max().item<int>(), 1)
          << "seed " << seed << ", " << master << " -> " << bits;
}

TEST(Sbm, AMasterIsRoundedInIntegersAlone) {
  const uint64_t seed = 37;
  Rng rng(seed);
  const at::Tensor weight = drawn(Law::Laplace, {4, 2000}, rng);
  for (const int master : {5, 8, 13, 16}) {
    const std::vector<int> wide = integers(sbm(master).codes(weight, master, 16, {}).codes);
    for (int bits = 1; bits < master; ++bits) {
      const std::vector<int> narrow = integers(sbm(master).codes(weight, bits, 16, {}).codes);
      const int64_t most = (1 << bits) - 1, wide_most = (1 << master) - 1;
      for (size_t i = 0; i < wide.size(); ++i)  // no ties: wide_most is odd
        ASSERT_EQ(narrow[i], (2 * wide[i] * most + wide_most) / (2 * wide_most))
            << "seed " << seed << ", " << master << " -> " << bits;
    }
  }
}

TEST(Sbm, WidthsFromTheMasterOnAreTakenFromTheWeight) {
  Rng rng(38);
  const at::Tensor weight = drawn(Law::Gaussian, {4, 50}, rng);
  for (const int bits : {8, 12, 16})
    EXPECT_TRUE(sbm(8).weight(weight, bits, 16, {}).equal(sbm().weight(weight, bits, 16, {})));
}

TEST(Sbm, AWholeNumberZeroPointMakesZeroAValue) {
  const uint64_t seed = 39;
  Rng rng(seed);
  for (int i = 0; i < 60; ++i)
    for (const int master : {0, 8}) {
      at::Tensor weight = drawn(kLaws[static_cast<size_t>(i % 3)], {5, 30}, rng);
      weight[1] = weight[1].abs() + 0.1;  // ranges that do not reach zero
      weight[2] = -weight[2].abs() - 0.1;
      weight.select(1, 0).zero_();
      const int bits = 1 + static_cast<int>(rng.below(16));
      const at::Tensor values = sbm(master, true).weight(weight, bits, 16, {});
      EXPECT_TRUE(values.select(1, 0).eq(0).all().item<bool>())
          << "seed " << seed << ", case " << i << ", " << bits << " bits, master " << master;
    }
}

TEST(Sbm, AWholeNumberZeroPointIsDerivedFromTheMasterToo) {
  const uint64_t seed = 41;
  Rng rng(seed);
  const at::Tensor weight = drawn(Law::Gaussian, {6, 2000}, rng);
  for (const auto& [master, bits] :
       std::vector<std::pair<int, int>>{{16, 8}, {16, 4}, {8, 4}, {8, 2}, {4, 2}, {8, 1}}) {
    const Quantizer::Codes direct = sbm(0, true).codes(weight, bits, 16, {});
    const Quantizer::Codes derived = sbm(master, true).codes(weight, bits, 16, {});
    EXPECT_TRUE(at::allclose(direct.offset, derived.offset, 1e-6, 0)) << master << " -> " << bits;
    const at::Tensor from_zero = weight.to(at::kDouble) / direct.step.to(at::kDouble).view({6, 1});
    const at::Tensor from_tie = (from_zero - from_zero.floor() - 0.5).abs();
    const at::Tensor differ = direct.codes.ne(derived.codes).logical_and(from_tie.gt(1e-3));
    EXPECT_EQ(differ.sum().item<int64_t>(), 0)
        << "seed " << seed << ", " << master << " -> " << bits;
    EXPECT_GE(derived.codes.min().item<int>(), 0);
    EXPECT_LE(derived.codes.max().item<int>(), (1 << bits) - 1);
  }
}

TEST(Sbm, AWholeNumberZeroPointWidensTheRangeToZero) {
  const at::Tensor weight = at::tensor({2.0F, 2.5F, 3.0F, -3.0F, -2.5F, -2.0F}).view({2, 3});
  const Quantizer::Codes codes = sbm(0, true).codes(weight, 2, 16, {});
  EXPECT_EQ(floats(codes.step), (std::vector<float>{1, 1}));
  EXPECT_EQ(floats(codes.offset), (std::vector<float>{0, -3}));
  EXPECT_EQ(integers(codes.codes), (std::vector<int>{2, 2, 3, 0, 0, 1}));
}

TEST(Sbm, TheGradientPassesStraightThrough) {
  Rng rng(40);
  const at::Tensor weight = drawn(Law::Extreme, {4, 3, 3, 3}, rng).requires_grad_();
  const at::Tensor upstream = drawn(Law::Gaussian, {4, 3, 3, 3}, rng);
  for (const auto& quantizer : {sbm(), sbm(8), sbm(0, true)}) {
    EXPECT_TRUE(quantizer.straight_through());
    for (const int bits : {1, 4, 8})
      EXPECT_TRUE(test::gradient_of(quantizer.weight(weight, bits, 8, {}), upstream, weight)
                      .equal(upstream));
  }
}

}  // namespace
}  // namespace instantnet::quant
