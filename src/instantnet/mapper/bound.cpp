// A lower bound on energy and cycles for any number of levels. Every pair of neighbouring keepers
// of a tensor is a boundary; what crosses the boundaries into one level depends on the tiles of
// that level alone, once the loops outside are relaxed to their best order: the innermost of them
// leaves one tensor in place, which then crosses once in all, and every other tensor is loaded
// again in each of their steps. So each level may choose its own best tiles, whatever the others
// chose, and the sum of those minima is below every mapping. docs/mapper-search.md has the proof.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "instantnet/mapper/engine.h"

namespace instantnet::mapper {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Tiles tried of one loop; of longer lists neighbours are joined to one that is better than each.
constexpr size_t kMostTiles = 48;
/// Spatial factors tried of one loop, likewise.
constexpr size_t kMostSpreads = 64;
/// Room for rounding in sums of products.
constexpr double kSlack = 1 - 1e-9;

constexpr size_t N = at(Dim::N), K = at(Dim::K), C = at(Dim::C), P = at(Dim::P), Q = at(Dim::Q),
                 R = at(Dim::R), S = at(Dim::S);
constexpr size_t W = at(Tensor::Weights), I = at(Tensor::Inputs), O = at(Tensor::Outputs);

using Each = std::array<double, kTensors>;

double real(int64_t a) { return static_cast<double>(a); }
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Different values of alpha x + beta y, x < m, y < n.
int64_t distinct_sums(int64_t alpha, int64_t m, int64_t beta, int64_t n) {
  if (m == 1 || n == 1) return m * n;
  const int64_t g = std::gcd(alpha, beta);
  return m * n - std::max<int64_t>(0, m - beta / g) * std::max<int64_t>(0, n - alpha / g);
}

/// A tile of a loop and the number of them; where several are joined, the smallest tile and the
/// fewest.
struct Tile {
  int64_t size = 1, count = 1;
};

std::vector<Tile> tiles_of(const Space& space, Dim d, size_t most) {
  const int64_t extent = space.bounds()[at(d)];
  std::vector<Tile> all;
  if (space.divides(d)) {
    for (const int64_t f : factors_of(extent, true)) all.push_back({f, extent / f});
  } else {
    for (const int64_t f : factors_of(extent, false)) all.push_back({f, ceil_div(extent, f)});
  }
  if (all.size() <= most) return all;
  std::vector<Tile> joined;
  for (size_t i = 0; i < most; ++i) {
    const size_t first = i * all.size() / most, end = (i + 1) * all.size() / most;
    joined.push_back({all[first].size, all[end - 1].count});
  }
  return joined;
}

/// What a number (energy, or the words that some bandwidth limits) takes from an element that a
/// parent hands down or a child fills.
struct Price {
  Each hand{};         // an element handed to (or taken from) the children, equal ones merged
  Each fill{};         // one copy of it
  double reading = 0;  // part of hand[O] that the first touch of an output saves
  double once = 0;     // the part of fill[O] that it saves
};

/// The boundaries into one level (or into the multipliers).
struct Boundary {
  uint8_t kept = 0;                    // tensors that the level keeps
  std::array<int, kTensors> parent{};  // level that hands them down
  bool operator<(const Boundary& other) const {
    return std::tie(kept, parent) < std::tie(other.kept, other.parent);
  }
};

class Bounder {
 public:
  Bounder(const Evaluator& evaluator, const Space& space);

  double least(Objective objective);

 private:
  struct Limit {
    int level = 0, tensor = -1;  // -1: of all tensors
    bool reads = false, writes = false;
    double per_cycle = 0;
  };
  using Totals = std::vector<double>;  // energy, then the words of each limit

  void find_limits();
  double least_steps() const;
  double fanout(int first, int end) const;
  double sharing(int first, int end, Tensor t) const;
  double summing(int level) const;
  std::vector<Price> prices(int level, const Boundary& boundary) const;
  Totals totals(int level, const Boundary& boundary);
  void at_tiles(const std::array<Tile, kDims>& tiles, const std::vector<Price>& price, int level,
                const Boundary& boundary, Totals& least) const;
  double cost(const Price& price, const Each& loads, int staying, int level,
              const Boundary& boundary) const;
  bool fits(const std::array<Tile, kDims>& tiles, int level, uint8_t kept) const;
  Totals into_multipliers(const Boundary& boundary) const;
  void choose(int level, Boundary boundary, const Totals& so_far, Objective objective);

