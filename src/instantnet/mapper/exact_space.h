// The space that the exact search certifies: for each dim, which tiles of registers, which spatial
// factors and which loops of the buffer and of DRAM are tried.
//
// Along a dim of extent D a mapping is a chain of counts: nA tiles of a in the registers, nB of
// b = a s in the array (s PEs side by side), nC of c = b t in the buffer; nC is also the bound of
// the DRAM loop. Every count is ceil(D / tile). With perfect factors each divides the one before;
// else any ceil is reached, each by the least factor that reaches it ("balanced": a larger factor
// with the same count would only enlarge tiles).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "instantnet/mapper/workload.h"

namespace instantnet::mapper::exact {

/// A register tile: its size, and which count of tiles it makes.
struct Tile {
  int count = 0;  // index into DimSpace::counts
  int64_t size = 1;
  bool operator==(const Tile&) const = default;
};

/// A factor, and the count that is left outside it.
struct Step {
  int count = 0;  // index into DimSpace::counts
  int64_t factor = 1;
  bool operator==(const Step&) const = default;
};

/// What constraints say about one dim.
struct DimLimits {
  bool perfect = true;
  bool may_spread = true;                                      // over the array
  int64_t largest_spread = 1;                                  // PEs
  bool may_loop = true;                                        // at the buffer
  std::optional<int64_t> registers, array, buffer, outermost;  // fixed factors
};

/// The choices along one dim.
struct DimSpace {
  int64_t extent = 1;
  bool perfect = true;
  std::vector<int64_t> counts;       // ascending, from 1
  std::vector<int64_t> least_tiles;  // ceil(extent / count)
  std::vector<Tile> tiles;
  std::vector<std::vector<Step>> spreads;  // from a count of register tiles
  std::vector<std::vector<Step>> loops;    // from a count of array tiles; fewest outside first
  std::vector<bool> outermost;             // counts that the DRAM loop may have
  /// (to, from): in this order, taking the minimum of `from` into `to` makes each count's value
  /// the minimum over all counts that may lie outside it.
  std::vector<std::pair<int, int>> passes;

  int size() const { return static_cast<int>(counts.size()); }
  bool operator==(const DimSpace&) const = default;
};

DimSpace make_dim_space(int64_t extent, const DimLimits& limits);

/// The choices along all dims.
using Space = std::array<DimSpace, kDims>;

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Input rows behind p output rows and r filter rows: sigma (p-1) + delta (r-1) + 1.
constexpr int64_t window(const LayerShape& layer, int64_t p, int64_t r) {
  return layer.stride * (p - 1) + layer.dilation * (r - 1) + 1;
}

/// How many different numbers alpha x + beta y there are for x < m, y < n.
int64_t distinct_sums(int64_t alpha, int64_t m, int64_t beta, int64_t n);

}  // namespace instantnet::mapper::exact
