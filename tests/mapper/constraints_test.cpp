#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/helpers.h"
#include "instantnet/mapper/search.h"
#include "instantnet/mapper/templates.h"

namespace instantnet::mapper {
namespace {

using testing::HasSubstr;

const Accelerator& device() {
  static const Accelerator one = [] {
    Accelerator chip = find_accelerator("simple3");
    chip.levels[1].keep.weights = Keep::Search;
    return chip;
  }();
  return one;
}

Constraints parse(const std::string& yaml) {
  return constraints_from_tree(parse_yaml(yaml, "c.yaml"), device());
}
std::string message(const std::string& yaml) {
  return test::error_of([&] { parse(yaml); });
}

constexpr const char* kAll = R"(
- level: DRAM
  order: [k, c]
- level: GLB
  order: [p, q]
  spatial: [k8]
  spatial_dims: [k, c]
  spatial_most: [c4]
  bypass: [weights]
- level: RF
  temporal: [r3, s1]
  keep: [weights, inputs]
)";

TEST(Constraints, AreTheSameAfterATripThroughAFile) {
  const Constraints all = parse(kAll);
  ASSERT_EQ(all.levels.size(), 3u);
  EXPECT_EQ(constraints_from_tree(parse_yaml(print_yaml(to_tree(all))), device()), all);
  EXPECT_TRUE(constraints_from_tree(Tree{}, device()).empty());
}

TEST(Constraints, EveryMistakeIsNamed) {
  const auto expect = [](const std::string& yaml, const std::string& part) {
    EXPECT_THAT(message(yaml), HasSubstr(part)) << yaml;
  };
  expect("level: GLB", "is not a list; give one entry a level");
  expect("- GLB", "c.yaml:1: 'GLB' is not the constraint of a level");
  expect("- order: [k]", "a constraint without level; name one of DRAM, GLB, RF");
  expect("- level: GBL", "c.yaml:1: simple3 has no level 'GBL', did you mean 'GLB'?");
  expect("- level: GLB\n  ordr: [k]", "c.yaml:2: unknown key 'ordr', did you mean 'order'?");
  expect("- level: GLB\n  order: k", "order: 'k' is not a list");
  expect("- level: GLB\n  order: [x]", "'x' is not a loop");
  expect("- level: GLB\n  order: [k, k]", "order names k twice");
  expect("- level: GLB\n  temporal: [k]", "'k' is not a factor; give a loop and a whole number");
  expect("- level: GLB\n  temporal: [k2, k3]", "temporal has k twice");
  expect("- level: GLB\n  temporal: [k0]", "'k0' has the factor 0");
  expect("- level: GLB\n  spatial: [k32, c16]", "spatial fixes 512 children");
  expect("- level: GLB\n  spatial: [k17]", "16 columns times 16 rows cannot hold");
  expect("- level: GLB\n  spatial: [k2]\n  spatial_dims: [c]", "spatial_dims does not have k");
  expect("- level: GLB\n  spatial: [k4]\n  spatial_most: [k2]", "spatial_most allows k2");
  expect("- level: GLB\n  keep: [weights]\n  bypass: [weights]", "weights stand twice");
  expect("- level: RF\n  bypass: [inputs]", "inputs must bypass this level, but the device always");
  expect("- level: GLB\n- level: GLB", "the level stands twice");
}

TEST(Constraints, ViolatedSaysWhich) {
  const Constraints all = parse(kAll);
  Mapping good{std::vector<LevelLoops>(3)};
  good.levels[0].temporal = {{Dim::N, 2}, {Dim::K, 2}, {Dim::C, 2}};
  good.levels[1].temporal = {{Dim::C, 2}, {Dim::P, 2}};
  good.levels[1].spatial_x = {{Dim::K, 4}};
  good.levels[1].spatial_y = {{Dim::K, 2}, {Dim::C, 4}};
  good.levels[1].keeps.weights = false;
  good.levels[2].temporal = {{Dim::R, 3}};
  EXPECT_EQ(violated(all, good, device()), std::nullopt);
  const auto why = [&](const std::function<void(Mapping&)>& change) {
    Mapping bad = good;
    change(bad);
    return violated(all, bad, device()).value_or("nothing");
  };
  EXPECT_EQ(why([](Mapping& m) { std::swap(m.levels[0].temporal[1], m.levels[0].temporal[2]); }),
            "DRAM: k stands inside c, not outside it.");
  EXPECT_EQ(why([](Mapping& m) { std::swap(m.levels[1].temporal[0], m.levels[1].temporal[1]); }),
            "GLB: c stands inside p, which must be innermost.");
  EXPECT_EQ(why([](Mapping& m) { m.levels[1].spatial_x = {}; }),
            "GLB: the spatial factor of k is 2, not 8.");
  EXPECT_EQ(why([](Mapping& m) {
              m.levels[1].spatial_y[1] = {Dim::C, 8};
            }),
            "GLB: the spatial factor of c is 8, more than 4.");
  EXPECT_EQ(why([](Mapping& m) {
              m.levels[1].spatial_y[1] = {Dim::P, 2};
            }),
            "GLB: p is spread over the children, which spatial_dims does not allow.");
  EXPECT_EQ(why([](Mapping& m) { m.levels[1].keeps.weights = true; }),
            "GLB: weights are kept, but must bypass it.");
  EXPECT_EQ(why([](Mapping& m) { m.levels[2].temporal = {}; }),
            "RF: the temporal factor of r is 1, not 3.");
}

TEST(Constraints, EveryEngineKeepsThem) {
  LayerShape layer;
  layer.k = 16, layer.c = 8, layer.p = 6, layer.q = 5, layer.r = 3, layer.s = 1;
  const Constraints all = parse(kAll);
  for (const Engine engine :
       {Engine::Exact, Engine::Evolution, Engine::Random, Engine::Exhaustive}) {
    for (const Factors factors : {Factors::Perfect, Factors::Any}) {
      SearchOptions options;
      options.engine = engine;
      options.factors = factors;
      options.budget = 20000;
      if (engine == Engine::Exhaustive) layer.p = layer.q = 2, layer.k = 8, layer.c = 4;
      const auto answer = search(layer, {16, 16}, device(), all, options);
      ASSERT_TRUE(std::holds_alternative<Found>(answer)) << std::get<Misfit>(answer).why;
      EXPECT_EQ(violated(all, std::get<Found>(answer).mapping, device()), std::nullopt);
    }
  }
}

TEST(Constraints, FixedFactorsThatCannotCoverALayerAreAMisfit) {
  LayerShape layer;
  layer.k = 12;
  SearchOptions options;
  options.engine = Engine::Evolution;
  options.factors = Factors::Perfect;
  const auto answer =
      search(layer, {16, 16}, device(), parse("- level: GLB\n  spatial: [k8]"), options);
  EXPECT_EQ(std::get<Misfit>(answer).why,
            "The constraints fix factors of k with the product 8, but the layer has 12 steps of k, "
            "which the factors must divide.");
}

TEST(Templates, EachIsKeptOnEveryPresetItSuits) {
  LayerShape layer;
  layer.k = 32, layer.c = 16, layer.p = layer.q = 14, layer.r = layer.s = 3;
  EXPECT_EQ(templates().size(), 10u);
  for (const Accelerator& chip : accelerator_presets())
    for (const auto& [name, sentence] : templates()) {
      SearchOptions options;
      options.engine = Engine::Template;
      options.template_name = name;
      options.budget = 3000;
      const auto answer = search(layer, {8, 8}, chip, {}, options);
      if (const Misfit* misfit = std::get_if<Misfit>(&answer)) {
        EXPECT_THAT(misfit->why, HasSubstr("need")) << chip.name << name;
        continue;
      }
      EXPECT_EQ(
          violated(template_constraints(name, layer, chip), std::get<Found>(answer).mapping, chip),
          std::nullopt)
          << chip.name << name;
    }
}

TEST(Templates, AreConstraintsThatUsersMayAddTo) {
  LayerShape layer;
  const Constraints from = template_constraints("weight-stationary", layer, device());
  EXPECT_EQ(merged(from, parse("- level: GLB\n  bypass: [weights]")).levels[1].keeps.weights,
            false);
  EXPECT_THAT(test::error_of([&] { merged(from, parse("- level: GLB\n  order: [k]")); }),
              HasSubstr("GLB: the template fixes order already"));
}

TEST(Templates, NeedAnArray) {
  Accelerator chip = device();
  chip.levels[1].fanout_x = chip.levels[1].fanout_y = 1;
  EXPECT_THAT(test::error_of([&] { template_constraints("systolic", {}, chip); }),
              HasSubstr("'systolic' spreads loops over an array, but simple3 has none"));
}

}  // namespace
}  // namespace instantnet::mapper
