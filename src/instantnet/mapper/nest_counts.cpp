#include "instantnet/mapper/nest_counts.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace instantnet::mapper {

namespace {

constexpr size_t N = at(Dim::N), G = at(Dim::G), K = at(Dim::K), C = at(Dim::C), P = at(Dim::P),
                 Q = at(Dim::Q), R = at(Dim::R), S = at(Dim::S);

/// The least whole number from a / b on, for whole numbers below 2^53; then rounding cannot hide
/// that a / b is not whole.
double ceil_div(double a, double b) {
  const double quotient = a / b;
  const auto whole = static_cast<double>(static_cast<int64_t>(quotient));
  return whole < quotient ? whole + 1 : whole;
}

/// Negative where x is.
int64_t sign_bits(double x) { return std::bit_cast<int64_t>(x); }

/// For each dim: which tensors it is relevant to, one in each byte, and 1 in the fourth.
constexpr std::array<uint32_t, kDims> kScan = [] {
  std::array<uint32_t, kDims> scan{};
  for (const Dim d : kAllDims) {
    scan[at(d)] = 1u << 24;
    for (const Tensor t : kAllTensors) scan[at(d)] |= (relevant(t, d) ? 1u : 0u) << 8 * at(t);
  }
  return scan;
}();

/// Distinct values of alpha x + beta y, x < m, y < n. (10)
double distinct_sums(double alpha, double m, double beta, double n) {
  if (m == 1 || n == 1) return m * n;
  const auto g =
      static_cast<double>(std::gcd(static_cast<int64_t>(alpha), static_cast<int64_t>(beta)));
  return m * n - std::max(0.0, m - beta / g) * std::max(0.0, n - alpha / g);
}

}  // namespace

LayerNumbers::LayerNumbers(const LayerShape& layer) {
  const PerDim whole = bounds_of(layer);
  for (size_t d = 0; d < kDims; ++d) bounds[d] = static_cast<double>(whole[d]);
  stride = static_cast<double>(layer.stride);
  dilation = static_cast<double>(layer.dilation);
  for (const double bound : bounds) macs *= bound;
  box = {bounds[G] * bounds[K] * bounds[C] * bounds[R] * bounds[S],
         bounds[N] * bounds[G] * bounds[C],
         bounds[N] * bounds[G] * bounds[K] * bounds[P] * bounds[Q]};
}

bool NestCounts::set(const LayerNumbers& layer, const NestView& nest) {
  layer_ = &layer;
  nest_ = nest;
  first_fanout_ = nest.slots;
  last_fanout_ = -1;
  tile_[nest.slots].fill(1);
  for (int l = nest.slots - 1; l >= 0; --l) {
    size_slot(l);
    int32_t spread = 0;
    for (size_t d = 0; d < kDims; ++d) spread |= nest.spatial[l][d] ^ 1;
    if (spread == 0) continue;
    first_fanout_ = l;
    last_fanout_ = std::max(last_fanout_, l);
  }
  int64_t short_of = 0, beyond = 0;
  for (size_t d = 0; d < kDims; ++d) {
    short_of |= sign_bits(tile_[0][d] - layer.bounds[d]);
    beyond |= sign_bits(layer.bounds[d] - tile_[0][d]);
  }
  if (short_of < 0) return false;
  imperfect_ = 0;
  if (beyond < 0)
    for (size_t d = 0; d < kDims; ++d)
      imperfect_ |= (tile_[0][d] != layer.bounds[d] ? 1u : 0u) << d;
  count_visits();
  for (int l = 0; l + 1 < nest.slots; ++l) scan_order(l);
  return true;
}

