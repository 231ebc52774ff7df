#include "instantnet/mapper/mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instantnet/core/error.h"
#include "instantnet/mapper/cost.h"
#include "mapper/random_cases.h"
#include "net/expect_error.h"

namespace instantnet::mapper {
namespace {

using testing::HasSubstr;

TEST(FitsArray, AsTryingEveryDivisor) {
  for (int64_t columns = 1; columns <= 14; ++columns)
    for (int64_t rows = 1; rows <= 14; ++rows)
      for (int64_t product = 1; product <= 200; ++product) {
        bool fits = false;
        for (int64_t x = 1; x <= product; ++x)
          fits = fits || (product % x == 0 && x <= columns && product / x <= rows);
        EXPECT_EQ(fits_array(product, columns, rows), fits)
            << product << " on " << columns << " x " << rows;
      }
}

TEST(Nest, BackAndForthCostsTheSame) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    Rng rng(seed, 2);
    const LayerShape layer = random_layer(rng);
    const Accelerator device = random_device(rng);
    const Mapping mapping = random_mapping(rng, layer, device);
    const std::optional<Nest> nest = to_nest(mapping);
    if (!nest) continue;
    const auto one = evaluate(layer, {16, 16}, device, mapping);
    const auto two = evaluate(layer, {16, 16}, device, to_mapping(*nest, device));
    EXPECT_EQ(std::get<Cost>(one).counts, std::get<Cost>(two).counts) << "seed " << seed;
    EXPECT_EQ(std::get<Cost>(one).energy_pj, std::get<Cost>(two).energy_pj);
  }
}

TEST(Nest, SplitsFactorsOverColumnsAndRows) {
  Nest nest = empty_nest(3);
  nest.spatial[1][at(Dim::K)] = 24;  // 8 x 3 or the like on 14 x 12
  nest.spatial[1][at(Dim::C)] = 7;
  const Mapping mapping = to_mapping(nest, find_accelerator("eyeriss"));
  int64_t columns = 1, rows = 1;
  for (const Loop& loop : mapping.levels[1].spatial_x) columns *= loop.bound;
  for (const Loop& loop : mapping.levels[1].spatial_y) rows *= loop.bound;
  EXPECT_EQ(columns, 14);
  EXPECT_EQ(rows, 12);
  EXPECT_EQ(to_nest(mapping)->spatial, nest.spatial);
  nest.spatial[1][at(Dim::K)] = 23;
  EXPECT_THROW(to_mapping(nest, find_accelerator("eyeriss")), Bug);
}

TEST(Nest, ALoopRepeatedInALevelHasNone) {
  Mapping mapping;
  mapping.levels.resize(2);
  mapping.levels[0].temporal = {{Dim::K, 2}, {Dim::C, 3}, {Dim::K, 2}};
  EXPECT_FALSE(to_nest(mapping));
  mapping.levels[0].temporal = {{Dim::K, 2}, {Dim::C, 3}, {Dim::K, 1}};
  EXPECT_EQ(to_nest(mapping)->order[0][6], Dim::K);
  EXPECT_EQ(to_nest(mapping)->order[0][7], Dim::C);
}

// ---- Files.

TEST(MappingFile, RoundTrips) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    Rng rng(seed, 3);
    const LayerShape layer = random_layer(rng);
    const Accelerator device = random_device(rng);
    const Mapping mapping = random_mapping(rng, layer, device);
    const std::string text = print_yaml(to_tree(mapping, device));
    EXPECT_EQ(mapping_from_tree(parse_yaml(text), device), mapping) << "seed " << seed << "\n"
                                                                    << text;
  }
}

std::string mistake(const std::string& text) {
  const Accelerator device = find_accelerator("simple3");
  return error_of([&] { mapping_from_tree(parse_yaml(text, "m.yaml"), device); });
}

std::string glb(const std::string& entry) {
  return mistake("- level: DRAM\n- level: GLB\n  " + entry + "\n- level: RF\n");
}

TEST(MappingFile, ReadsLevelsInAnyOrderAndKeepsWhatItMay) {
  const Accelerator device = find_accelerator("eyeriss");
  const Mapping mapping = mapping_from_tree(
      parse_yaml("- {level: RF, temporal: k2}\n- {level: GLB}\n- {level: DRAM}\n"), device);
  EXPECT_EQ(mapping.levels[2].temporal, (std::vector<Loop>{{Dim::K, 2}}));
  EXPECT_EQ(mapping.levels[1].keeps, (PerTensor<bool>{false, true, true}));
}

TEST(MappingFile, NamesEachMistake) {
  EXPECT_EQ(glb("temporal: [k2, x3]"),
            "m.yaml:3: 'x' is not a loop; known are n, g, k, c, p, q, r, s.");
  EXPECT_THAT(glb("temporal: [k]"), HasSubstr("'k' is not a loop; give a dim and its bound"));
  EXPECT_THAT(glb("temporal: [2k]"), HasSubstr("'2k' is not a loop"));
  EXPECT_THAT(glb("temporal: [k2.5]"), HasSubstr("'k2.5' is not a loop"));
  EXPECT_THAT(glb("temporal: [k99999999999999999999]"), HasSubstr("is not a loop"));
  EXPECT_EQ(glb("temporal: [k0]"), "m.yaml:3: the loop 'k0' has the bound 0; give 1 or more.");
  EXPECT_THAT(glb("temporal: [k-3]"), HasSubstr("has the bound -3"));
  EXPECT_EQ(glb("tempral: [k2]"), "m.yaml:3: unknown key 'tempral', did you mean 'temporal'?");
  EXPECT_THAT(glb("keep: [weight]"), HasSubstr("did you mean 'weights'?"));
  EXPECT_THAT(glb("keep: weights"), HasSubstr("keep is 'weights'; give a list"));
  EXPECT_THAT(mistake("- level: GBL\n"),
              HasSubstr("simple3 has no level 'GBL', did you mean 'GLB'?"));
  EXPECT_THAT(mistake("- temporal: [k2]\n"), HasSubstr("an entry of the mapping has no level"));
  EXPECT_THAT(mistake("- level: RF\n- level: RF\n"), HasSubstr("level RF stands twice"));
  EXPECT_THAT(mistake("- level: RF\n"), HasSubstr("level DRAM is missing"));
  EXPECT_THAT(mistake("x: 1"), HasSubstr("the mapping is a map; give a list"));
}

}  // namespace
}  // namespace instantnet::mapper
