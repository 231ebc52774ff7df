#include "instantnet/mapper/cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mapper/random_cases.h"

namespace instantnet::mapper {
namespace {

constexpr Precision k16 = {16, 16};

LayerShape conv3x3() {
  LayerShape layer;
  layer.k = layer.c = layer.p = layer.q = 8;
  layer.r = layer.s = 3;
  return layer;
}

/// DRAM k2; GLB c2 q8 p8, c4 x k4 PEs; RF s3 r3.
Mapping conv3x3_mapping() {
  Mapping mapping;
  mapping.levels.resize(3);
  mapping.levels[0].temporal = {{Dim::K, 2}};
  mapping.levels[1].temporal = {{Dim::C, 2}, {Dim::Q, 8}, {Dim::P, 8}};
  mapping.levels[1].spatial_x = {{Dim::K, 4}};
  mapping.levels[1].spatial_y = {{Dim::C, 4}};
  mapping.levels[2].temporal = {{Dim::S, 3}, {Dim::R, 3}};
  return mapping;
}

Precision any_precision(Rng& rng) {
  const std::vector<int> bits = {1, 4, 5, 8, 12, 16, 32};
  return {bits[rng.below(bits.size())], bits[rng.below(bits.size())]};
}

/// With capacities that some mappings exceed, and bandwidths of every kind.
Accelerator limited_device(Rng& rng) {
  Accelerator device = random_device(rng);
  device.static_mw = rng.uniform(0, 100);
  device.psum.extra_bits = rng.flip() ? 8 : 0;
  for (StorageLevel& level : device.levels) {
    const auto some = [&](double chance, double most) {
      return rng.flip(chance) ? rng.uniform(0.1, most) : 0;
    };
    if (&level != &device.levels.front() && rng.flip(0.4))
      level.capacity_words = static_cast<int64_t>(2 + rng.below(300));
    level.double_buffered = rng.flip(0.2);
    if (rng.flip(0.2)) level.tensor_capacity_words.weights = 60;
    level.packing = rng.flip() ? Packing::Tight : Packing::Whole;
    level.word_bits = rng.flip() ? 16 : 36;
    level.bandwidth = {some(0.4, 4), some(0.4, 4), some(0.2, 4)};
    level.tensor_bandwidth.inputs = {some(0.2, 4), some(0.2, 4), some(0.2, 4)};
  }
  return device;
}

/// Energies of the parts make up the whole, and cycles are those of the slowest part.
void expect_parts_add_up(const Cost& cost) {
  double energy = cost.mac_pj + cost.static_pj, cycles = cost.compute_cycles;
  for (const LevelCost& level : cost.levels) {
    for (const Tensor t : kAllTensors) energy += level.energy_pj[t];
    energy += level.network_pj;
    cycles = std::max(cycles, level.cycles);
  }
  EXPECT_NEAR(energy, cost.energy_pj, 1e-9 * energy);
  EXPECT_EQ(cycles, cost.cycles);
}

TEST(Cost, OfAHandCheckedConvolution) {
  const auto result = evaluate(conv3x3(), k16, find_accelerator("simple3"), conv3x3_mapping());
  ASSERT_TRUE(std::holds_alternative<Cost>(result)) << std::get<Misfit>(result).why;
  const Cost& cost = std::get<Cost>(result);
  const auto& levels = cost.counts.levels;
  EXPECT_EQ(levels[2].weights, (Accesses{36864, 0, 576}));
  EXPECT_EQ(levels[2].inputs, (Accesses{36864, 0, 15360}));
  EXPECT_EQ(levels[2].outputs, (Accesses{34816, 36864, 2048}));
  EXPECT_EQ(levels[1].weights, (Accesses{576, 0, 576}));
  EXPECT_EQ(levels[1].inputs, (Accesses{3840, 0, 800}));
  EXPECT_EQ(levels[1].outputs, (Accesses{512, 1024, 0}));
  EXPECT_EQ(levels[0].weights, (Accesses{576, 0, 0}));
  EXPECT_EQ(levels[0].inputs, (Accesses{800, 0, 0}));
  EXPECT_EQ(levels[0].outputs, (Accesses{0, 512, 0}));
  EXPECT_EQ(cost.energy_pj, 621824);
  EXPECT_EQ(cost.cycles, 2304);
  EXPECT_EQ(cost.bound_by, "compute");
  EXPECT_DOUBLE_EQ(cost.utilization, 16.0 / 256);
}

TEST(Cost, ScoreIsEvaluateWithoutTheDetails) {
  int legal = 0;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    Rng rng(seed, 4);
    const LayerShape layer = random_layer(rng);
    const Accelerator device = limited_device(rng);
    const Mapping mapping = random_mapping(rng, layer, device);
    const Evaluator evaluator(layer, any_precision(rng), device);
    const auto full = evaluator.evaluate(mapping);
    const std::optional<Nest> nest = to_nest(mapping);
    if (!nest) continue;
    Score score;
    ASSERT_EQ(evaluator.score(*nest, score), std::holds_alternative<Cost>(full)) << "seed " << seed;
    if (const Misfit* misfit = std::get_if<Misfit>(&full)) {
      EXPECT_THAT(misfit->why, testing::EndsWith("."));
      continue;
    }
    ++legal;
    const Cost& cost = std::get<Cost>(full);
    EXPECT_EQ(score.energy_pj, cost.energy_pj) << "seed " << seed;
    EXPECT_EQ(score.cycles, cost.cycles) << "seed " << seed;
    expect_parts_add_up(cost);
  }
  EXPECT_GT(legal, 500);
}

TEST(Cost, RepeatedLoopsCostAsTheLoopNestThatTheyAre) {
  LayerShape layer;
  layer.k = 8, layer.c = 6;
  Mapping mapping;
  mapping.levels.resize(3);
  // c inside k inside c: the outputs come back twice.
  mapping.levels[0].temporal = {{Dim::C, 3}, {Dim::K, 8}, {Dim::C, 2}};
  const Cost cost = std::get<Cost>(evaluate(layer, k16, find_accelerator("simple3"), mapping));
  EXPECT_EQ(cost.counts.levels[0].outputs, (Accesses{2 * 8, 3 * 8, 0}));
  EXPECT_EQ(cost.counts.levels[0].inputs.reads, 3 * 8 * 2);
}

TEST(Cost, FinishedOutputsLeaveAsActivations) {
  Accelerator device = find_accelerator("simple3");
  device.psum.extra_bits = 16;
  for (StorageLevel& level : device.levels) level.bandwidth = {};
  const Cost narrow =
      std::get<Cost>(evaluate(conv3x3(), k16, find_accelerator("simple3"), conv3x3_mapping()));
  const Cost wide = std::get<Cost>(evaluate(conv3x3(), k16, device, conv3x3_mapping()));
  EXPECT_EQ(wide.levels[0].energy_pj.outputs, narrow.levels[0].energy_pj.outputs);
  EXPECT_EQ(wide.levels[1].energy_pj.outputs, 2 * narrow.levels[1].energy_pj.outputs);
}

TEST(Cost, StaticPowerIsEnergyACycle) {
  Accelerator device = find_accelerator("simple3");
  device.static_mw = 30;  // at 200 MHz: 150 pJ a cycle
  const Cost cost = std::get<Cost>(evaluate(conv3x3(), k16, device, conv3x3_mapping()));
  EXPECT_EQ(cost.energy_pj, 621824 + 150 * 2304);
  EXPECT_EQ(cost.static_pj, 150 * 2304);
}

TEST(Cost, NamesWhatBoundsIt) {
  Accelerator device = find_accelerator("simple3");
  device.levels[1].tensor_bandwidth.outputs.write = 0.25;  // 1024 updates
  const Cost cost = std::get<Cost>(evaluate(conv3x3(), k16, device, conv3x3_mapping()));
  EXPECT_EQ(cost.cycles, 4096);
  EXPECT_EQ(cost.bound_by, "GLB outputs write");
  EXPECT_EQ(cost.levels[1].limit, "outputs write");
  device.levels[0].bandwidth.total = 0.25;  // 1376 reads, 512 updates
  EXPECT_EQ(std::get<Cost>(evaluate(conv3x3(), k16, device, conv3x3_mapping())).bound_by,
            "DRAM total");
}

// ---- Properties of a fixed mapping.

/// Cost of the mapping, or nothing when it does not fit.
std::optional<Score> score_of(const LayerShape& layer, Precision precision,
                              const Accelerator& device, const Mapping& mapping) {
  const auto result = evaluate(layer, precision, device, mapping);
  if (const Cost* cost = std::get_if<Cost>(&result)) return Score{cost->energy_pj, cost->cycles};
  return std::nullopt;
}

/// `better` fits where `worse` does and costs no more.
void expect_no_worse(const std::optional<Score>& better, const std::optional<Score>& worse,
                     uint64_t seed) {
  if (!worse) return;
  ASSERT_TRUE(better) << "seed " << seed;
  EXPECT_LE(better->energy_pj, worse->energy_pj * (1 + 1e-12)) << "seed " << seed;
  EXPECT_LE(better->cycles, worse->cycles) << "seed " << seed;
}

TEST(CostProperty, MoreMemoryOrBandwidthIsNeverWorse) {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    Rng rng(seed, 5);
    const LayerShape layer = random_layer(rng);
    const Accelerator device = limited_device(rng);
    const Mapping mapping = random_mapping(rng, layer, device);
    const Precision precision = any_precision(rng);
    Accelerator larger = device;
    StorageLevel& level = larger.levels[rng.below(larger.levels.size())];
    if (level.capacity_words > 0) level.capacity_words += 1 + static_cast<int64_t>(rng.below(9));
    level.bandwidth.read *= 1.5, level.bandwidth.write *= 2;
    level.bandwidth.total = 0;
    level.tensor_bandwidth.inputs.read *= rng.uniform(1, 3);
    expect_no_worse(score_of(layer, precision, larger, mapping),
                    score_of(layer, precision, device, mapping), seed);
  }
}

