#include <gtest/gtest.h>

#include "instantnet/mapper/engine.h"
#include "mapper/small_spaces.h"

namespace instantnet::mapper {
namespace {

constexpr Objective kObjectives[] = {Objective::Edp, Objective::Energy, Objective::Latency};

TEST(Bound, IsNeverAboveTheBestOfAllMappings) {
  Rng rng(21);
  double ratio = 0;
  int count = 0;
  for (int i = 0; i < 400; ++i) {
    const SmallSpace one = small_space(rng, 5, 20000);
    const Space space(one.layer, one.device, {}, one.factors);
    const Evaluator evaluator(one.layer, one.precision, one.device);
    for (const Objective objective : kObjectives) {
      SearchOptions options;
      options.objective = objective;
      const Best best = search_exhaustive({evaluator, space, options, {}});
      const double bound = lower_bound(evaluator, space, objective);
      ASSERT_TRUE(best.nest);
      EXPECT_LE(bound, best.value.first) << "case " << i << describe(one);
      ratio += bound / best.value.first, ++count;
    }
  }
  EXPECT_GT(ratio / count, 0.5);  // and is not just 0
}

TEST(Bound, IsNeverAboveMappingsOfLargeSpaces) {
  Rng rng(22);
  for (int i = 0; i < 1500; ++i) {
    const SmallSpace one = small_space(rng, 5, 1e30);
    const Space space(one.layer, one.device, {}, one.factors);
    const Evaluator evaluator(one.layer, one.precision, one.device);
    SearchOptions options;
    options.objective = kObjectives[i % 3];
    options.budget = 2000;
    options.seed = static_cast<uint64_t>(i);
    const Best best = search_evolution({evaluator, space, options, {}});
    ASSERT_TRUE(best.nest);
    EXPECT_LE(lower_bound(evaluator, space, options.objective), best.value.first)
        << "case " << i << describe(one);
  }
}

}  // namespace
}  // namespace instantnet::mapper
