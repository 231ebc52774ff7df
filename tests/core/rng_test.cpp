#include "instantnet/core/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <vector>

#include "instantnet/core/error.h"

namespace instantnet {
namespace {

TEST(Rng, GivesThePublishedSplitMix64Sequence) {
  Rng rng(1234567);
  const std::array<uint64_t, 5> published = {6457827717110365317u, 3203168211198807973u,
                                             9817491932198370423u, 4593380528125082431u,
                                             16408922859458223821u};
  for (const uint64_t value : published) EXPECT_EQ(rng.next(), value);
  EXPECT_EQ(Rng(0).next(), 0xE220A8397B1DCDAFu);
}

// Fixed: a change of these numbers changes every run of every user.
TEST(Rng, NeverChangesWhatASeedGives) {
  EXPECT_EQ(mix(0), 0x2130748AAAC80268u);
  EXPECT_EQ(mix(1, 2, 3, 4), 0x336C3255CBCC01FEu);
  EXPECT_EQ(Rng(1, 2, 3).next(), 0x51AD3878E79D5575u);
  Rng rng(42);
  EXPECT_EQ(rng.below(1000), 741u);
  EXPECT_EQ(rng.below(uint64_t{3} << 62), 2212369569095169218u);
  EXPECT_EQ(rng.uniform(), 0x1.1d499d5c4c3e6p-2);
  EXPECT_NEAR(rng.normal(), 0.89247039269083095,
              1e-15);  // the C library's log and cos may differ in the last bit
  EXPECT_EQ(rng.flip(), false);
}

TEST(Rng, CopiesRepeatTheSequence) {
  Rng rng(7);
  rng.next();
  Rng copy = rng;
  EXPECT_EQ(rng.next(), copy.next());
  EXPECT_EQ(Rng(rng.state()).next(), copy.next());
}

TEST(Rng, StreamsAndIndicesDiffer) {
  std::set<uint64_t> seen;
  for (uint64_t seed = 0; seed < 10; ++seed)
    for (uint64_t stream = 0; stream < 10; ++stream)
      for (uint64_t index = 0; index < 10; ++index) seen.insert(Rng(seed, stream, index).next());
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(Rng, MixChangesHalfTheBitsForOneBit) {
  double flipped = 0;
  for (int bit = 0; bit < 64; ++bit)
    flipped += __builtin_popcountll(mix(5, 6) ^ mix(5, 6 ^ (uint64_t{1} << bit)));
  EXPECT_NEAR(flipped / 64, 32, 3);
}

TEST(Rng, BelowStaysBelowAndReachesEverything) {
  for (uint64_t bound = 1; bound <= 20; ++bound) {
    Rng rng(11, bound);
    std::set<uint64_t> seen;
    for (int i = 0; i < 500; ++i) seen.insert(rng.below(bound));
    EXPECT_EQ(seen.size(), bound);
    EXPECT_EQ(*seen.rbegin(), bound - 1);
  }
}

// With bound = 3 * 2^62, floor(x * bound / 2^64) alone would reach multiples of 3 from two x each
// and the rest from one: shares 1/2, 1/4, 1/4 instead of thirds.
TEST(Rng, BelowHasNoBiasForLargeBounds) {
  const uint64_t bound = uint64_t{3} << 62;
  constexpr int kDraws = 30000;
  std::array<int, 3> modulo{};
  Rng rng(13);
  for (int i = 0; i < kDraws; ++i) ++modulo[rng.below(bound) % 3];
  for (const int count : modulo) EXPECT_NEAR(count, kDraws / 3, 5 * std::sqrt(kDraws * 2.0 / 9));
}

TEST(Rng, BelowHasNoBiasForSmallBounds) {
  constexpr int kDraws = 70000;
  std::array<int, 7> counts{};
  Rng rng(17);
  for (int i = 0; i < kDraws; ++i) ++counts[rng.below(7)];
  double chi2 = 0;
  for (const int count : counts) chi2 += std::pow(count - kDraws / 7.0, 2) / (kDraws / 7.0);
  EXPECT_LT(chi2, 22.5);  // 6 degrees of freedom, p = 0.001
}

TEST(Rng, BelowNothingIsABug) { EXPECT_THROW(Rng(1).below(0), Bug); }

TEST(Rng, UniformFillsTheUnitInterval) {
  Rng rng(19);
  double sum = 0, least = 1, most = 0;
  for (int i = 0; i < 20000; ++i) {
    const double value = rng.uniform();
    sum += value;
    least = std::min(least, value);
    most = std::max(most, value);
  }
  EXPECT_GE(least, 0);
  EXPECT_LT(most, 1);
  EXPECT_LT(least, 0.001);
  EXPECT_GT(most, 0.999);
  EXPECT_NEAR(sum / 20000, 0.5, 0.01);
}

TEST(Rng, NormalHasMeanZeroAndVarianceOne) {
  Rng rng(23);
  constexpr int kDraws = 50000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = rng.normal();
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += value * value;
    fourth += std::pow(value, 4);
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.02);
  EXPECT_NEAR(squares / kDraws, 1, 0.03);
  EXPECT_NEAR(fourth / kDraws, 3, 0.2);
}

}  // namespace
}  // namespace instantnet