TEST(CostProperty, FewerBitsNeverCostMoreOnAnyKindOfMultiplier) {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    Rng rng(seed, 6);
    const LayerShape layer = random_layer(rng);
    Accelerator device = limited_device(rng);
    device.mac.kind = names_of(MacKind{})[rng.below(4)].first;
    device.mac.bits = 8;
    device.mac.energy_exponent = rng.uniform(0, 2);
    const Mapping mapping = random_mapping(rng, layer, device);
    const Precision wide = any_precision(rng);
    Precision narrow = wide;
    (rng.flip() ? narrow.weight : narrow.activation) = static_cast<int>(1 + rng.below(4));
    narrow.weight = std::min(narrow.weight, wide.weight);
    narrow.activation = std::min(narrow.activation, wide.activation);
    expect_no_worse(score_of(layer, narrow, device, mapping),
                    score_of(layer, wide, device, mapping), seed);
  }
}

// ---- Misfits.

std::string why_not(const LayerShape& layer, const Accelerator& device, const Mapping& mapping) {
  const auto result = evaluate(layer, k16, device, mapping);
  const Misfit* misfit = std::get_if<Misfit>(&result);
  return misfit == nullptr ? "it fits" : misfit->why;
}

TEST(Misfit, SaysWhatNeedsHowMuch) {
  Accelerator device = find_accelerator("simple3");
  const auto why = [&] { return why_not(conv3x3(), device, conv3x3_mapping()); };
  device.levels[1].capacity_words = 1000;
  EXPECT_EQ(why(), "GLB: weights, inputs and outputs need 1344 words, it has 1000.");
  device.levels[1].capacity_words = 1400;
  EXPECT_EQ(why(), "it fits");
  device.levels[1].double_buffered = true;
  EXPECT_EQ(why(),
            "GLB: weights, inputs and outputs need 1344 words, it has 700 in each of two halves.");
  device.levels[1].capacity_words = 65536;
  device.levels[2].tensor_capacity_words.inputs = 8;
  EXPECT_EQ(why(), "RF: inputs need 9 words, it has 8.");
  device.levels[2].tensor_capacity_words.inputs = 9;
  device.levels[2].capacity_words = 9;
  EXPECT_EQ(why(), "RF: weights and outputs need 10 words, it has 9.");
}

