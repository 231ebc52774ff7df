#include "instantnet/runtime/memory_plan.h"

#include <gtest/gtest.h>

#include "instantnet/core/rng.h"

namespace instantnet::runtime {
namespace {

TEST(MemoryPlan, NeverOverlapsTensorsThatLiveTogether) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed);
    std::vector<Lifetime> lives(1 + rng.below(30));
    for (Lifetime& life : lives) {
      life.first = static_cast<int>(rng.below(20));
      life.last = life.first + static_cast<int>(rng.below(6));
      life.bytes = static_cast<int64_t>(rng.below(1000));
    }
    const MemoryPlan plan = plan_memory(lives);
    for (size_t i = 0; i < lives.size(); ++i) {
      EXPECT_EQ(plan.offsets[i] % 64, 0);
      EXPECT_LE(plan.offsets[i] + lives[i].bytes, plan.bytes);
      for (size_t j = 0; j < i; ++j) {
        if (lives[i].first > lives[j].last || lives[j].first > lives[i].last) continue;
        EXPECT_TRUE(plan.offsets[i] + lives[i].bytes <= plan.offsets[j] ||
                    plan.offsets[j] + lives[j].bytes <= plan.offsets[i] || lives[i].bytes == 0 ||
                    lives[j].bytes == 0)
            << "seed " << seed;
      }
    }
  }
}

TEST(MemoryPlan, ReusesMemoryOfTensorsThatAreGone) {
  const MemoryPlan plan = plan_memory({{0, 1, 640}, {1, 2, 640}, {2, 3, 640}, {3, 4, 640}});
  EXPECT_EQ(plan.bytes, 1280);
}

}  // namespace
}  // namespace instantnet::runtime
