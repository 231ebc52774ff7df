#include "instantnet/data/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace instantnet::data {
namespace {

using testing::Each;
using testing::ElementsAre;

TEST(Permutation, NeverChangesSilently) {
  EXPECT_THAT(permutation(12, 1, 0), ElementsAre(6, 10, 0, 5, 8, 1, 4, 11, 7, 2, 9, 3));
  EXPECT_THAT(permutation(12, 1, 1), ElementsAre(10, 6, 1, 7, 2, 3, 9, 11, 8, 0, 4, 5));
}

TEST(Permutation, HoldsEveryNumberOnce) {
  for (const int64_t count : {0, 1, 1000}) {
    std::vector<int64_t> order = permutation(count, 7, 3), all(count);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(order == all, count <= 1);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, all);
  }
}

TEST(Permutation, EveryPositionIsEquallyLikely) {
  std::vector<int> counts(6);
  for (int64_t epoch = 0; epoch < 6000; ++epoch) ++counts[permutation(6, 5, epoch)[0]];
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
}

/// 50 of class 0, 30 of class 1, 2 of class 2, 1 of class 3.
std::vector<int64_t> mixed_labels() {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 80; ++i) labels.push_back(i % 8 < 3 ? 1 : 0);
  labels.insert(labels.end(), {2, 3, 2});
  return labels;
}

TEST(Split, TakesItsShareOfEachClass) {
  const std::vector<int64_t> labels = mixed_labels();
  const Split parts = split(labels, 4, 0.1, 1);
  std::vector<int64_t> taken(4);
  for (const int64_t index : parts.validation) ++taken[labels[index]];
  EXPECT_THAT(taken, ElementsAre(5, 3, 1, 0));
}

TEST(Split, PartsAreDisjointAndTogetherWhole) {
  const std::vector<int64_t> labels = mixed_labels();
  for (const double share : {0.01, 0.3, 0.9}) {
    const Split parts = split(labels, 4, share, 9);
    std::vector<int64_t> both = parts.train, all(labels.size());
    both.insert(both.end(), parts.validation.begin(), parts.validation.end());
    std::sort(both.begin(), both.end());
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(both, all) << share;
    EXPECT_TRUE(std::is_sorted(parts.train.begin(), parts.train.end()));
  }
}

TEST(Split, DependsOnTheSeedAlone) {
  const std::vector<int64_t> labels = mixed_labels();
  EXPECT_EQ(split(labels, 4, 0.3, 1).validation, split(labels, 4, 0.3, 1).validation);
  EXPECT_NE(split(labels, 4, 0.3, 1).validation, split(labels, 4, 0.3, 2).validation);
}

TEST(Subset, IsChosenByTheSeedInOldOrder) {
  const std::vector<int64_t> all = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29};
  const std::vector<int64_t> some = subset(all, 5, 1);
  EXPECT_EQ(some.size(), 5U);
  EXPECT_TRUE(std::is_sorted(some.begin(), some.end()));
  EXPECT_THAT(
      some,
      Each(testing::Truly([&](int64_t i) { return std::count(all.begin(), all.end(), i) == 1; })));
  EXPECT_EQ(some, subset(all, 5, 1));
  EXPECT_NE(some, subset(all, 5, 2));
  EXPECT_EQ(subset(all, 10, 3), all);
}

}  // namespace
}  // namespace instantnet::data
