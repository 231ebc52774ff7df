#include "instantnet/nas/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "instantnet/core/error.h"

namespace instantnet::nas {
namespace {

const Tree& entry(const Tree& map, const char* key) {
  const Tree* found = map.kind == Tree::Kind::Map ? map.find(key) : nullptr;
  if (found == nullptr)
    fail(map.where(), fmt::format("has no '{}'; it is no search.json of this program.", key));
  return *found;
}

CellReport cell_report(const SearchSpace& space, const std::vector<double>& weights,
                       const std::vector<double>& costs, size_t chosen) {
  size_t other = chosen == 0 ? 1 : 0;
  for (size_t k = 0; k < weights.size(); ++k)
    if (k != chosen && weights[k] > weights[other]) other = k;
  return {space.operators[chosen], space.operators[other], weights[chosen],
          weights[other],          costs[chosen],          0};
}

Tree to_tree(const CellReport& cell) {
  return Tree::map()
      .set("operator", Tree::of(cell.chosen))
      .set("weight", Tree::of(cell.weight))
      .set("runner_up", Tree::of(cell.runner_up))
      .set("runner_up_weight", Tree::of(cell.runner_up_weight))
      .set("cost", Tree::of(cell.cost))
      .set("cost_share", Tree::of(cell.share));
}

CellReport cell_from_tree(const Tree& tree) {
  return {entry(tree, "operator").as_string(), entry(tree, "runner_up").as_string(),
          entry(tree, "weight").as_double(),   entry(tree, "runner_up_weight").as_double(),
          entry(tree, "cost").as_double(),     entry(tree, "cost_share").as_double()};
}

Tree pair_tree(double a, double b) { return Tree::list({Tree::of(a), Tree::of(b)}); }

std::pair<double, double> pair_of(const Tree& tree) {
  if (tree.kind != Tree::Kind::List || tree.items.size() != 2)
    fail(tree.where(), fmt::format("is {}; it should be two numbers.", tree.given()));
  return {tree.items[0].as_double(), tree.items[1].as_double()};
}

}  // namespace

Derived derive(const Rows& alpha, const CostTable& table, const Window& window) {
  Derived result;
  result.architecture = best_of(alpha);
  result.argmax_cost = result.cost = table.of(result.architecture);
  if (window.holds(result.cost)) return result;
  const auto inside = best_inside(table, window, log_softmax(alpha));
  if (!inside) {  // found before with even scores: as good as any
    const auto any = best_inside(table, window, rows_like(alpha, 0.0));
    if (!any) bug("derive: the window was not checked");
    result.architecture = any->architecture;
    result.proven = false;
  } else {
    result.architecture = inside->architecture;
    result.proven = inside->proven;
  }
  result.projected = true;
  result.cost = table.of(result.architecture);
  return result;
}

SearchReport report_of(const SearchSpace& space, const Rows& alpha, const CostTable& table,
                       const Window& window, const Derived& derived) {
  SearchReport report;
  report.window = window;
  report.reach_least = table.least();
  report.reach_most = table.most();
  report.cost = derived.cost;
  report.argmax_cost = derived.argmax_cost;
  report.fixed_cost = table.fixed;
  report.inside = window.holds(derived.cost);
  report.projected = derived.projected;
  report.proven = derived.proven;
  report.undecided = undecided(alpha);
  const Rows weights = softmax(alpha);
  for (size_t i = 0; i < alpha.size(); ++i) {
    report.cells.push_back(cell_report(space, weights[i], table.cells[i], derived.architecture[i]));
    report.cells.back().share = derived.cost > 0 ? report.cells.back().cost / derived.cost : 0;
  }
  return report;
}

Tree to_tree(const SearchReport& report) {
  Tree cells = Tree::list();
  for (const CellReport& cell : report.cells) cells.items.push_back(to_tree(cell));
  return Tree::map()
      .set("method", Tree::of(report.method))
      .set("seed", Tree::of(report.seed))
      .set("epoch", Tree::of(report.epoch))
      .set("finished", Tree::of(report.finished))
      .set("cost_kind", Tree::of(report.cost_kind))
      .set("window", pair_tree(report.window.least, report.window.most))
      .set("reachable", pair_tree(report.reach_least, report.reach_most))
      .set("cost", Tree::of(report.cost))
      .set("inside", Tree::of(report.inside))
      .set("projected", Tree::of(report.projected))
      .set("proven", Tree::of(report.proven))
      .set("argmax_cost", Tree::of(report.argmax_cost))
      .set("fixed_cost", Tree::of(report.fixed_cost))
      .set("lambda", Tree::of(report.lambda))
      .set("undecided", Tree::of(report.undecided))
      .set("cells", std::move(cells));
}

SearchReport report_from_tree(const Tree& tree) {
  SearchReport report;
  report.method = entry(tree, "method").as_string();
  report.seed = entry(tree, "seed").as_uint();
  report.epoch = entry(tree, "epoch").as_int();
  report.finished = entry(tree, "finished").as_bool();
  report.cost_kind = entry(tree, "cost_kind").as_string();
  std::tie(report.window.least, report.window.most) = pair_of(entry(tree, "window"));
  std::tie(report.reach_least, report.reach_most) = pair_of(entry(tree, "reachable"));
  report.cost = entry(tree, "cost").as_double();
  report.inside = entry(tree, "inside").as_bool();
  report.projected = entry(tree, "projected").as_bool();
  report.proven = entry(tree, "proven").as_bool();
  report.argmax_cost = entry(tree, "argmax_cost").as_double();
  report.fixed_cost = entry(tree, "fixed_cost").as_double();
  report.lambda = entry(tree, "lambda").as_double();
  report.undecided = entry(tree, "undecided").as_double();
  for (const Tree& cell : entry(tree, "cells").items) report.cells.push_back(cell_from_tree(cell));
  return report;
}

std::vector<std::string> operator_names(const SearchReport& report) {
  std::vector<std::string> names;
  for (const CellReport& cell : report.cells) names.push_back(cell.chosen);
  return names;
}

}  // namespace instantnet::nas
