#include "instantnet/mapper/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>

#include "instantnet/core/rng.h"
#include "instantnet/mapper/allocation.h"
#include "instantnet/mapper/share.h"

namespace instantnet::mapper {
namespace {

using testing::HasSubstr;

/// A made-up search: cycles and energy fall with multipliers and buffer by rules of the layer.
std::variant<Found, Misfit> made_up(const LayerShape& layer, Precision precision,
                                    const Accelerator& device, Objective objective) {
  const auto words = static_cast<double>(device.levels[1].capacity_words);
  if (words < static_cast<double>(layer.k)) return Misfit{"too small"};
  const double lanes =
      static_cast<double>(std::min<int64_t>(multipliers(device), layer.k * layer.c));
  const bool fast = objective == Objective::Latency;
  Found found;
  found.cost.cycles =
      std::ceil(static_cast<double>(layer.macs()) / lanes * (1 + 100 / words)) + (fast ? 0 : 50);
  found.cost.energy_pj = 1e6 / words + (fast ? 300 : 0) + precision.weight;
  found.cost.levels.resize(device.levels.size());
  found.cost.levels[0].cycles =
      std::min(found.cost.cycles, static_cast<double>(layer.weights()) / (fast ? 8 : 16) +
                                      static_cast<double>(layer.k * layer.p) / 8);
  found.lower_bound = found.cost.cycles;
  found.certified = true;
  return found;
}

Accelerator small_device() {
  Accelerator device = find_accelerator("simple3");
  device.levels[1].fanout_x = 4, device.levels[1].fanout_y = 4;
  device.levels[0].bandwidth = {64, 64, 0};
  return device;
}

Workload layer_of(Rng& rng) {
  Workload layer{"l", {}, 0, 1};
  layer.shape.k = static_cast<int64_t>(1 + rng.below(12));
  layer.shape.c = static_cast<int64_t>(1 + rng.below(6));
  layer.shape.p = static_cast<int64_t>(1 + rng.below(30));
  return layer;
}

/// The interval when every share of every layer is searched at once.
double searched_all(const std::vector<Workload>& layers, const Accelerator& device) {
  const ArrayShares arrays = array_shares(device);
  std::vector<std::vector<StageOption>> stages;
  for (const Workload& layer : layers) {
    stages.emplace_back();
    for (const ArrayShare& array : arrays.shares)
      for (int64_t buffer = 64; buffer >= 1; buffer /= 2)
        for (const Objective objective : {Objective::Latency, Objective::Energy}) {
          const auto answer =
              made_up(layer.shape, {8, 8}, with_buffer_share(array.device, buffer, 64), objective);
          if (const Found* found = std::get_if<Found>(&answer))
            stages.back().push_back({found->cost.cycles, array.units, buffer,
                                     found->cost.levels[0].cycles, found->cost.energy_pj});
        }
  }
  const auto best = allocate(stages, arrays.units, 64);
  return best ? best->interval : std::numeric_limits<double>::infinity();
}

TEST(Pipeline, SearchingFewSharesFindsWhatSearchingAllFinds) {
  Rng rng(21);
  const Accelerator device = small_device();
  int64_t searches = 0, possible = 0;
  for (int i = 0; i < 200; ++i) {
    std::vector<Workload> layers;
    for (uint64_t l = 0, count = 2 + rng.below(6); l < count; ++l) layers.push_back(layer_of(rng));
    const auto answer = plan_pipeline(layers, 8, device, made_up, 1);
    const Pipeline* found = std::get_if<Pipeline>(&answer);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->interval_cycles, searched_all(layers, device)) << "case " << i;
    EXPECT_TRUE(found->proven);
    searches += found->searches, possible += static_cast<int64_t>(layers.size()) * 5 * 7 * 2;
  }
  EXPECT_LT(searches * 4, possible);  // most shares never had to be searched
}

TEST(Pipeline, IsTheSameForAnyNumberOfThreads) {
  Rng rng(4);
  std::vector<Workload> layers;
  for (int l = 0; l < 9; ++l) layers.push_back(layer_of(rng));
  const auto one = plan_pipeline(layers, 8, small_device(), made_up, 1);
  const auto four = plan_pipeline(layers, 8, small_device(), made_up, 4);
  EXPECT_EQ(std::get<Pipeline>(one).stages, std::get<Pipeline>(four).stages);
}

TEST(Pipeline, EqualLayersAreSearchedOnceAndFixedWidthsKept) {
  Rng rng(8);
  const Workload layer = layer_of(rng);
  Workload wide = layer;
  wide.bits = 32;
  std::atomic<int> at_8 = 0, at_32 = 0;
  const StageSearch counting = [&](const LayerShape& shape, Precision precision,
                                   const Accelerator& device, Objective objective) {
    ++(precision.weight == 8 ? at_8 : at_32);
    return made_up(shape, precision, device, objective);
  };
  const auto answer = plan_pipeline({layer, wide, layer, layer}, 8, small_device(), counting, 2);
  EXPECT_GT(at_32, 0);
  EXPECT_LE(at_8, 5 * 7 * 2);
  EXPECT_EQ(std::get<Pipeline>(answer).searches, at_8 + at_32);
}

TEST(Pipeline, SaysWhyThereIsNone) {
  Rng rng(8);
  const std::vector<Workload> many(17, layer_of(rng));
  const auto crowded = plan_pipeline(many, 8, small_device(), made_up, 1);
  EXPECT_THAT(std::get<Misfit>(crowded).why, HasSubstr("17 layers, the array of simple3 has 16"));
  Workload huge = many.front();
  huge.name = "huge", huge.shape.k = 100000;
  const auto tight = plan_pipeline({many[0], huge}, 8, small_device(), made_up, 1);
  EXPECT_THAT(std::get<Misfit>(tight).why, HasSubstr("Layer 'huge' fits in no part"));
}

TEST(Pipeline, NoPipelineHasALowerLatencyThanTheBound) {
  Rng rng(30);
  for (int i = 0; i < 100; ++i) {
    std::vector<Workload> layers;
    for (uint64_t l = 0, count = 2 + rng.below(5); l < count; ++l) layers.push_back(layer_of(rng));
    const auto answer = plan_pipeline(layers, 8, small_device(), made_up, 1);
    EXPECT_GE(std::get<Pipeline>(answer).cycles,
              least_pipeline_cycles(layers, 8, small_device()) * (1 - 1e-12));
  }
}

}  // namespace
}  // namespace instantnet::mapper
