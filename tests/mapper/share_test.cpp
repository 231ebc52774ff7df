#include "instantnet/mapper/share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instantnet/core/rng.h"
#include "instantnet/mapper/cost.h"
#include "instantnet/mapper/presets.h"
#include "instantnet/mapper/space.h"

namespace instantnet::mapper {
namespace {

TEST(Share, AnArrayIsHalvedDownToOneMultiplier) {
  const ArrayShares all = array_shares(find_accelerator("simple3"));
  EXPECT_EQ(all.units, 256);
  ASSERT_EQ(all.shares.size(), 9u);
  for (const ArrayShare& share : all.shares) EXPECT_EQ(share.units, share.multipliers);
  EXPECT_EQ(all.shares.back().multipliers, 1);
  EXPECT_DOUBLE_EQ(all.shares[2].device.levels[1].bandwidth.read, 8);  // a quarter of 32
  EXPECT_EQ(all.shares[2].device.levels[2], all.shares[0].device.levels[2]);
}

TEST(Share, PartsOfAnOddArrayPackToo) {
  const ArrayShares all = array_shares(find_accelerator("eyeriss"));  // 14 x 12
  for (size_t i = 0; i + 1 < all.shares.size(); ++i) {
    EXPECT_EQ(all.shares[i].units, 2 * all.shares[i + 1].units);
    EXPECT_GE(all.shares[i].multipliers, 2 * all.shares[i + 1].multipliers);
  }
}

TEST(Share, BelowOneChildItsBuffersAreCutToo) {
  const ArrayShares all = array_shares(find_accelerator("magnet"));  // 4 x 4 PEs of 8 x 8
  EXPECT_EQ(all.shares[4].device.levels[2].tensor_capacity_words.weights, 32768);
  EXPECT_EQ(all.shares[5].multipliers, 32);
  EXPECT_EQ(all.shares[5].device.levels[2].tensor_capacity_words.weights, 16384);
}

TEST(Share, AnArrayYetToBeBuiltHasAnyNumberOfMultipliers) {
  const ArrayShares all = array_shares(find_accelerator("zc706"));
  EXPECT_EQ(all.shares.front().multipliers, 896);
  EXPECT_EQ(all.shares[1].multipliers, 768);
  EXPECT_EQ(all.shares.back().multipliers, 1);
  for (const ArrayShare& share : all.shares)
    EXPECT_GE(share.units * 896, share.multipliers * all.units) << share.multipliers;
}

TEST(Share, ABufferShareIsThatPartOfEveryBufferAboveTheArray) {
  const Accelerator device = find_accelerator("shidiannao");
  const Accelerator share = with_buffer_share(device, 3, 64);
  EXPECT_EQ(share.levels[1].tensor_capacity_words.weights, 3072);
  EXPECT_EQ(share.levels[2], device.levels[2]);
  EXPECT_EQ(buffer_words(share), 3072 + 1536 + 1536);
  EXPECT_EQ(with_buffer_share(device, 1, 1 << 20).levels[1].tensor_capacity_words.inputs, 1);
}

/// Random mappings of a small layer on a part of each preset: the next larger part runs them, too.
TEST(Share, WhatRunsOnAPartRunsOnALargerOneNoWorse) {
  LayerShape layer;
  layer.k = 24, layer.c = 10, layer.p = 12, layer.q = 7, layer.r = layer.s = 3;
  Rng rng(9);
  int compared = 0;
  for (const Accelerator& device : accelerator_presets()) {
    const ArrayShares all = array_shares(device);
    for (int i = 0; i < 400; ++i) {
      const size_t small = 1 + rng.below(all.shares.size() - 1);
      const auto buffer = static_cast<int64_t>(1 + rng.below(64));
      const Accelerator part = with_buffer_share(all.shares[small].device, buffer, 64);
      const Accelerator larger = with_buffer_share(all.shares[small - 1].device, 64, 64);
      const Nest nest = Space(layer, part, {}, Factors::Any).draw(rng);
      Score on_part, on_larger;
      if (!Evaluator(layer, {8, 8}, part).score(nest, on_part)) continue;
      ASSERT_TRUE(Evaluator(layer, {8, 8}, larger).score(nest, on_larger)) << device.name;
      EXPECT_LE(on_larger.cycles, on_part.cycles) << device.name;
      EXPECT_EQ(on_larger.energy_pj, on_part.energy_pj) << device.name;
      ++compared;
    }
  }
  EXPECT_GT(compared, 300);
}

}  // namespace
}  // namespace instantnet::mapper
