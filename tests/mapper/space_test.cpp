#include "instantnet/mapper/space.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "instantnet/mapper/engine.h"
#include "mapper/random_cases.h"
#include "mapper/small_spaces.h"

namespace instantnet::mapper {
namespace {

TEST(Space, FactorsAreTheLeastForEachCountOfSteps) {
  EXPECT_EQ(factors_of(12, true), (std::vector<int64_t>{1, 2, 3, 4, 6, 12}));
  EXPECT_EQ(factors_of(7, false), (std::vector<int64_t>{1, 2, 3, 4, 7}));
  for (int64_t n = 1; n <= 300; ++n) {
    std::vector<int64_t> least;
    for (int64_t f = 1; f <= n; ++f) {
      if (f == 1 || (n + f - 1) / f != (n + f - 2) / (f - 1)) least.push_back(f);
      EXPECT_EQ(least_factor(n, f), least.back());
    }
    EXPECT_EQ(factors_of(n, false), least);
  }
}

TEST(Space, SettledLoopsCoverTheLayerExactly) {
  Rng rng(11);
  for (int i = 0; i < 500; ++i) {
    const SmallSpace one = small_space(rng, 5, 1e30);
    const Space space(one.layer, one.device, {}, one.factors);
    const Nest nest = space.draw(rng);
    for (const Dim d : kAllDims) {
      int64_t left = space.bounds()[at(d)];
      for (const Slot& slot : space.slots()) {
        const int64_t f = factor_at(nest, slot, d);
        if (space.divides(d)) {
          EXPECT_EQ(left % f, 0) << describe(one);
        }
        EXPECT_EQ(least_factor(left, f), f) << describe(one);
        left = (left + f - 1) / f;
      }
      EXPECT_EQ(left, 1) << describe(one);
    }
  }
}

/// The least value over orders of all levels but the innermost.
double best_order(const Task& task, Nest nest, int level, bool all) {
  if (level == nest.levels) {
    Score score;
    return task.evaluator.score(nest, score) ? score.energy_pj : -1;
  }
  double best = -1;
  const auto with = [&](const Order& order) {
    nest.order[level] = order;
    const double value = best_order(task, nest, level + 1, all);
    if (best < 0 || value < best) best = value;
  };
  if (!all) {
    for (const Order& order : task.space.orders(level)) with(order);
    return best;
  }
  std::vector<Dim> loops, rest;
  for (const Dim d : kAllDims) (nest.temporal[level][at(d)] > 1 ? loops : rest).push_back(d);
  do {
    Order order{};
    std::copy(loops.begin(), loops.end(), std::copy(rest.begin(), rest.end(), order.begin()));
    with(order);
  } while (std::next_permutation(loops.begin(), loops.end()));
  return best;
}

TEST(Space, EightOrdersALevelAreEnoughForAnyNumberOfLevels) {
  Rng rng(12);
  for (int i = 0; i < 1500; ++i) {
    SmallSpace one = small_space(rng, 4, 1e12);
    one.device = unlimited(one.device);
    const Space space(one.layer, one.device, {}, one.factors);
    const Evaluator evaluator(one.layer, one.precision, one.device);
    const SearchOptions options;
    const Task task{evaluator, space, options, {}};
    const Nest nest = space.draw(rng);
    Score score;
    if (!evaluator.score(nest, score)) continue;
    double work = 1;
    for (int l = 0; l < nest.levels; ++l)
      for (int loops = 0; const Dim d : kAllDims)
        if (nest.temporal[l][at(d)] > 1) work *= ++loops;
    if (work > 5000) continue;
    EXPECT_NEAR(best_order(task, nest, 0, false), best_order(task, nest, 0, true),
                1e-9 * score.energy_pj)
        << describe(one);
    for (int level = 0; level < nest.levels; ++level) EXPECT_LE(space.orders(level).size(), 8u);
  }
}

}  // namespace
}  // namespace instantnet::mapper
