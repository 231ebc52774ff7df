#include "instantnet/runtime/policy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"

namespace instantnet::runtime {
namespace {

const std::vector<PolicyWidth> kThree = {{2, 1, 0.5}, {4, 2, 0.6}, {8, 4, 0.7}};

std::vector<int> choices(Policy policy, const std::vector<double>& budgets) {
  std::vector<int> bits;
  for (const double budget : budgets) bits.push_back(policy.next(budget).bits);
  return bits;
}

using Bits = std::vector<int>;

TEST(Policy, TakesTheMostAccurateWidthWithinTheBudget) {
  EXPECT_EQ(choices(Policy(kThree), {1, 1.9, 2, 3.9, 4, 100, 1}), (Bits{2, 2, 4, 4, 8, 8, 2}));
}

TEST(Policy, GoesDownAtOnceAndUpWhenTheBudgetHeld) {
  EXPECT_EQ(choices(Policy(kThree, {3, 0, false}), {9, 1, 9, 9, 9, 1, 9, 9, 1, 9, 9, 9}),
            (Bits{8, 2, 2, 2, 8, 2, 2, 2, 2, 2, 2, 8}));
}

TEST(Policy, GoesUpAsFarAsTheBudgetHeld) {
  EXPECT_EQ(choices(Policy(kThree, {3, 0, false}), {1, 2, 2, 9, 9, 9}), (Bits{2, 2, 2, 4, 4, 8}));
}

TEST(Policy, GoesUpAtOnceWhenTheBudgetExceedsTheNeedByTheMargin) {
  EXPECT_EQ(choices(Policy(kThree, {100, 0.5, false}), {1, 2.9, 3, 5.9, 6}), (Bits{2, 2, 4, 4, 8}));
}

TEST(Policy, RunsTheCheapestOrSkipsWhenNothingFits) {
  Policy lowest(kThree), skip(kThree, {1, 0, true});
  EXPECT_EQ(lowest.next(0.5), (PolicyChoice{2, false}));
  EXPECT_EQ(skip.next(0.5), (PolicyChoice{0, true}));
  EXPECT_EQ(skip.next(1), (PolicyChoice{2, true}));
  EXPECT_EQ(skip.least_cost(), 1);
}

TEST(Policy, LeavesOutWidthsThatAnotherBeats) {
  const Policy policy({{8, 3, 0.7}, {4, 2, 0.7}, {16, 2, 0.7}, {2, 1, 0.1}, {32, 4, 0.6}});
  EXPECT_EQ(policy.widths(), (std::vector<PolicyWidth>{{2, 1, 0.1}, {16, 2, 0.7}}));
}

TEST(Policy, RefusesWhatIsNoPolicy) {
  EXPECT_THROW(Policy({}), Error);
  EXPECT_THROW(Policy({{4, 1, 1}, {4, 2, 2}}), Error);
  EXPECT_THROW(Policy({{4, -1, 1}}), Error);
  EXPECT_THROW(Policy(kThree, {0, 0, false}), Error);
  EXPECT_THROW(Policy(kThree, {1, -1, false}), Error);
  Policy policy(kThree);
  EXPECT_THROW(policy.next(-1), Error);
}

// Over random widths, budgets and options.
TEST(Policy, NeverViolatesWhatSomeWidthMeetsAndIsNoWorseThanAFixedWidthThatNeverDoes) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Rng rng(seed, 0);
    std::vector<PolicyWidth> widths;
    const int count = 1 + static_cast<int>(rng.below(5));
    for (int i = 0; i < count; ++i)
      widths.push_back(
          {i + 1, 1.0 + static_cast<double>(rng.below(10)), static_cast<double>(rng.below(10))});
    const PolicyOptions options{1 + static_cast<int64_t>(rng.below(4)),
                                static_cast<double>(rng.below(3)) / 4, rng.below(2) == 0};
    Policy policy(widths, options);
    std::vector<double> budgets, accuracies;
    for (int i = 0; i < 50; ++i) {
      budgets.push_back(static_cast<double>(rng.below(14)));
      const PolicyChoice choice = policy.next(budgets.back());
      const auto of = std::find_if(widths.begin(), widths.end(),
                                   [&](const PolicyWidth& w) { return w.bits == choice.bits; });
      const bool some = std::any_of(widths.begin(), widths.end(),
                                    [&](const PolicyWidth& w) { return w.cost <= budgets.back(); });
      EXPECT_EQ(choice.bits == 0, !some && options.skip) << seed;
      if (some) {
        EXPECT_TRUE(choice.fits && of->cost <= budgets.back()) << seed;
      }
      accuracies.push_back(choice.bits == 0 ? 0 : of->accuracy);
    }
    const double least = *std::min_element(budgets.begin(), budgets.end());
    for (const PolicyWidth& fixed : widths) {
      if (fixed.cost > least) continue;
      for (const double one : accuracies) EXPECT_GE(one, fixed.accuracy) << seed;
    }
  }
}

}  // namespace
}  // namespace instantnet::runtime