TEST(Misfit, SaysWhatIsWrongWithTheLoops) {
  const Accelerator device = find_accelerator("simple3");
  Mapping mapping = conv3x3_mapping();
  mapping.levels[0].temporal = {};
  mapping.levels[1].temporal[0].bound = 1;
  EXPECT_EQ(why_not(conv3x3(), device, mapping), "The loops cover only 4 of 8 k, 4 of 8 c.");
  mapping = conv3x3_mapping();
  mapping.levels[1].spatial_x = {{Dim::K, 17}};
  EXPECT_EQ(why_not(conv3x3(), device, mapping),
            "GLB: the loops spread over 17 columns of children, it has 16.");
  mapping = conv3x3_mapping();
  mapping.levels[2].temporal[0].bound = -3;
  EXPECT_EQ(why_not(conv3x3(), device, mapping),
            "RF: the loop over s has the bound -3; it may be 1 to 2147483647.");
  mapping = conv3x3_mapping();
  mapping.levels[2].keeps.weights = false;
  EXPECT_EQ(why_not(conv3x3(), device, mapping),
            "RF: it always keeps weights, the mapping does not.");
  mapping.levels.pop_back();
  EXPECT_EQ(why_not(conv3x3(), device, mapping), "The mapping has 2 levels, simple3 has 3.");
}

