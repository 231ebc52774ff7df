// What networks of a search space cost, by a price that somebody else knows; the window a search
// must end in; the likeliest network inside it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/net/precision.h"
#include "instantnet/net/search_space.h"

namespace instantnet::nas {

/// The price of one convolution or linear layer, batch 1; costs of networks are sums of prices.
using Price = std::function<double(const LayerShape&, Precision)>;

/// Prices of a whole space.
struct CostTable {
  double fixed = 0;                        // stem, header, classifier
  std::vector<std::vector<double>> cells;  // by cell, by operator
  int64_t shapes = 0;                      // different (shape, precision) that were priced
  bool operator==(const CostTable&) const = default;

  double of(const Architecture& architecture) const;
  double of_cells(const Architecture& architecture) const;  // without fixed
  double least() const;  // of all networks: exact, because costs are sums over cells
  double most() const;
};

/// Prices every layer of the space once at `bits`, or at its own fixed width; equal ones once.
/// Error naming cell, operator and shape when the price fails, is negative or is no finite number.
CostTable price_space(const SearchSpace& space, const SpaceImage& image, int bits,
                      const Price& price);

/// What the derived network may cost; both ends included.
struct Window {
  double least = 0, most = 0;
  double middle() const { return (least + most) / 2; }
  bool holds(double cost) const { return cost >= least && cost <= most; }
  /// How far outside, relative to the middle; negative below, 0 inside.
  double miss(double cost) const;
  bool operator==(const Window&) const = default;
};

/// The architecture inside the window with the largest sum of scores (one a cell and operator, for
/// example log probabilities), by branch and bound with a Lagrangian bound.
struct Inside {
  Architecture architecture;
  double score = 0;
  bool proven = true;  // no other one inside has a larger sum; false: the search was cut short
};
/// Nothing when no network is inside, or none was found before `nodes` branches. Of equal sums the
/// first found.
std::optional<Inside> best_inside(const CostTable& table, const Window& window,
                                  const std::vector<std::vector<double>>& scores,
                                  int64_t nodes = 4'000'000);

/// Error, one sentence with the reachable range, for a window with least > most, one that no
/// network reaches, and one between two networks' costs.
void check_window(const Window& window, const CostTable& table);

/// The architecture of the largest score in each cell; of equal ones the first.
Architecture best_of(const std::vector<std::vector<double>>& scores);

}  // namespace instantnet::nas
