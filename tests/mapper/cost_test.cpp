#include "instantnet/mapper/cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(Cost, ScoreAgreesWithEvaluate) {
  const Evaluator evaluator(conv3x3(), k16, find_accelerator("simple3"));
  Score score;
  ASSERT_TRUE(evaluator.score(*to_nest(conv3x3_mapping()), score));
  EXPECT_EQ(score.energy_pj, 621824);
  EXPECT_EQ(score.cycles, 2304);
}

}  // namespace
}  // namespace instantnet::mapper