/// Sizes of a slot's tiles, from those of its children. (1)
void NestCounts::size_slot(int slot) {
  const Row& child = tile_[slot + 1];
  int64_t longer = 0;
  for (size_t d = 0; d < kDims; ++d) {
    space_[slot][d] = nest_.spatial[slot][d];
    time_[slot][d] = nest_.temporal[slot][d];
    block_[slot][d] = space_[slot][d] * child[d];
    tile_[slot][d] = time_[slot][d] * block_[slot][d];
    longer |= sign_bits(layer_->bounds[d] - tile_[slot][d]);
  }
  if (longer < 0) cut(slot);
}

/// Makes the loops of a slot no longer than the layer needs. (2)
void NestCounts::cut(int slot) {
  for (size_t d = 0; d < kDims; ++d) {
    const double bound = layer_->bounds[d], child = tile_[slot + 1][d];
    if (tile_[slot][d] <= bound) continue;
    if (space_[slot][d] * child > bound)
      space_[slot][d] = std::min(space_[slot][d], ceil_div(bound, child));
    block_[slot][d] = space_[slot][d] * child;
    if (time_[slot][d] * block_[slot][d] > bound)
      time_[slot][d] = std::min(time_[slot][d], ceil_div(bound, block_[slot][d]));
    tile_[slot][d] = time_[slot][d] * block_[slot][d];
  }
}

/// visits(d, slot, 0) for all slots but those of the last level.
void NestCounts::count_visits() {
  visits_[0].fill(1);
  for (int l = 0; l < nest_.step_slot; ++l)
    for (size_t d = 0; d < kDims; ++d) visits_[l + 1][d] = visits_[l][d] * time_[l][d];
  for (uint32_t rest = imperfect_; rest != 0; rest &= rest - 1) {
    const auto d = static_cast<size_t>(std::countr_zero(rest));
    for (int l = 0; l < nest_.step_slot; ++l)
      visits_[l + 1][d] =
          first_fanout_ >= l ? ceil_div(layer_->bounds[d], block_[l][d]) : visits_by_tiles(d, l, 0);
  }
}

/// Four bytes, bit i of each about the i-th loop over time from outside: whether it is relevant to
/// weights, to inputs, to outputs, and whether there is one.
void NestCounts::scan_order(int slot) {
  uint32_t active = 0, scanned = 0;
  for (size_t d = 0; d < kDims; ++d) active |= (time_[slot][d] != 1 ? 1u : 0u) << d;
  for (size_t i = 0; i < kDims; ++i) {
    const size_t d = at(nest_.order[slot][i]);
    scanned |= (kScan[d] & (0u - (active >> d & 1))) << i;
  }
  scanned_[slot] = scanned;
}

double NestCounts::extent(int slot, size_t position, size_t filter) const {
  const double p = std::min(layer_->bounds[position], tile_[slot][position]);
  const double r = std::min(layer_->bounds[filter], tile_[slot][filter]);
  return layer_->stride * (p - 1) + layer_->dilation * (r - 1) + 1;
}

double NestCounts::tile_elements(int slot, Tensor t) const {
  const auto x = [&](size_t d) { return std::min(layer_->bounds[d], tile_[slot][d]); };
  switch (t) {
    case Tensor::Weights:
      return x(G) * x(K) * x(C) * x(R) * x(S);
    case Tensor::Inputs:
      return x(N) * x(G) * x(C) * extent(slot, P, R) * extent(slot, Q, S);
    case Tensor::Outputs:
      return x(N) * x(G) * x(K) * x(P) * x(Q);
  }
  return 0;
}

/// How often the loops of a dim over time, down to those of `time_slot`, and over space, outside
/// `space_slot`, begin inside the layer while all its other loops stand at their start. (4)
double NestCounts::visits_of_nest(size_t d, int time_slot, int space_slot) const {
  if (imperfect_ >> d & 1) return visits_by_tiles(d, time_slot, space_slot);
  double product = 1;
  for (int l = 0; l <= time_slot; ++l) product *= time_[l][d];
  for (int l = first_fanout_; l < space_slot; ++l) product *= space_[l][d];
  return product;
}