  const Evaluator& evaluator_;
  const Accelerator& device_;
  const Space& space_;
  PerDim bounds_;
  int64_t stride_, dilation_;
  int levels_;
  std::vector<Limit> limits_;
  std::array<std::vector<Tile>, kDims> tiles_;
  std::vector<Each> words_;  // an element takes at a level
  double macs_ = 0, steps_ = 0;
  Each elements_{};  // of a tensor that the layer uses
  double sums_ = 1;  // partial sums of an output: C R S
  std::map<std::pair<int, Boundary>, Totals> known_;
  double best_ = kInfinity;
};

Bounder::Bounder(const Evaluator& evaluator, const Space& space)
    : evaluator_(evaluator),
      device_(evaluator.device()),
      space_(space),
      bounds_(space.bounds()),
      stride_(evaluator.layer().stride),
      dilation_(evaluator.layer().dilation),
      levels_(space.levels()),
      macs_(real(evaluator.layer().macs())) {
  for (const Dim d : kAllDims) tiles_[at(d)] = tiles_of(space, d, kMostTiles);
  elements_.fill(1);
  for (const Dim d : kAllDims)
    for (const Tensor t : kAllTensors)
      if (relevant(t, d) && (t != Tensor::Inputs || at(d) < P))
        elements_[at(t)] *= real(bounds_[at(d)]);
  elements_[I] *= real(distinct_sums(stride_, bounds_[P], dilation_, bounds_[R])) *
                  real(distinct_sums(stride_, bounds_[Q], dilation_, bounds_[S]));
  sums_ = real(bounds_[C]) * real(bounds_[R]) * real(bounds_[S]);
  for (const StorageLevel& level : device_.levels) {
    Each words;
    for (const Tensor t : kAllTensors)
      words[at(t)] = words_per_element(level, element_bits(device_, evaluator.precision(), t));
    words_.push_back(words);
  }
  find_limits();
  steps_ = least_steps();
}

void Bounder::find_limits() {
  const auto add = [&](int level, int tensor, const Bandwidth& bandwidth) {
    if (bandwidth.read > 0) limits_.push_back({level, tensor, true, false, bandwidth.read});
    if (bandwidth.write > 0) limits_.push_back({level, tensor, false, true, bandwidth.write});
    if (bandwidth.total > 0) limits_.push_back({level, tensor, true, true, bandwidth.total});
  };
  for (int level = 0; level < levels_; ++level) {
    const StorageLevel& one = device_.levels[static_cast<size_t>(level)];
    add(level, -1, one.bandwidth);
    for (const Tensor t : kAllTensors) add(level, static_cast<int>(at(t)), one.tensor_bandwidth[t]);
  }
}

/// Steps of one multiplier: the least product of ceil(D / s) over spatial factors s that the device
/// has multipliers for.
double Bounder::least_steps() const {
  const int64_t all = multipliers(device_);
  std::array<std::vector<Tile>, kDims> spreads;
  for (const Dim d : kAllDims) {
    int64_t most = 1;
    for (size_t i = 0; i < space_.slots().size(); ++i)
      if (space_.slots()[i].spatial)
        most *= space_.fixed(i, d) > 0 ? space_.fixed(i, d) : space_.most(i, d);
    for (const Tile& tile : tiles_of(space_, d, kMostSpreads))
      if (tile.size <= std::min(all, most)) spreads[at(d)].push_back(tile);
  }
  const StorageLevel* array = nullptr;  // the only one
  for (const StorageLevel& level : device_.levels)
    if (level.fanout_x * level.fanout_y == all) array = &level;
  double least = kInfinity;
  const auto walk = [&](const auto& self, size_t d, int64_t used, double steps) -> void {
    if (d == kDims) {
      if (!array || fits_array(used, array->fanout_x, array->fanout_y))
        least = std::min(least, steps);
      return;
    }
    double rest = steps * real(used) / real(all);  // no better than all that is left, fully used
    for (size_t e = d; e < kDims; ++e) rest *= real(bounds_[e]);
    if (rest >= least) return;
    for (auto tile = spreads[d].rbegin(); tile != spreads[d].rend(); ++tile)
      if (used * tile->size <= all) self(self, d + 1, used * tile->size, steps * real(tile->count));
  };
  walk(walk, 0, 1, 1);
  return least;
}

/// Instances of level `end` below one of level `first`.
double Bounder::fanout(int first, int end) const {
  double product = 1;
  for (int l = first; l < end; ++l) {
    const StorageLevel& level = device_.levels[static_cast<size_t>(l)];
    product *= real(level.fanout_x) * real(level.fanout_y);
  }
  return product;
}

/// Those of them that may share what they are handed: where equal windows are merged (outputs:
/// where partial sums are added).
double Bounder::sharing(int first, int end, Tensor t) const {
  double product = 1;
  for (int l = first; l < end; ++l) {
    const StorageLevel& level = device_.levels[static_cast<size_t>(l)];
    if (t == Tensor::Outputs ? level.reduction : level.multicast) product *= fanout(l, l + 1);
  }
  return product;
}

/// Instances of a level that may hold partial sums of one output, at most: as many as the layer has
/// loops to spread. Factors of an array inside another may overshoot by almost one tile.
double Bounder::summing(int level) const {
  double most = sums_;
  int arrays = 0;
  for (int l = 0; l < level; ++l)
    if (fanout(l, l + 1) > 1 && ++arrays > 1) most *= 2;
  return std::min(most, fanout(0, level));
}

std::vector<Price> Bounder::prices(int level, const Boundary& boundary) const {
  std::vector<Price> all(1 + limits_.size());
  for (const Tensor t : kAllTensors) {
    const size_t i = at(t);
    if (!(boundary.kept >> i & 1)) continue;
    const int parent = boundary.parent[i];
    const auto& above = device_.levels[static_cast<size_t>(parent)];
    const double words = words_[static_cast<size_t>(parent)][i];
    const bool sums = t == Tensor::Outputs;
    Price& energy = all[0];
    energy.hand[i] = words * (above.read_pj[t] + (sums ? above.write_pj[t] : 0));
    for (int l = parent; l < level; ++l) {  // outputs travel up, and all but the first down
      const double carried =
          words_[static_cast<size_t>(l)][i] * device_.levels[static_cast<size_t>(l)].network_pj;
      if (l + 1 < level) {
        energy.hand[i] += carried;
      } else {
        energy.fill[i] += carried * (sums ? 2 : 1);
        if (sums) energy.once += carried;
      }
    }
    if (sums) energy.reading = words * above.read_pj[t];
    if (level < levels_) {
      const double fill = words_[static_cast<size_t>(level)][i] *
                          device_.levels[static_cast<size_t>(level)].write_pj[t];
      energy.fill[i] += fill;
      if (sums) energy.once += fill;
    }
    for (size_t l = 0; l < limits_.size(); ++l) {
      const Limit& limit = limits_[l];
      if (limit.tensor >= 0 && static_cast<size_t>(limit.tensor) != i) continue;
      Price& price = all[1 + l];
      if (limit.level == parent) {
        price.hand[i] += limit.reads ? words : 0;
        price.hand[i] += limit.writes && sums ? words : 0;
        if (sums && limit.reads) price.reading = words;
      }
      if (limit.level == level && limit.writes) {
        price.fill[i] += words_[static_cast<size_t>(level)][i];
        if (sums) price.once += words_[static_cast<size_t>(level)][i];
      }
    }
  }
  return all;
}

/// The least that a number can be at one level: `loads` of each tensor's copies, `staying` the
/// tensor that crosses once (-1: none).
double Bounder::cost(const Price& price, const Each& loads, int staying, int level,
                     const Boundary& boundary) const {
  double sum = 0;
  int others = 0;
  std::array<double, kTensors> hand{}, most{};
  double children = 1;
  for (const Tensor t : kAllTensors) {
    const size_t i = at(t);
    if (!(boundary.kept >> i & 1)) continue;
    if (static_cast<int>(i) == staying) {
      sum += (price.hand[i] + price.fill[i]) * elements_[i];
      continue;
    }
    sum += price.fill[i] * loads[i];
    if (price.hand[i] == 0) continue;
    // Up to `most` children share one: never fewer are handed down than there are elements.
    const double sharers = sharing(boundary.parent[i], level, t);
    children = std::max(children, fanout(boundary.parent[i], level));
    hand[static_cast<size_t>(others)] = price.hand[i] * loads[i];
    most[static_cast<size_t>(others)] = std::max(1.0, std::min(sharers, loads[i] / elements_[i]));
    ++others;
  }
  if (others == 1) return sum + hand[0] / most[0];
  if (others == 2) {
    // The two share with disjoint loops: m0 m1 <= children.
    if (most[0] * most[1] <= children) return sum + hand[0] / most[0] + hand[1] / most[1];
    const double best = std::sqrt(children * hand[0] / hand[1]);
    const double m0 = std::clamp(best, std::max(1.0, children / most[1]), most[0]);
    return sum + hand[0] / m0 + hand[1] * m0 / children;
  }
  if (others == 3) {
    // A filter and an output loop may both serve inputs: m0 m1 m2 <= children ^ 1.5.
    const double apart = hand[0] / most[0] + hand[1] / most[1] + hand[2] / most[2];
    const double together = 3 * std::cbrt(hand[0] * hand[1] * hand[2]) / std::sqrt(children);
    return sum + std::max(apart, together);
  }
  return sum;
}

bool Bounder::fits(const std::array<Tile, kDims>& tiles, int level, uint8_t kept) const {
  const StorageLevel& one = device_.levels[static_cast<size_t>(level)];
  const auto window = [&](size_t p, size_t r) {
    return real(stride_ * (tiles[p].size - 1) + dilation_ * (tiles[r].size - 1) + 1);
  };
  Each need;
  need.fill(1);
  for (const Dim d : kAllDims)
    for (const Tensor t : kAllTensors)
      if (relevant(t, d) && (t != Tensor::Inputs || at(d) < P))
        need[at(t)] *= real(tiles[at(d)].size);
  need[I] *= window(P, R) * window(Q, S);
  double shared = 0;
  const double half = one.double_buffered ? 0.5 : 1;
  for (const Tensor t : kAllTensors) {
    if (!(kept >> at(t) & 1)) continue;
    const double words = need[at(t)] * words_[static_cast<size_t>(level)][at(t)] * kSlack;
    const double own = real(one.tensor_capacity_words[t]) * half;
    if (own == 0)
      shared += words;
    else if (words > own)
      return false;
  }
  return one.capacity_words == 0 || shared <= real(one.capacity_words) * half;
}

void Bounder::at_tiles(const std::array<Tile, kDims>& tiles, const std::vector<Price>& price,
                       int level, const Boundary& boundary, Totals& least) const {
  const auto count = [&](size_t d) { return real(tiles[d].count); };
  Each loads;
  loads[W] = elements_[W] * count(N) * count(P) * count(Q);
  loads[O] = elements_[O] * count(C) * count(R) * count(S);
  const double images = real(bounds_[N]) * real(bounds_[at(Dim::G)]) * real(bounds_[C]);
  const auto axis = [&](size_t p, size_t r, double step) {  // input rows, sliding by `step`
    const int64_t extent = stride_ * (tiles[p].size - 1) + dilation_ * (tiles[r].size - 1) + 1;
    return count(p) * count(r) * std::min(real(extent), step);
  };
  const double rows = axis(P, R, kInfinity), columns = axis(Q, S, kInfinity);
  for (size_t staying = 0; staying < kTensors; ++staying) {
    // The loop that moves the window is one of those that leave `staying` in place.
    double windows = rows * columns;
    if (staying == W)
      windows = std::min(axis(P, R, real(stride_ * tiles[P].size)) * columns,
                         rows * axis(Q, S, real(stride_ * tiles[Q].size)));
    if (staying == O)
      windows = std::min(axis(P, R, real(dilation_ * tiles[R].size)) * columns,
                         rows * axis(Q, S, real(dilation_ * tiles[S].size)));
    loads[I] = count(K) * std::max(images * windows, elements_[I]);
    for (size_t f = 0; f < price.size(); ++f)
      least[f] =
          std::min(least[f], cost(price[f], loads, static_cast<int>(staying), level, boundary));
  }
}

/// Least energy and words of the boundaries into one level, each at its own best tiles.
Bounder::Totals Bounder::totals(int level, const Boundary& boundary) {
  const auto known = known_.find({level, boundary});
  if (known != known_.end()) return known->second;
  const std::vector<Price> price = prices(level, boundary);
  Totals least(price.size(), kInfinity);
  std::array<Tile, kDims> tiles;
  for (size_t d = 0; d < kDims; ++d) tiles[d] = {1, bounds_[d]};
  static constexpr std::array<size_t, 6> kWalked = {R, S, P, Q, C, N};
  const auto walk = [&](const auto& self, size_t i) -> void {
    if (i == kWalked.size()) {
      // A larger tile of output channels only spares inputs.
      for (auto tile = tiles_[K].rbegin(); tile != tiles_[K].rend(); ++tile) {
        tiles[K] = *tile;
        if (fits(tiles, level, boundary.kept)) break;
      }
      if (fits(tiles, level, boundary.kept)) at_tiles(tiles, price, level, boundary, least);
      tiles[K] = {1, bounds_[K]};
      return;
    }
    for (const Tile& tile : tiles_[kWalked[i]]) {
      tiles[kWalked[i]] = tile;
      if (!fits(tiles, level, boundary.kept)) break;
      self(self, i + 1);
    }
    tiles[kWalked[i]] = {1, bounds_[kWalked[i]]};
  };
  walk(walk, 0);
  for (size_t f = 0; f < price.size(); ++f) {
    if (!(boundary.kept >> O & 1)) continue;
    // First touches of outputs read nothing: one a group of instances that sum them.
    least[f] -= elements_[O] *
                (price[f].reading * summing(boundary.parent[O]) + price[f].once * summing(level));
  }
  return known_[{level, boundary}] = least;
}

/// Every multiply-accumulate takes two operands and a partial sum from the innermost keepers.
Bounder::Totals Bounder::into_multipliers(const Boundary& boundary) const {
  const std::vector<Price> price = prices(levels_, boundary);
  Each loads;
  loads.fill(macs_);
  Totals least(price.size());
  for (size_t f = 0; f < price.size(); ++f) {
    least[f] = cost(price[f], loads, -1, levels_, boundary) -
               elements_[O] * (price[f].reading * summing(boundary.parent[O]) +
                               price[f].once * summing(levels_));
  }
  return least;
}

/// All kept tensors of level `level` and those inside; `boundary.parent` says who keeps what
/// outside it.
void Bounder::choose(int level, Boundary boundary, const Totals& so_far, Objective objective) {
  const auto with = [&](const Totals& more) {
    Totals sum = so_far;
    for (size_t f = 0; f < sum.size(); ++f) sum[f] += std::max(0.0, more[f]);
    return sum;
  };
  if (level < levels_) {
    for (const uint8_t mask : space_.keeps(level)) {
      Boundary into = boundary;
      into.kept = mask;
      Boundary next = boundary;
      for (size_t t = 0; t < kTensors; ++t)
        if (mask >> t & 1) next.parent[t] = level;
      choose(level + 1, next, mask == 0 ? so_far : with(totals(level, into)), objective);
    }
    return;
  }
  boundary.kept = 7;
  const Totals all = with(into_multipliers(boundary));
  const StorageLevel& outermost = device_.levels.front();
  const double finished =
      elements_[O] *
      (words_per_element(outermost, evaluator_.precision().activation) - words_.front()[O]);
  Score score;
  score.cycles = steps_ / macs_per_cycle(device_.mac, evaluator_.precision());
  for (size_t l = 0; l < limits_.size(); ++l) {
    double words = all[1 + l];
    const bool outputs = limits_[l].tensor < 0 || static_cast<size_t>(limits_[l].tensor) == O;
    if (limits_[l].level == 0 && limits_[l].writes && outputs) words += finished;
    double instances = 1;
    for (int i = 0; i < limits_[l].level; ++i)
      instances *= real(device_.levels[static_cast<size_t>(i)].fanout_x) *
                   real(device_.levels[static_cast<size_t>(i)].fanout_y);
    score.cycles = std::max(score.cycles, words / (limits_[l].per_cycle * instances));
  }
  score.cycles = std::ceil(score.cycles * kSlack);
  score.energy_pj = all[0] + finished * outermost.write_pj.outputs +
                    macs_ * mac_energy_pj(device_.mac, evaluator_.precision()) +
                    1000 * device_.static_mw / device_.clock_mhz * score.cycles;
  score.energy_pj *= kSlack;
  best_ = std::min(best_, value_of(objective, score).first);
}

double Bounder::least(Objective objective) {
  choose(1, {}, Totals(1 + limits_.size(), 0.0), objective);
  return best_;
}

}  // namespace

double lower_bound(const Evaluator& evaluator, const Space& space, Objective objective) {
  return Bounder(evaluator, space).least(objective);
}

}  // namespace instantnet::mapper
