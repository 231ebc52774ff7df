#include "instantnet/mapper/exact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instantnet/core/error.h"
#include "instantnet/mapper/presets.h"
#include "instantnet/net/zoo.h"
#include "mapper/exact_cases.h"

namespace instantnet::mapper {
namespace {

using testing::HasSubstr;

constexpr uint64_t kSeed = 20240;
constexpr uint64_t kSpaces = 600;  // of each kind; bench_mapper_brute_force tries more

void compare_with_brute_force(CaseKind kind) {
  for (uint64_t i = 0; i < kSpaces; ++i) {
    const ExactCase one = draw_exact_case(kSeed, i, kind, 8000);
    ASSERT_EQ(difference(one, brute_force(one)), "")
        << "seed " << kSeed << ", space " << i << ": " << describe(one);
  }
}

TEST(Exact, EqualsBruteForceOnAnyDevice) { compare_with_brute_force(CaseKind::Any); }
TEST(Exact, EqualsBruteForceWhereWindowsHaveGaps) { compare_with_brute_force(CaseKind::Windows); }
TEST(Exact, EqualsBruteForceWhereWindowsOverlap) { compare_with_brute_force(CaseKind::Halo); }
TEST(Exact, EqualsBruteForceWhereTensorsSurvive) { compare_with_brute_force(CaseKind::Surviving); }
TEST(Exact, EqualsBruteForceUnderManyLimits) { compare_with_brute_force(CaseKind::Bandwidth); }
TEST(Exact, EqualsBruteForceUnderConstraints) { compare_with_brute_force(CaseKind::Constrained); }

/// Spaces that a version of the search got wrong: a cap on words that is met exactly.
TEST(Exact, EqualsBruteForceWhereItOnceFailed) {
  const ExactCase one = draw_exact_case(11, 7450, CaseKind::Bandwidth);
  EXPECT_EQ(difference(one, brute_force(one)), "") << describe(one);
}

Accelerator preset(const std::string& name) {
  for (const Accelerator& device : reference_presets())
    if (device.name == name) return device;
  return {};
}

LayerShape layer_of(int64_t k, int64_t c, int64_t p, int64_t r, int64_t stride = 1) {
  LayerShape layer;
  layer.k = k, layer.c = c, layer.p = layer.q = p, layer.r = layer.s = r, layer.stride = stride;
  return layer;
}

double edp_of(const std::string& device, const LayerShape& layer, Factors factors) {
  SearchOptions options;
  options.factors = factors;
  const auto result = search_exact(layer, {16, 16}, preset(device), {}, options);
  const Found& found = std::get<Found>(result);
  EXPECT_TRUE(found.certified);
  return found.cost.edp();
}

/// The optima of an independent implementation, given to five digits.
TEST(Exact, FindsTheKnownOptimaOfRealLayers) {
  struct Known {
    LayerShape layer;
    const char* device;
    double perfect, any;
  };
  LayerShape depthwise = layer_of(96, 1, 56, 3, 2);
  depthwise.groups = 96;
  const Known known[] = {
      {layer_of(64, 3, 224, 3), "simple3", 4.6006e14, 4.4239e14},
      {layer_of(512, 512, 28, 3), "simple3", 8.1281e16, 8.1281e16},
      {layer_of(512, 512, 14, 3), "eyeriss", 8.1854e15, 8.1854e15},
      {layer_of(64, 3, 112, 7, 2), "simple3", 3.8140e14, 3.8140e14},
      {layer_of(64, 64, 56, 1), "eyeriss", 1.7714e13, 1.1667e13},
      {layer_of(128, 128, 28, 3), "eyeriss", 4.9256e14, 4.9256e14},
      {layer_of(960, 160, 7, 1), "simple3", 2.4048e12, 2.4048e12},
      {depthwise, "simple3", 5.1612e13, 5.1612e13},
  };
  for (const Known& one : known) {
    EXPECT_NEAR(edp_of(one.device, one.layer, Factors::Perfect) / one.perfect, 1, 5e-5);
    EXPECT_NEAR(edp_of(one.device, one.layer, Factors::Any) / one.any, 1, 5e-5);
  }
}

TEST(Exact, AllBitWidthsTogetherAreAsGoodAsAlone) {
  const std::vector<Precision> precisions = {{4, 4}, {8, 8}, {32, 32}, {16, 16}};
  const LayerShape layer = layer_of(48, 30, 14, 3);
  SearchOptions options;
  const auto together = search_exact_all(layer, precisions, preset("eyeriss"), {}, options);
  for (size_t i = 0; i < precisions.size(); ++i) {
    const auto alone = search_exact(layer, precisions[i], preset("eyeriss"), {}, options);
    EXPECT_DOUBLE_EQ(std::get<Found>(together[i]).cost.edp(), std::get<Found>(alone).cost.edp());
  }
}

TEST(Exact, TheFrontIsThatOfBruteForce) {
  for (uint64_t i = 0; i < 60; ++i) {
    const ExactCase one = draw_exact_case(kSeed, i, CaseKind::Bandwidth, 3000);
    std::vector<Score> all = brute_force(one, true).all;
    std::sort(all.begin(), all.end(), [](const Score& a, const Score& b) {
      return std::pair(a.cycles, a.energy_pj) < std::pair(b.cycles, b.energy_pj);
    });
    std::vector<Score> expected;  // fewest cycles first
    for (const Score& score : all)
      if (expected.empty() || score.energy_pj < expected.back().energy_pj * (1 - 1e-9))
        expected.push_back(score);
    SearchOptions options;
    options.factors = one.factors;
    const auto front = exact_front(one.layer, one.precision, one.device, one.constraints, options);
    ASSERT_EQ(front.size(), expected.size()) << describe(one);
    for (size_t j = 0; j < front.size(); ++j) {
      EXPECT_EQ(front[j].cost.cycles, expected[expected.size() - 1 - j].cycles);
      EXPECT_NEAR(front[j].cost.energy_pj / expected[expected.size() - 1 - j].energy_pj, 1, 1e-9);
    }
  }
}

TEST(Exact, SaysWhyItRefuses) {
  const LayerShape layer = layer_of(4, 4, 4, 3);
  Accelerator device = preset("simple3");
  EXPECT_EQ(exact_refuses(layer, device, {}), std::nullopt);
  LevelConstraint fixed;
  fixed.level = "GLB", fixed.spatial = {{Dim::K, 8}};
  EXPECT_THAT(exact_refuses(layer, device, {{fixed}}).value(), HasSubstr("fixes k8 at GLB"));
  device.levels[2].fanout_x = 2;
  EXPECT_THAT(exact_refuses(layer, device, {}).value(), HasSubstr("fan-out below RF"));
  device.levels.push_back(device.levels[2]);
  EXPECT_THAT(exact_refuses(layer, device, {}).value(), HasSubstr("4 storage levels"));
  EXPECT_THROW(search_exact(layer, {16, 16}, device, {}, {}), Error);
}

TEST(Exact, TheClockLeavesABoundBehind) {
  SearchOptions options;
  options.objective = Objective::Energy;
  const Watch stop = [](double, double) { return false; };
  const LayerShape layer = layer_of(64, 3, 224, 3);
  const auto whole = search_exact(layer, {16, 16}, preset("simple3"), {}, options);
  options.time_limit_s = 1e-9;
  const auto result = search_exact(layer, {16, 16}, preset("simple3"), {}, options, stop);
  if (const Found* found = std::get_if<Found>(&result)) {
    const double best = std::get<Found>(whole).cost.energy_pj;
    EXPECT_FALSE(found->certified);
    EXPECT_LE(found->lower_bound, best * (1 + 1e-9));
    EXPECT_GE(found->cost.energy_pj, best * (1 - 1e-9));
  }
}

}  // namespace
}  // namespace instantnet::mapper
