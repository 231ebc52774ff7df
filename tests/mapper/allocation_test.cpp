#include "instantnet/mapper/allocation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "instantnet/core/rng.h"

namespace instantnet::mapper {
namespace {

using Stages = std::vector<std::vector<StageOption>>;

/// Small whole numbers, so that sums are exact and ties are common.
Stages random_stages(Rng& rng) {
  Stages stages(1 + rng.below(4));
  for (auto& stage : stages)
    for (uint64_t i = 0, count = 1 + rng.below(5); i < count; ++i)
      stage.push_back({1.0 + rng.below(12), 1 + static_cast<int64_t>(rng.below(6)),
                       static_cast<int64_t>(rng.below(5)), double(rng.below(6)),
                       double(rng.below(9))});
  return stages;
}

struct Best {
  double interval = std::numeric_limits<double>::infinity(), energy_pj = 0;
};

/// Tries every choice.
Best brute_force(const Stages& stages, int64_t array, int64_t buffer) {
  Best best;
  std::vector<size_t> choice(stages.size(), 0);
  for (size_t s = 0; s < stages.size();) {
    double slowest = 0, memory = 0, energy = 0;
    int64_t array_used = 0, buffer_used = 0;
    for (size_t i = 0; i < stages.size(); ++i) {
      const StageOption& option = stages[i][choice[i]];
      slowest = std::max(slowest, option.cycles), memory += option.memory_cycles;
      energy += option.energy_pj, array_used += option.array, buffer_used += option.buffer;
    }
    const double interval = std::max(slowest, memory);
    if (array_used <= array && buffer_used <= buffer &&
        (interval < best.interval || (interval == best.interval && energy < best.energy_pj)))
      best = {interval, energy};
    for (s = 0; s < stages.size() && ++choice[s] == stages[s].size(); ++s) choice[s] = 0;
  }
  return best;
}

TEST(Allocation, EqualsEveryChoiceTried) {
  Rng rng(11);
  int possible = 0, memory_bound = 0;
  for (int i = 0; i < 20000; ++i) {
    const Stages stages = random_stages(rng);
    const auto array = static_cast<int64_t>(1 + rng.below(16));
    const auto buffer = static_cast<int64_t>(rng.below(12));
    const Best best = brute_force(stages, array, buffer);
    const auto found = allocate(stages, array, buffer);
    ASSERT_EQ(found.has_value(), best.interval < 1e9) << "case " << i;
    if (!found) continue;
    ASSERT_EQ(found->interval, best.interval) << "case " << i;
    ASSERT_EQ(found->energy_pj, best.energy_pj) << "case " << i;
    const auto from_below = fastest(stages, array, buffer, best.interval - rng.below(3));
    ASSERT_TRUE(from_below);
    ASSERT_EQ(from_below->interval, best.interval) << "case " << i;
    double slowest = 0;
    for (size_t s = 0; s < stages.size(); ++s)
      slowest = std::max(slowest, stages[s][found->chosen[s]].cycles);
    ++possible, memory_bound += slowest < found->interval ? 1 : 0;
  }
  EXPECT_GT(possible, 5000);
  EXPECT_GT(memory_bound, 1000);
}

TEST(Allocation, FiftyStagesOnAHundredUnitsTakeAMoment) {
  Rng rng(3);
  Stages stages(50);
  for (auto& stage : stages) {
    const double work = rng.uniform(1e5, 1e7);
    for (int64_t array = 1; array <= 256; array *= 2)
      for (int64_t buffer = 1; buffer <= 64; buffer *= 2)
        stage.push_back({work / array * (1 + 1.0 / buffer), array, buffer, work / 1e3 / buffer,
                         work * (1 + 1.0 / buffer)});
  }
  const auto found = allocate(stages, 256, 128);
  ASSERT_TRUE(found);
  int64_t array = 0, buffer = 0;
  for (size_t s = 0; s < stages.size(); ++s)
    array += stages[s][found->chosen[s]].array, buffer += stages[s][found->chosen[s]].buffer;
  EXPECT_LE(array, 256);
  EXPECT_LE(buffer, 128);
}

TEST(Allocation, NothingWhereTheStagesDoNotFit) {
  EXPECT_FALSE(allocate({{{1, 2, 0, 0, 0}}, {{1, 2, 0, 0, 0}}}, 3, 9));
  EXPECT_FALSE(allocate({{{1, 2, 0, 0, 0}}, {}}, 9, 9));
}

}  // namespace
}  // namespace instantnet::mapper
