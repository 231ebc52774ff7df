#include "instantnet/nas/cost.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "core/helpers.h"
#include "instantnet/core/rng.h"
#include "instantnet/nas/report.h"

namespace instantnet::nas {
namespace {

using test::error_of;
using testing::HasSubstr;

double macs(const LayerShape& shape, Precision) { return static_cast<double>(shape.macs()); }

/// A table of random costs.
CostTable random_table(Rng& rng, size_t cells, size_t operators) {
  CostTable table;
  table.fixed = rng.uniform(0, 5);
  table.cells.resize(cells);
  for (auto& row : table.cells)
    for (size_t k = 0; k < operators; ++k) row.push_back(rng.uniform(0, 10));
  return table;
}

Rows random_scores(Rng& rng, size_t cells, size_t operators) {
  Rows scores(cells);
  for (auto& row : scores)
    for (size_t k = 0; k < operators; ++k) row.push_back(rng.normal());
  return scores;
}

/// Every architecture, one after the other.
template <class F>
void for_all(size_t cells, size_t operators, const F& f) {
  Architecture one(cells, 0);
  for (;;) {
    f(one);
    size_t i = 0;
    while (i < cells && ++one[i] == operators) one[i++] = 0;
    if (i == cells) return;
  }
}

TEST(CostTable, IsTheCostOfEachNetwork) {
  const SearchSpace space = space_preset("small");
  const SpaceImage image{1, 28, 28, 10};
  const CostTable table = price_space(space, image, 4, macs);
  Rng rng(3);
  for (int i = 0; i < 20; ++i) {
    Architecture one(6);
    for (size_t& op : one) op = static_cast<size_t>(rng.below(6));
    EXPECT_EQ(table.of(one), static_cast<double>(count_macs(network_of(space, image, one, "n"))));
  }
}

TEST(CostTable, PricesEqualShapesOnceAndAtTheirWidth) {
  int calls = 0;
  std::set<int> widths;
  const CostTable table = price_space({}, {}, 4, [&](const LayerShape& shape, Precision precision) {
    ++calls;
    widths.insert(precision.weight);
    return static_cast<double>(shape.macs());
  });
  EXPECT_EQ(calls, table.shapes);
  EXPECT_LT(calls, 300);
  EXPECT_EQ(widths, (std::set<int>{4, 32}));
}

TEST(CostTable, SaysWhichShapeHasNoPrice) {
  const auto said = [](const Price& price) {
    return error_of([&] { price_space({}, {}, 4, price); });
  };
  EXPECT_THAT(
      said([](const LayerShape&, Precision) -> double { fail("chip", "it does not fit."); }),
      HasSubstr("price of 'stem' (k=16 c=3 p=32 q=32 r=3 s=3 stride=1 groups=1 at 32 bits): "
                "chip: it does not fit."));
  EXPECT_THAT(
      said([](const LayerShape& shape, Precision) { return shape.groups == 2 ? -1.0 : 1.0; }),
      HasSubstr("'cells.0.k3_e1_g2.conv1'"));
  EXPECT_THAT(said([](const LayerShape&, Precision) { return std::nan(""); }),
              HasSubstr("a price is a finite number >= 0."));
}

TEST(BestInside, IsThatOfTryingAll) {
  const uint64_t seed = 17;
  Rng rng(seed);
  for (int round = 0; round < 300; ++round) {
    const CostTable table = random_table(rng, 5, 4);
    const Rows scores = random_scores(rng, 5, 4);
    const double a = rng.uniform(table.least(), table.most());
    const Window window{a, a + rng.uniform(0, 1) * (table.most() - table.least()) / 5};
    double best = -std::numeric_limits<double>::infinity();
    for_all(5, 4, [&](const Architecture& one) {
      if (!window.holds(table.of(one))) return;
      double score = 0;
      for (size_t i = 0; i < one.size(); ++i) score += scores[i][one[i]];
      best = std::max(best, score);
    });
    const auto found = best_inside(table, window, scores);
    ASSERT_EQ(found.has_value(), std::isfinite(best)) << "seed " << seed << " round " << round;
    if (!found) continue;
    EXPECT_TRUE(found->proven);
    EXPECT_TRUE(window.holds(table.of(found->architecture)));
    EXPECT_NEAR(found->score, best, 1e-9) << "seed " << seed << " round " << round;
  }
}

TEST(BestInside, IsProvenInTheAuthorsSpace) {
  const CostTable table = price_space({}, {}, 4, macs);
  Rng rng(5);
  for (const double sharpness : {0.01, 0.3, 3.0}) {
    Rows scores = random_scores(rng, 22, 9);
    for (auto& row : scores)
      for (double& one : row) one *= sharpness;
    const Window window{1.2e8, 1.3e8};
    const auto found = best_inside(table, window, log_softmax(scores));
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->proven);
    EXPECT_TRUE(window.holds(table.of(found->architecture)));
  }
}

TEST(Derive, EndsInsideWhateverTheAlphas) {
  const CostTable table = price_space({}, {}, 4, macs);
  const Window window{1.2e8, 1.25e8};
  Rng rng(9);
  int projected = 0;
  for (int i = 0; i < 30; ++i) {
    const Derived derived = derive(random_scores(rng, 22, 9), table, window);
    EXPECT_TRUE(window.holds(derived.cost));
    EXPECT_EQ(derived.projected, !window.holds(derived.argmax_cost));
    projected += derived.projected ? 1 : 0;
  }
  EXPECT_GT(projected, 0);
}

TEST(CheckWindow, SaysWhatCanBeReached) {
  CostTable table;
  table.fixed = 1;
  table.cells = {{1, 4}, {2, 8}};
  const auto said = [&](Window window) { return error_of([&] { check_window(window, table); }); };
  EXPECT_EQ(said({4, 13}), "no error");
  EXPECT_THAT(said({9, 5}), HasSubstr("the window is from 9 to 5; least must not be above most "
                                      "(networks of the space cost 4 to 13)"));
  EXPECT_THAT(
      said({20, 30}),
      HasSubstr("no network is in the window from 20 to 30: networks of the space cost 4 to "
                "13; move the window"));
  EXPECT_THAT(said({7.5, 9}), HasSubstr("no network was found in the window from 7.5 to 9"));
  EXPECT_THAT(said({7.5, 9}), HasSubstr("one costs 7, the next 10; give a wider window"));
}

TEST(Report, ReadsBackExactly) {
  const SearchSpace space = space_preset("small");
  const CostTable table = price_space(space, {1, 28, 28, 10}, 4, macs);
  Rng rng(2);
  const Rows alpha = random_scores(rng, 6, 6);
  const Window window{table.least(), table.least() * 1.5};
  SearchReport report = report_of(space, alpha, table, window, derive(alpha, table, window));
  report.method = "spnas";
  report.cost_kind = "macs";
  report.lambda = -0.125;
  EXPECT_EQ(report_from_tree(parse_yaml(print_json(to_tree(report), 2))), report);
  double sum = report.fixed_cost;
  for (const CellReport& cell : report.cells) sum += cell.cost;
  EXPECT_DOUBLE_EQ(sum, report.cost);
}

}  // namespace
}  // namespace instantnet::nas
