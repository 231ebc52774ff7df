#include "instantnet/runtime/code_sums.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <vector>

#include "instantnet/core/rng.h"

namespace instantnet::runtime {
namespace {

std::vector<SumNested*> all() {
  std::vector<SumNested*> ways = {&sum_nested_portable, &sum_nested};
  if (SumNested* native = native_sum_nested()) ways.push_back(native);
  return ways;
}

TEST(CodeSums, AreThoseOfTheWeightsOneByOne) {
  Rng rng(1);
  for (int i = 0; i < 400; ++i) {
    const int master = rng.flip() ? 8 : 16, bits = 1 + static_cast<int>(rng.below(master));
    std::vector<uint16_t> codes(rng.below(200));
    for (uint16_t& code : codes) code = static_cast<uint16_t>(rng.below(1 << master));
    int64_t sum = 0, size = 0;  // of W
    for (const uint16_t code : codes) {
      const int w = 2 * (code >> (master - bits)) + 1 - (1 << bits);
      sum += w;
      size += std::abs(w);
    }
    const auto count = static_cast<int64_t>(codes.size());
    for (SumNested* way : all()) {
      const CodeSums made = way(codes.data(), count, master - bits, bits);
      EXPECT_EQ(2 * made.sum + count, sum) << "seed 1, case " << i;
      EXPECT_EQ(2 * made.size + count, size) << "seed 1, case " << i;
    }
  }
}

TEST(CodeSums, HoldAMillionOfTheLargestCodes) {
  const int64_t count = 2000003;
  const std::vector<uint16_t> least(count, 0), most(count, 65535);
  for (SumNested* way : all()) {
    EXPECT_EQ(way(least.data(), count, 0, 16), (CodeSums{-32768 * count, 32767 * count}));
    EXPECT_EQ(way(most.data(), count, 0, 16), (CodeSums{32767 * count, 32767 * count}));
  }
}

}  // namespace
}  // namespace instantnet::runtime