double NestCounts::visits_by_tiles(size_t d, int time_slot, int space_slot) const {
  double count = 1, rest = layer_->bounds[d];  // rest: of the layer in the last tile counted
  const auto enter = [&](bool counted, double bound, double size) {
    const double tiles = counted && rest > size ? ceil_div(rest, size) : 1;
    if (counted) count = (count - 1) * bound + tiles;
    rest = std::min(rest - (tiles - 1) * size, size);
  };
  for (int l = 0; l <= std::max(time_slot, space_slot - 1); ++l) {
    enter(l <= time_slot, time_[l][d], block_[l][d]);
    enter(l < space_slot, space_[l][d], tile_[l + 1][d]);
  }
  return count;
}

/// visits() of all loops over time: steps in which an instance of `space_slot` has work, along d.
double NestCounts::visits_of_steps(size_t d, int space_slot) const {
  double children = 1;
  for (int l = std::max(space_slot, first_fanout_); l <= last_fanout_; ++l)
    children *= space_[l][d];
  if (children == 1) return layer_->bounds[d];
  return visits(d, nest_.slots - 1, space_slot);
}

double NestCounts::steps() const {
  double product = 1;
  for (int l = nest_.step_slot; l < nest_.slots; ++l)
    for (size_t d = 0; d < kDims; ++d) product *= time_[l][d];
  for (size_t d = 0; d < kDims; ++d) product *= visits_[nest_.step_slot][d];
  return product;
}

double NestCounts::instances(int slot) const {
  if (slot <= first_fanout_) return 1;
  double product = 1;
  for (size_t d = 0; d < kDims; ++d) product *= visits(d, -1, slot);
  return product;
}

NestCounts::Turn NestCounts::turn_of(int slot, Tensor t) const {
  for (int l = slot - 1; l >= 0; --l) {
    const uint32_t here = scanned_[l] >> 8 * at(t) & 0xff;
    if (here == 0) continue;
    const int innermost = std::bit_width(here) - 1;
    Turn turn{l, nest_.order[l][innermost], 0};
    for (uint32_t in = (scanned_[l] >> 24) >> (innermost + 1); in != 0; in &= in - 1)
      turn.inside |= 1u << at(nest_.order[l][innermost + 1 + std::countr_zero(in)]);
    return turn;
  }
  return {};
}

/// Input rows (or columns) that all windows along an axis bring, one after another. (8) (9)
double NestCounts::axis(size_t position, size_t filter, int outer, int inner,
                        const Turn& turn) const {
  const double at_positions = visits(position, inner - 1, outer);
  const double at_filters = visits(filter, inner - 1, outer);
  const double length = extent(inner, position, filter);
  const auto slid = [&](size_t d, double n, double shift) {
    const double starts = visits(d, turn.slot - 1, outer);
    return starts * length + (n - starts) * std::min(length, shift);
  };
  if (turn.slot >= 0 && at(turn.dim) == position)
    return at_filters * slid(position, at_positions, layer_->stride * block_[turn.slot][position]);
  if (turn.slot >= 0 && at(turn.dim) == filter)
    return at_positions * slid(filter, at_filters, layer_->dilation * block_[turn.slot][filter]);
  return at_positions * at_filters * length;
}

/// Elements that the instances of `outer` hand on if all children need the same. (7)
double NestCounts::transfers(Tensor t, int outer, int inner) const {
  const bool steps = inner == nest_.slots;  // multipliers keep nothing
  if (steps && outer > last_fanout_) return layer_->macs;
  const Turn turn = steps ? Turn{} : turn_of(inner, t);
  const auto times = [&](size_t d) {
    if (steps) return visits_of_steps(d, outer);
    return visits(d, turn.slot - static_cast<int>(turn.inside >> d & 1), outer);
  };
  const double box = layer_->box[at(t)];
  switch (t) {
    case Tensor::Weights:
      return box * times(N) * times(P) * times(Q);
    case Tensor::Outputs:
      return box * times(C) * times(R) * times(S);
    case Tensor::Inputs:
      if (steps) return box * times(K) * times(P) * times(Q) * times(R) * times(S);
      return box * times(K) * axis(P, R, outer, inner, turn) * axis(Q, S, outer, inner, turn);
  }
  return 0;
}

