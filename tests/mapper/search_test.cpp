#include "instantnet/mapper/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/helpers.h"
#include "instantnet/mapper/engine.h"
#include "mapper/small_spaces.h"

namespace instantnet::mapper {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

LayerShape layer_3x3() {
  LayerShape layer;
  layer.k = 64, layer.c = 32, layer.p = layer.q = 28, layer.r = layer.s = 3;
  return layer;
}

SearchOptions quick(Engine engine) {
  SearchOptions options;
  options.engine = engine;
  options.budget = 30000;
  return options;
}

Found found_by(Engine engine, const Constraints& constraints = {}, int threads = 1) {
  SearchOptions options = quick(engine);
  options.threads = threads;
  return std::get<Found>(
      search(layer_3x3(), {16, 16}, find_accelerator("simple3"), constraints, options));
}

/// Every mapping of a small space, the slow way: all products of integers, all permutations of the
/// loops of every level, all kept tensors, by the evaluator of mappings.
class Brute {
 public:
  Brute(const SmallSpace& asked, Objective objective)
      : asked_(asked),
        objective_(objective),
        evaluator_(asked.layer, asked.precision, asked.device),
        mapping_{std::vector<LevelLoops>(asked.device.levels.size())} {
    keeps(0);
  }
  std::optional<Value> best;

 private:
  size_t levels() const { return mapping_.levels.size(); }

  void keeps(size_t level) {
    if (level == levels()) return dims(0);
    for (int mask = 0; mask < 8; ++mask) {
      for (const Tensor t : kAllTensors) mapping_.levels[level].keeps[t] = mask >> at(t) & 1;
      keeps(level + 1);
    }
  }
  void dims(size_t d) {
    if (d == kDims) return permute(0);
    factor(d, 2 * levels(), bounds_of(asked_.layer)[d]);
  }
  /// Odd places are temporal, even ones spatial, innermost last.
  void factor(size_t d, size_t place, int64_t left) {
    if (place == 0) {
      if (left == 1) dims(d + 1);
      return;
    }
    LevelLoops& loops = mapping_.levels[(place - 1) / 2];
    std::vector<Loop>& list = place % 2 == 0 ? loops.spatial_x : loops.temporal;
    const StorageLevel& level = asked_.device.levels[(place - 1) / 2];
    for (int64_t f = 1; f <= left; ++f) {
      if (place % 2 == 0 && f > level.fanout_x * level.fanout_y) break;
      if (place == 1 && f != left) continue;
      const int64_t steps = (left + f - 1) / f;
      if (divides_only(kAllDims[d], asked_.factors) ? left % f != 0
                                                    : f > 1 && (left + f - 2) / (f - 1) == steps)
        continue;
      if (f > 1) list.push_back({kAllDims[d], f});
      factor(d, place - 1, steps);
      if (f > 1) list.pop_back();
    }
  }
  void permute(size_t level) {
    if (level == levels()) return price();
    std::vector<Loop>& loops = mapping_.levels[level].temporal;
    const std::vector<Loop> before = loops;
    const auto by_dim = [](const Loop& a, const Loop& b) { return a.dim < b.dim; };
    std::sort(loops.begin(), loops.end(), by_dim);
    do permute(level + 1);
    while (std::next_permutation(loops.begin(), loops.end(), by_dim));
    loops = before;
  }
  /// All spatial loops stand in X so far: any split over X and Y will do.
  void price() {
    const auto nest = to_nest(mapping_);
    for (size_t l = 0; l < levels(); ++l) {
      int64_t product = 1;
      for (const int32_t f : nest->spatial[l]) product *= f;
      const StorageLevel& level = asked_.device.levels[l];
      if (!fits_array(product, level.fanout_x, level.fanout_y)) return;
    }
    const auto answer = evaluator_.evaluate(to_mapping(*nest, asked_.device));
    const Cost* cost = std::get_if<Cost>(&answer);
    if (!cost) return;
    const Value value = value_of(objective_, {cost->energy_pj, cost->cycles});
    if (!best || value < *best) best = value;
  }

