// What a search found, and why: search.json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/core/tree.h"
#include "instantnet/nas/alphas.h"
#include "instantnet/nas/cost.h"

namespace instantnet::nas {

/// The derived network of some alphas.
struct Derived {
  Architecture architecture;
  double cost = 0;
  /// The likeliest operators cost `argmax_cost`, outside the window; this is the likeliest network
  /// inside.
  bool projected = false;
  bool proven = true;  // that it is the likeliest
  double argmax_cost = 0;
  bool operator==(const Derived&) const = default;
};

/// The likeliest operator of each cell, or where that is outside the window the network with the
/// largest sum of log probabilities inside. The window has been checked.
Derived derive(const Rows& alpha, const CostTable& table, const Window& window);

struct CellReport {
  std::string chosen, runner_up;
  double weight = 0, runner_up_weight = 0;  // softmax of the alphas
  double cost = 0, share = 0;               // of the network's
  bool operator==(const CellReport&) const = default;
};

struct SearchReport {
  std::string method, cost_kind;
  uint64_t seed = 0;
  int64_t epoch = 0;
  bool finished = false;
  Window window;
  double reach_least = 0, reach_most = 0;  // costs of the space's networks
  double cost = 0, argmax_cost = 0, fixed_cost = 0;
  bool inside = false, projected = false, proven = true;
  double lambda = 0;
  double undecided = 0;  // entropy of the alphas, 1 at the start
  std::vector<CellReport> cells;
  bool operator==(const SearchReport&) const = default;
};

/// Fills what follows from alphas and costs.
SearchReport report_of(const SearchSpace& space, const Rows& alpha, const CostTable& table,
                       const Window& window, const Derived& derived);

Tree to_tree(const SearchReport& report);
/// Error with file and line for anything that is missing or of a wrong type.
SearchReport report_from_tree(const Tree& tree);

/// Names of the derived network's operators, in the order of cells.
std::vector<std::string> operator_names(const SearchReport& report);

}  // namespace instantnet::nas