/// Children of one instance that a transfer goes to. (10)
double NestCounts::copies(int slot, Tensor t) const {
  const Row& s = space_[slot];
  switch (t) {
    case Tensor::Weights:
      return s[N] * s[P] * s[Q];
    case Tensor::Inputs:
      return s[K] * s[P] * s[Q] * s[R] * s[S];
    case Tensor::Outputs:
      return s[C] * s[R] * s[S];
  }
  return 1;
}

/// Reads (updates) that take them all. (10)
double NestCounts::distinct(int slot, Tensor t) const {
  const bool shared = t == Tensor::Outputs ? nest_.reduction[slot] : nest_.multicast[slot];
  if (!shared) return copies(slot, t);
  if (t != Tensor::Inputs) return 1;
  const Row &s = space_[slot], &child = tile_[slot + 1];
  return distinct_sums(layer_->stride * child[P], s[P], layer_->dilation * child[R], s[R]) *
         distinct_sums(layer_->stride * child[Q], s[Q], layer_->dilation * child[S], s[S]);
}

/// (11)
void NestCounts::count_reads(Tensor t, int outer, int inner,
                             std::array<Traffic, kTensors>* traffic) const {
  double carried = transfers(t, outer, inner);
  if (first_fanout_ >= inner || last_fanout_ < outer) {
    traffic[outer][at(t)].reads = carried;
    for (int l = outer; l < inner; ++l) traffic[l][at(t)].network = carried;
  } else {
    for (int l = inner - 1; l > outer; --l) carried *= distinct(l, t);
    traffic[outer][at(t)].reads = carried * distinct(outer, t);
    for (int l = outer; l < inner; ++l) {
      if (l > outer) carried /= distinct(l, t);
      carried *= copies(l, t);
      traffic[l][at(t)].network = carried;
    }
  }
  if (inner < nest_.slots) traffic[inner][at(t)].fills = carried;
}

/// (12) (13)
void NestCounts::count_sums(int outer, int inner, std::array<Traffic, kTensors>* traffic) const {
  constexpr size_t O = at(Tensor::Outputs);
  double first = layer_->box[O];
  if (outer > first_fanout_)
    first *= visits(C, -1, outer) * visits(R, -1, outer) * visits(S, -1, outer);
  double turns = transfers(Tensor::Outputs, outer, inner), at_once = 1;
  const int from = std::max(outer, first_fanout_), to = std::min(inner, last_fanout_ + 1);
  for (int l = from; l < to; ++l) turns *= distinct(l, Tensor::Outputs);
  traffic[outer][O].updates = turns;
  traffic[outer][O].reads = turns - first;
  for (int l = outer; l < inner; ++l) {
    if (l >= from && l < to && nest_.reduction[l]) at_once *= copies(l, Tensor::Outputs);
    traffic[l][O].network = (turns + (turns - first)) * at_once;
  }
  if (inner < nest_.slots) traffic[inner][O].fills = (turns - first) * at_once;
}

void NestCounts::count(std::array<Traffic, kTensors>* traffic) const {
  for (int l = 0; l < nest_.slots; ++l) traffic[l] = {};
  for (const Tensor t : kAllTensors) {
    int outer = 0;
    for (int l = 1; l <= nest_.slots; ++l) {
      if (l < nest_.slots && !(nest_.keeps[l] >> at(t) & 1)) continue;
      if (t == Tensor::Outputs)
        count_sums(outer, l, traffic);
      else
        count_reads(t, outer, l, traffic);
      outer = l;
    }
  }
}

}  // namespace instantnet::mapper