  const SmallSpace& asked_;
  Objective objective_;
  Evaluator evaluator_;
  Mapping mapping_;
};

Value value_of(const Found& found, Objective objective) {
  return mapper::value_of(objective, Score{found.cost.energy_pj, found.cost.cycles});
}

TEST(Search, ExhaustiveEqualsBruteForce) {
  Rng rng(31);
  for (int i = 0; i < 120; ++i) {
    const SmallSpace one = small_space(rng, 3, 100);
    SearchOptions options = quick(Engine::Exhaustive);
    options.factors = one.factors;
    options.objective = i % 2 == 0 ? Objective::Edp : Objective::Latency;
    const auto found = std::get<Found>(search(one.layer, one.precision, one.device, {}, options));
    const Brute brute(one, options.objective);
    ASSERT_TRUE(brute.best);
    EXPECT_NEAR(value_of(found, options.objective).first, brute.best->first,
                1e-9 * brute.best->first)
        << "case " << i << describe(one);
    EXPECT_TRUE(found.certified);
  }
}

TEST(Search, EvolutionFindsTheOptimumOfSmallSpaces) {
  Rng rng(32);
  int equal = 0;
  constexpr int kCases = 100;
  for (int i = 0; i < kCases; ++i) {
    const SmallSpace one = small_space(rng, 5, 10000);
    SearchOptions options = quick(Engine::Exhaustive);
    options.factors = one.factors;
    options.budget = 6000;
    const auto best = std::get<Found>(search(one.layer, one.precision, one.device, {}, options));
    options.engine = Engine::Random;
    const auto random = std::get<Found>(search(one.layer, one.precision, one.device, {}, options));
    options.engine = Engine::Evolution;
    const auto found = std::get<Found>(search(one.layer, one.precision, one.device, {}, options));
    EXPECT_GE(random.cost.edp(), best.cost.edp() * (1 - 1e-12)) << i << describe(one);
    EXPECT_GE(found.cost.edp(), best.cost.edp() * (1 - 1e-12)) << i << describe(one);
    EXPECT_LE(found.lower_bound, best.cost.edp()) << i << describe(one);
    equal += found.cost.edp() <= best.cost.edp() * (1 + 1e-12) ? 1 : 0;
  }
  EXPECT_GE(equal, kCases - 2);
}

TEST(Search, TheSameForAnyNumberOfThreadsAndForTheSameSeed) {
  for (const Engine engine : {Engine::Evolution, Engine::Random}) {
    const Found one = found_by(engine);
    for (const int threads : {1, 2, 3}) {
      const Found again = found_by(engine, {}, threads);
      EXPECT_EQ(again.mapping, one.mapping) << threads;
      EXPECT_EQ(again.evaluations, one.evaluations) << threads;
    }
  }
}

TEST(Search, NoEngineIsBelowTheCertifiedOptimum) {
  for (const char* name : {"simple3", "eyeriss", "zc706"})
    for (const Factors factors : {Factors::Perfect, Factors::Any}) {
      SearchOptions options = quick(Engine::Exact);
      options.factors = factors;
      const auto by = [&](Engine engine) {
        options.engine = engine;
        return std::get<Found>(search(layer_3x3(), {8, 8}, find_accelerator(name), {}, options));
      };
      const Found exact = by(Engine::Exact);
      EXPECT_TRUE(exact.certified);
      EXPECT_GE(by(Engine::Evolution).cost.edp(), exact.cost.edp() * (1 - 1e-12));
      EXPECT_LE(by(Engine::Evolution).lower_bound, exact.cost.edp());
      EXPECT_GE(by(Engine::Random).cost.edp(), exact.cost.edp() * (1 - 1e-12));
    }
}

TEST(Search, SaysWhyThereIsNoCertificate) {
  const auto answer =
      search(layer_3x3(), {8, 8}, find_accelerator("nvdla"), {}, quick(Engine::Exact));
  const Found& found = std::get<Found>(answer);
  EXPECT_FALSE(found.certified);
  EXPECT_THAT(found.note, HasSubstr("not the exact search: nvdla has 4 storage levels"));
  EXPECT_GT(found.lower_bound, 0.3 * found.cost.edp());
  EXPECT_THAT(test::error_of([] {
                energy_latency_front(layer_3x3(), {8, 8}, find_accelerator("nvdla"), {}, {});
              }),
              HasSubstr("it needs the exact search: nvdla has 4 storage levels"));
}

TEST(Search, EvolutionIsCloseToTheBoundAndBetterThanRandom) {
  const Found evolved = found_by(Engine::Evolution), random = found_by(Engine::Random);
  EXPECT_LT(evolved.cost.edp(), random.cost.edp());
  EXPECT_LE(evolved.lower_bound, evolved.cost.edp());
  EXPECT_GT(evolved.lower_bound, 0.8 * evolved.cost.edp());
  EXPECT_LE(evolved.evaluations, 31000);
}

TEST(Search, AllPrecisionsAreAnsweredInTheOrderTheyWereAsked) {
  const std::vector<Precision> asked = {{4, 4}, {32, 32}, {8, 8}};
  const auto all =
      search_all(layer_3x3(), asked, find_accelerator("simple3"), {}, quick(Engine::Evolution));
  ASSERT_EQ(all.size(), 3u);
  const auto edp = [&](size_t i) { return std::get<Found>(all[i]).cost.edp(); };
  EXPECT_LT(edp(0), edp(2));
  EXPECT_LT(edp(2), edp(1));
}

TEST(Search, WatcherSeesTheBestAndMayStop) {
  double last = std::numeric_limits<double>::infinity();
  int calls = 0;
  SearchOptions options = quick(Engine::Evolution);
  options.budget = 1 << 30;
  const auto answer = search(layer_3x3(), {16, 16}, find_accelerator("simple3"), {}, options,
                             [&](double best, double bound) {
                               EXPECT_LE(best, last);
                               EXPECT_LE(bound, best);
                               last = best;
                               return ++calls < 3;
                             });
  EXPECT_EQ(calls, 3);
  EXPECT_EQ(std::get<Found>(answer).cost.edp(), last);
}

TEST(Search, SaysWhatDoesNotFitAndTheSizeThatWould) {
  Accelerator device = find_accelerator("simple3");
  device.levels.back().capacity_words = 2;
  for (const Engine engine : {Engine::Evolution, Engine::Random, Engine::Exhaustive}) {
    const auto answer = search(layer_3x3(), {16, 16}, device, {}, quick(engine));
    EXPECT_THAT(std::get<Misfit>(answer).why, StartsWith("RF: "));
    EXPECT_THAT(std::get<Misfit>(answer).why,
                HasSubstr("need at least 3 words, it has 2; 3 words would do"));
  }
}

TEST(Search, ExhaustiveSaysHowLargeASpaceIs) {
  EXPECT_THAT(test::error_of([] { found_by(Engine::Exhaustive); }),
              HasSubstr("mappings, and this engine tries at most 2e+08"));
}

TEST(Search, RefusesOptionsThatMakeNoSense) {
  const auto message = [](const std::function<void(SearchOptions&)>& change) {
    SearchOptions options = quick(Engine::Evolution);
    change(options);
    return test::error_of([&] {
      search(layer_3x3(), {16, 16}, find_accelerator("simple3"), {}, options);
    });
  };
  EXPECT_EQ(message([](auto& o) { o.budget = 0; }), "search.budget: is 0; give 1 or more.");
  EXPECT_EQ(message([](auto& o) { o.threads = 0; }), "search.threads: is 0; give 1 or more.");
  EXPECT_EQ(message([](auto& o) { o.pool = 1; }), "search.pool: is 1; give 2 or more.");
  EXPECT_EQ(message([](auto& o) { o.mutation = 2; }),
            "search.mutation: is 2; give a probability, 0 to 1.");
  EXPECT_EQ(message([](auto& o) { o.time_limit_s = -1; }),
            "search.time_limit_s: is -1; give seconds, or 0 for none.");
  EXPECT_THAT(message([](auto& o) {
                o.engine = Engine::Template;
                o.template_name = "row-stationery";
              }),
              HasSubstr("did you mean 'row-stationary'?"));
}

TEST(Search, OptionsTravelThroughTheirFields) {
  SearchOptions options;
  set_field(fields(options), "engine=template");
  set_field(fields(options), "template_name=systolic");
  set_field(fields(options), "factors=perfect");
  EXPECT_EQ(options.engine, Engine::Template);
  EXPECT_EQ(options.template_name, "systolic");
  EXPECT_EQ(options.factors, Factors::Perfect);
}

}  // namespace
}  // namespace instantnet::mapper
