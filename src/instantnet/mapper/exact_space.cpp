#include "instantnet/mapper/exact_space.h"

#include <algorithm>
#include <numeric>

namespace instantnet::mapper::exact {

namespace {

/// The divisors of extent, or all values of ceil(extent / x): ascending.
std::vector<int64_t> counts_of(int64_t extent, bool perfect) {
  std::vector<int64_t> counts;
  if (perfect) {
    for (int64_t x = 1; x * x <= extent; ++x)
      if (extent % x == 0) counts.push_back(x), counts.push_back(extent / x);
  } else {
    // From each value go on to the least tile that makes fewer.
    for (int64_t count = extent; count > 1; count = ceil_div(extent, ceil_div(extent, count - 1)))
      counts.push_back(count);
    counts.push_back(1);
  }
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  return counts;
}

int index_of(const std::vector<int64_t>& counts, int64_t count) {
  return static_cast<int>(std::lower_bound(counts.begin(), counts.end(), count) - counts.begin());
}

/// Whether `factor` tiles side by side make one of `count` larger tiles; perfect: without a rest.
bool divides(int64_t count, int64_t factor, bool perfect) {
  return !perfect || count % factor == 0;
}

std::vector<Tile> tiles_of(const DimSpace& dim, const std::optional<int64_t>& fixed) {
  std::vector<Tile> tiles;
  if (fixed) {
    if (*fixed <= dim.extent && divides(dim.extent, *fixed, dim.perfect))
      tiles.push_back({index_of(dim.counts, ceil_div(dim.extent, *fixed)), *fixed});
    return tiles;
  }
  for (int i = 0; i < dim.size(); ++i) tiles.push_back({i, dim.least_tiles[i]});
  return tiles;
}

/// The ways to go from `count` tiles to fewer: factors up to `largest`, or the fixed one.
std::vector<Step> steps_from(const DimSpace& dim, int from, int64_t largest,
                             const std::optional<int64_t>& fixed) {
  const int64_t count = dim.counts[from];
  if (fixed) {
    if (*fixed > count || !divides(count, *fixed, dim.perfect)) return {};
    return {{index_of(dim.counts, ceil_div(count, *fixed)), *fixed}};
  }
  std::vector<Step> steps;
  for (int to = 0; to <= from; ++to) {
    const int64_t factor = ceil_div(count, dim.counts[to]);
    const bool reached = ceil_div(count, factor) == dim.counts[to];
    if (reached && factor <= largest && divides(count, factor, dim.perfect))
      steps.push_back({to, factor});
  }
  return steps;
}

/// A running minimum where any smaller count may lie outside; one prime at a time for divisors.
std::vector<std::pair<int, int>> passes_of(const DimSpace& dim) {
  std::vector<std::pair<int, int>> passes;
  if (!dim.perfect) {
    for (int i = 1; i < dim.size(); ++i) passes.emplace_back(i, i - 1);
    return passes;
  }
  int64_t rest = dim.extent;
  for (int64_t prime = 2; rest > 1; ++prime) {
    if (prime * prime > rest) prime = rest;
    if (rest % prime != 0) continue;
    while (rest % prime == 0) rest /= prime;
    for (int i = 1; i < dim.size(); ++i)
      if (dim.counts[i] % prime == 0)
        passes.emplace_back(i, index_of(dim.counts, dim.counts[i] / prime));
  }
  return passes;
}

}  // namespace

DimSpace make_dim_space(int64_t extent, const DimLimits& limits) {
  DimSpace dim;
  dim.extent = extent, dim.perfect = limits.perfect;
  dim.counts = counts_of(extent, limits.perfect);
  for (const int64_t count : dim.counts) dim.least_tiles.push_back(ceil_div(extent, count));
  dim.tiles = tiles_of(dim, limits.registers);
  const int64_t spread = limits.may_spread ? limits.largest_spread : 1;
  const int64_t loop = limits.may_loop ? extent : 1;
  for (int i = 0; i < dim.size(); ++i) {
    dim.spreads.push_back(steps_from(dim, i, spread, limits.array));
    dim.loops.push_back(steps_from(dim, i, loop, limits.buffer));
    dim.outermost.push_back(!limits.outermost || *limits.outermost == dim.counts[i]);
  }
  dim.passes = passes_of(dim);
  return dim;
}

int64_t distinct_sums(int64_t alpha, int64_t m, int64_t beta, int64_t n) {
  const int64_t g = std::gcd(alpha, beta);
  return m * n - std::max<int64_t>(0, m - beta / g) * std::max<int64_t>(0, n - alpha / g);
}

}  // namespace instantnet::mapper::exact
