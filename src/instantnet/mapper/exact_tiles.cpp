#include "instantnet/mapper/exact_tiles.h"

#include <algorithm>

namespace instantnet::mapper::exact {

namespace {

double real(int64_t x) { return static_cast<double>(x); }

/// How a dim that one tensor does not depend on multiplies that tensor's traffic.
int irrelevant_to(Dim d) {
  for (const Tensor t : kAllTensors)
    if (!relevant(t, d)) return static_cast<int>(at(t));
  return -1;
}

/// Share of the windows' rows that must be fetched when `count` windows of `extent` rows slide by
/// `shift`.
double sliding(int64_t count, int64_t extent, int64_t shift) {
  return real(extent + (count - 1) * std::min(extent, shift)) / real(count * extent);
}

/// A group of one dim.
void count_dim(Dim d, int64_t tile, int64_t count, int64_t pes, Visits& visits) {
  visits.steps = real(tile * count), visits.pes = real(pes);
  const int t = irrelevant_to(d);
  if (t < 0) return;
  visits.buffer[t] = real(count), visits.fill[t] = real(count * pes);
  visits.copies[t] = real(pes);
}

/// A group of an output's dim (0) and a filter's dim (1).
void count_axis(const LayerShape& layer, const std::array<int64_t, 2>& tile,
                const std::array<int64_t, 2>& count, const std::array<int64_t, 2>& pes,
                Visits& visits) {
  visits.steps = real(tile[0] * count[0]) * real(tile[1] * count[1]);
  visits.pes = real(pes[0] * pes[1]);
  visits.buffer[kW] = real(count[0]), visits.fill[kW] = real(count[0] * pes[0]);
  visits.buffer[kO] = real(count[1]), visits.fill[kO] = real(count[1] * pes[1]);
  visits.copies[kW] = real(pes[0]), visits.copies[kO] = real(pes[1]);
  const double rows = real(count[0] * count[1] * window(layer, tile[0], tile[1]));
  visits.buffer[kI] =
      rows * real(distinct_sums(layer.stride * tile[0], pes[0], layer.dilation * tile[1], pes[1]));
  visits.fill[kI] = rows * visits.pes;
}

class Maker {
 public:
  Maker(const LayerFacts& facts, const Space& space, int64_t pes)
      : layer_(facts.layer), space_(space), pes_(pes) {}

  std::vector<GroupTile> group(int g) const {
    const auto [first, second] = kGroupDims[g];
    std::vector<GroupTile> all;
    for (const Tile& a : space_[at(first)].tiles) {
      if (first == second) {
        all.push_back(single(first, a));
        continue;
      }
      for (const Tile& b : space_[at(second)].tiles) all.push_back(axis(first, second, a, b));
    }
    return all;
  }

 private:
  GroupTile single(Dim d, const Tile& tile) const {
    const DimSpace& dim = space_[at(d)];
    GroupTile one;
    one.tiles = {tile, Tile{}};
    one.extent = real(dim.extent), one.least_steps = real(tile.size);
    for (const Tensor t : kAllTensors)
      if (relevant(t, d)) one.volume[at(t)] = real(tile.size);
    const int64_t count = dim.counts[tile.count];
    count_dim(d, tile.size, count, 1, one.alone);
    for (const Step& step : dim.spreads[tile.count]) {
      if (step.factor > pes_) continue;
      Spread spread;
      spread.steps = {step, Step{}};
      spread.instances = real(std::min(step.factor, count));
      count_dim(d, tile.size, dim.counts[step.count], step.factor, spread.visits);
      if (d == Dim::C) {
        spread.visits.spread = real(step.factor);
        spread.visits.touched = spread.instances;
      }
      add(one, spread);
    }
    return one;
  }

  GroupTile axis(Dim first, Dim second, const Tile& a, const Tile& b) const {
    const DimSpace &outputs = space_[at(first)], &filter = space_[at(second)];
    GroupTile one;
    one.tiles = {a, b};
    one.extent = real(outputs.extent * filter.extent);
    one.least_steps = real(a.size * b.size);
    one.volume = {real(b.size), real(window(layer_, a.size, b.size)), real(a.size)};
    const std::array<int64_t, 2> tile = {a.size, b.size};
    const std::array<int64_t, 2> count = {outputs.counts[a.count], filter.counts[b.count]};
    count_axis(layer_, tile, count, {1, 1}, one.alone);
    for (const Step& x : outputs.spreads[a.count])
      for (const Step& y : filter.spreads[b.count]) {
        if (x.factor * y.factor > pes_) continue;
        const std::array<int64_t, 2> left = {outputs.counts[x.count], filter.counts[y.count]};
        add(one, spread_axis(tile, count, left, x, y));
      }
    return one;
  }

  Spread spread_axis(const std::array<int64_t, 2>& tile, const std::array<int64_t, 2>& count,
                     const std::array<int64_t, 2>& left, const Step& x, const Step& y) const {
    Spread spread;
    spread.steps = {x, y};
    const int64_t busy = std::min(y.factor, count[1]);
    spread.instances = real(std::min(x.factor, count[0]) * busy);
    count_axis(layer_, tile, left, {x.factor, y.factor}, spread.visits);
    spread.visits.spread = real(y.factor), spread.visits.touched = real(busy);
    const int64_t extent = window(layer_, tile[0], tile[1]);
    spread.slides.outputs = sliding(left[0], extent, layer_.stride * tile[0] * x.factor);
    spread.slides.filter = sliding(left[1], extent, layer_.dilation * tile[1] * y.factor);
    return spread;
  }

  static void add(GroupTile& tile, const Spread& spread) {
    for (int t = 0; t < kTensors; ++t)
      tile.most_merged[t] =
          std::max(tile.most_merged[t], tile.alone.buffer[t] / spread.visits.buffer[t]);
    tile.most_pes = std::max(tile.most_pes, spread.visits.pes);
    tile.most_spread = std::max(tile.most_spread, spread.visits.spread);
    tile.slides.lower(spread.slides);
    tile.spreads.push_back(spread);
  }

  const LayerShape& layer_;
  const Space& space_;
  int64_t pes_;
};

}  // namespace

GroupTiles make_group_tiles(const LayerFacts& facts, const Space& space, int64_t pes) {
  const Maker maker(facts, space, pes);
  GroupTiles all;
  for (int g = 0; g < kGroups; ++g) all[g] = maker.group(g);
  return all;
}

}  // namespace instantnet::mapper::exact
