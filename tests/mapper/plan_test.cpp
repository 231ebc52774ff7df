#include "instantnet/mapper/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/helpers.h"
#include "instantnet/core/tree.h"
#include "instantnet/mapper/plan_parts.h"
#include "instantnet/mapper/share.h"

namespace instantnet::mapper {
namespace {

using test::error_of;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Workload conv(const std::string& name, int64_t k, int64_t c, int64_t side, int64_t kernel,
              int bits = 0) {
  Workload layer{name, {}, bits, 1};
  layer.shape.k = k, layer.shape.c = c, layer.shape.p = layer.shape.q = side;
  layer.shape.r = layer.shape.s = kernel;
  return layer;
}

/// Four layers, two of them equal, the first at a width of its own.
NetworkLayers small_network() {
  return {"small",
          {conv("first", 8, 3, 14, 3, 16), conv("a", 16, 8, 7, 3), conv("b", 16, 8, 7, 3),
           conv("last", 10, 16, 1, 1)},
          {"pool (max_pool)"}};
}

MapOptions options_for(Objective objective, Mode mode) {
  MapOptions options;
  options.bits = {4, 8};
  options.mode = mode;
  options.search.objective = objective;
  options.search.factors = Factors::Perfect;
  options.search.budget = 2000;  // where there is no certificate
  return options;
}

MappingPlan small_plan(Objective objective, Mode mode, int threads = 1) {
  MapOptions options = options_for(objective, mode);
  options.search.threads = threads;
  return map_network(small_network(), find_accelerator("simple3"), {}, options);
}

std::string text_of(const MappingPlan& plan) { return print_yaml(to_tree(plan)); }

TEST(Plan, HasEachKindOfLayerAtEachWidthOnce) {
  const MappingPlan plan = small_plan(Objective::Edp, Mode::Auto);
  ASSERT_THAT(plan.layers, SizeIs(3 * 2));
  EXPECT_EQ(plan.layers[2].name, "a");
  EXPECT_EQ(plan.layers[2].count, 2);
  EXPECT_EQ(plan.layers[3].bits, 8);
  EXPECT_EQ(plan.unmapped, small_network().unmapped);
  bool all = true;
  for (size_t l = 0; l < plan.layers.size(); l += 2) all = all && plan.layers[l].found.certified;
  EXPECT_EQ(plan.totals[0].proven, all);
}

TEST(Plan, ALayerOfFixedWidthCostsTheSameAtEveryWidthOfTheNetwork) {
  const MappingPlan plan = small_plan(Objective::Edp, Mode::MultiCycle);
  EXPECT_EQ(plan.layers[0].precision(), (Precision{16, 16}));
  EXPECT_EQ(plan.layers[0].found.mapping, plan.layers[1].found.mapping);
  EXPECT_EQ(plan.layers[0].found.cost.energy_pj, plan.layers[1].found.cost.energy_pj);
  EXPECT_LT(plan.layers[2].found.cost.energy_pj, plan.layers[3].found.cost.energy_pj);
}

TEST(Plan, TotalsAreSumsOverLayers) {
  const MappingPlan plan = small_plan(Objective::Edp, Mode::MultiCycle);
  double energy = 0, cycles = 0;
  for (size_t l = 1; l < plan.layers.size(); l += 2) {
    energy += static_cast<double>(plan.layers[l].count) * plan.layers[l].found.cost.energy_pj;
    cycles += static_cast<double>(plan.layers[l].count) * plan.layers[l].found.cost.cycles;
  }
  EXPECT_DOUBLE_EQ(plan.totals[1].energy_pj, energy);
  EXPECT_DOUBLE_EQ(plan.totals[1].cycles, cycles);
  EXPECT_DOUBLE_EQ(plan.totals[1].interval_cycles, cycles);
}

TEST(Plan, ABatchIsCountedPerImage) {
  MapOptions options = options_for(Objective::Edp, Mode::MultiCycle);
  NetworkLayers network = small_network();
  for (Workload& layer : network.layers) layer.shape.n = 4;
  const MappingPlan plan = map_network(network, find_accelerator("simple3"), {}, options);
  EXPECT_EQ(plan.options.batch, 4);
  EXPECT_DOUBLE_EQ(plan.totals[0].interval_cycles * 4, plan.totals[0].cycles);
  EXPECT_LT(plan.totals[0].energy_pj,
            small_plan(Objective::Edp, Mode::MultiCycle).totals[0].energy_pj * (1 + 1e-9));
}

TEST(Plan, APipelineSplitsTheDevice) {
  const MappingPlan plan = small_plan(Objective::Throughput, Mode::Pipeline);
  const Accelerator device = find_accelerator("simple3");
  for (size_t b = 0; b < 2; ++b) {
    ASSERT_THAT(plan.stages[b], SizeIs(4));
    int64_t used = 0, words = 0;
    double memory = 0, slowest = 0, latency = 0;
    for (const Stage& stage : plan.stages[b]) {
      used += stage.multipliers, words += stage.buffer_words;
      memory += stage.memory_cycles, latency += stage.cycles;
      slowest = std::max(slowest, stage.cycles);
    }
    EXPECT_LE(used, multipliers(device));
    EXPECT_LE(words, buffer_words(device));
    EXPECT_DOUBLE_EQ(plan.totals[b].interval_cycles, std::max(slowest, memory));
    EXPECT_DOUBLE_EQ(plan.totals[b].cycles, latency);
  }
}

TEST(Plan, AutoTakesTheModeTheObjectivePrefersAndSaysWhy) {
  const MappingPlan fast = small_plan(Objective::Throughput, Mode::Auto);
  ASSERT_THAT(fast.pipeline, SizeIs(2));
  for (size_t b = 0; b < 2; ++b)
    EXPECT_EQ(fast.totals[b].interval_cycles,
              std::min(fast.multi_cycle[b].interval_cycles, fast.pipeline[b].interval_cycles));
  EXPECT_THAT(fast.why[0], HasSubstr("cycles between two images"));
  const MappingPlan frugal = small_plan(Objective::Edp, Mode::Auto);
  EXPECT_THAT(frugal.pipeline, IsEmpty());
  EXPECT_EQ(frugal.totals[0].mode, Mode::MultiCycle);
  EXPECT_THAT(frugal.why[0], HasSubstr("a pipeline only raises the throughput"));
}

TEST(Plan, AMultiCycleLatencyIsNeverAboveAPipelines) {
  const MappingPlan plan = small_plan(Objective::Latency, Mode::Pipeline);
  for (size_t b = 0; b < 2; ++b) EXPECT_LE(plan.multi_cycle[b].cycles, plan.pipeline[b].cycles);
}

TEST(Plan, IsTheSameForAnyNumberOfThreads) {
  EXPECT_EQ(text_of(small_plan(Objective::Throughput, Mode::Auto, 1)),
            text_of(small_plan(Objective::Throughput, Mode::Auto, 3)));
}

TEST(Plan, SharingOneMappingIsReportedAgainstOneForEachWidth) {
  const MappingPlan plan = small_plan(Objective::Edp, Mode::MultiCycle);
  ASSERT_THAT(plan.shared_mapping_edp_ratio, SizeIs(2));
  ASSERT_THAT(plan.shared_mapping_bits, SizeIs(3));
  EXPECT_GT(plan.shared_mapping_edp_ratio[0], 0.9);
  MapOptions one = options_for(Objective::Edp, Mode::MultiCycle);
  one.bits = {8};
  const MappingPlan alone = map_network(small_network(), find_accelerator("simple3"), {}, one);
  EXPECT_DOUBLE_EQ(alone.shared_mapping_edp_ratio[0], 1);
  EXPECT_THAT(alone.switches, IsEmpty());
}

TEST(Plan, SwitchingLoadsTheMappingsThatChange) {
  const MappingPlan plan = small_plan(Objective::Edp, Mode::MultiCycle);
  ASSERT_THAT(plan.switches, SizeIs(2));
  int64_t changed = 0;
  for (size_t l = 0; l < plan.layers.size(); l += 2)
    if (plan.layers[l].found.mapping != plan.layers[l + 1].found.mapping)
      changed += plan.layers[l].count;
  EXPECT_EQ(plan.switches[0].layers, changed);
  EXPECT_EQ(plan.switches[0].configuration_bits > 0, changed > 0);
  EXPECT_EQ(plan.switches[0].cycles,
            static_cast<double>(plan.switches[0].configuration_bits) / 16 / 8);
  EXPECT_EQ(plan.switches[0].reconfiguration_ms, 0);
}

TEST(Plan, ReadsBackWhatItWrote) {
  const test::TempFolder folder;
  for (const Mode mode : {Mode::MultiCycle, Mode::Pipeline}) {
    const MappingPlan plan = small_plan(Objective::Throughput, mode);
    write_plan(plan, folder / "plan.yaml");
    const MappingPlan read = read_plan(folder / "plan.yaml");
    EXPECT_EQ(to_tree(read), to_tree(plan));
    EXPECT_EQ(read.stages, plan.stages);
    EXPECT_EQ(read.layers[0].found.cost.counts, plan.layers[0].found.cost.counts);
  }
}

TEST(Plan, RefusesAFileThatWasTamperedWith) {
  const std::string text = print_yaml(to_tree(small_plan(Objective::Edp, Mode::MultiCycle)));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return error_of([&] { plan_from_tree(parse_yaml(changed, "plan.yaml")); });
  };
  EXPECT_THAT(with("certified:", "certain:"), HasSubstr("certain"));
  EXPECT_THAT(with("layers:\n", "layer:\n"), HasSubstr("unknown key 'layer'"));
  Tree tree = parse_yaml(text, "plan.yaml");
  for (auto& [key, value] : tree.entries)
    if (key == "layers") value.items[0].set("cycles", Tree::of(7));
  EXPECT_THAT(error_of([&] { plan_from_tree(tree); }), HasSubstr("map the network again"));
}

TEST(Plan, NamesTheLayerThatFitsNowhere) {
  Accelerator device = find_accelerator("simple3");
  device.levels[2].capacity_words = 1;
  EXPECT_THAT(error_of([&] {
                map_network(small_network(), device, {},
                            options_for(Objective::Edp, Mode::MultiCycle));
              }),
              HasSubstr("layer 'first' at 16 bits on simple3: RF"));
}

TEST(Plan, RefusesOptionsThatMakeNoSense) {
  const Accelerator device = find_accelerator("simple3");
  MapOptions options = options_for(Objective::Edp, Mode::Auto);
  options.bits = {8, 4};
  EXPECT_THAT(error_of([&] { map_network(small_network(), device, {}, options); }),
              HasSubstr("map"));
  EXPECT_THAT(error_of([&] {
                map_network(NetworkLayers{"empty", {}, {}}, device, {}, {});
              }),
              HasSubstr("no layer to map"));
}

TEST(Plan, ReconfiguringABoardTakesItsBitstreamsTime) {
  MapOptions options = options_for(Objective::Throughput, Mode::Pipeline);
  options.search.engine = Engine::Random;
  options.search.budget = 200;
  MappingPlan plan = map_network(small_network(), find_accelerator("zc706"), {}, options);
  plan.stages[1] = plan.stages[0];
  price_switches(plan);
  EXPECT_EQ(plan.switches[0].reconfiguration_ms, 0);
  plan.stages[1][0].multipliers += 1;
  price_switches(plan);
  EXPECT_NEAR(plan.switches[0].reconfiguration_ms, 13321404 / 145e3, 1e-6);
}

}  // namespace
}  // namespace instantnet::mapper