TEST(Misfit, RefusesMoreLoopsThanItCanCount) {
  LayerShape layer;
  layer.k = int64_t{1} << 40;
  Mapping mapping;
  mapping.levels.resize(3);
  for (int i = 0; i < 40; ++i) mapping.levels[0].temporal.push_back({Dim::K, 2});
  EXPECT_THAT(why_not(layer, find_accelerator("simple3"), mapping),
              testing::HasSubstr("more than 32 groups"));
}

TEST(Misfit, CountsThatAreNotExactAreRefused) {
  LayerShape layer;
  layer.k = layer.c = int64_t{1} << 26;  // 2^52 multiply-accumulates, each with many accesses
  Mapping mapping;
  mapping.levels.resize(3);
  mapping.levels[0].temporal = {{Dim::K, 1 << 26}, {Dim::C, 1 << 26}};
  EXPECT_THAT(why_not(layer, find_accelerator("simple3"), mapping),
              testing::HasSubstr("more than 2^53 elements"));
}

TEST(SmallestTile, NamesTheSizeThatWouldDo) {
  Accelerator device = find_accelerator("simple3");
  EXPECT_FALSE(smallest_misfit(conv3x3(), k16, device));
  device.levels[2].capacity_words = 2;
  EXPECT_EQ(smallest_misfit(conv3x3(), k16, device)->why,
            "RF: weights, inputs and outputs need at least 3 words, it has 2; 3 words would do.");
  EXPECT_FALSE(smallest_misfit(conv3x3(), {4, 4}, device));  // a quarter of it
  device.levels[2].double_buffered = true;
  EXPECT_EQ(smallest_misfit(conv3x3(), k16, device)->why,
            "RF: weights, inputs and outputs need at least 3 words in each of two halves, it has "
            "2; 6 words would do.");
  device = find_accelerator("simple3");
  device.levels[0].tensor_capacity_words.weights = 100;
  EXPECT_EQ(smallest_misfit(conv3x3(), k16, device)->why,
            "DRAM: weights need at least 576 words, it has 100; 576 words would do.");
}

}  // namespace
}  // namespace instantnet::mapper
