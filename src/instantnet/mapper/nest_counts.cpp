#include "instantnet/mapper/nest_counts.h"

#include <algorithm>
#include <numeric>

namespace instantnet::mapper {

namespace {

constexpr size_t N = at(Dim::N), G = at(Dim::G), K = at(Dim::K), C = at(Dim::C), P = at(Dim::P),
                 Q = at(Dim::Q), R = at(Dim::R), S = at(Dim::S);

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
double real(int64_t a) { return static_cast<double>(a); }

constexpr uint32_t bit(Dim d) { return 1u << at(d); }

constexpr uint32_t relevant_mask(Tensor t) {
  uint32_t mask = 0;
  for (const Dim d : kAllDims) mask |= relevant(t, d) ? bit(d) : 0;
  return mask;
}
constexpr std::array<uint32_t, kTensors> kRelevant = {
    relevant_mask(Tensor::Weights), relevant_mask(Tensor::Inputs), relevant_mask(Tensor::Outputs)};

/// Distinct values of alpha x + beta y, x < m, y < n. (10)
int64_t distinct_sums(int64_t alpha, int64_t m, int64_t beta, int64_t n) {
  if (m == 1 || n == 1) return m * n;
  const int64_t g = std::gcd(alpha, beta);
  return m * n - std::max<int64_t>(0, m - beta / g) * std::max<int64_t>(0, n - alpha / g);
}

}  // namespace

bool NestCounts::set(const PerDim& bounds, int64_t stride, int64_t dilation, const NestView& nest) {
  bounds_ = bounds;
  stride_ = stride;
  dilation_ = dilation;
  nest_ = nest;
  tile_[nest.slots].fill(1);
  for (int l = nest.slots - 1; l >= 0; --l)
    for (size_t d = 0; d < kDims; ++d) {
      int64_t s = nest.spatial[l][d], t = nest.temporal[l][d];
      const int64_t child = tile_[l + 1][d];
      if (s > 1 && s * child > bounds[d]) s = std::min(s, ceil_div(bounds[d], child));
      const int64_t block = s * child;
      if (t > 1 && t * block > bounds[d]) t = std::min(t, ceil_div(bounds[d], block));
      spatial_[l][d] = s;
      temporal_[l][d] = t;
      block_[l][d] = block;
      tile_[l][d] = t * block;
    }
  for (size_t d = 0; d < kDims; ++d)
    if (tile_[0][d] < bounds[d]) return false;
  return true;
}

double NestCounts::tile_elements(int slot, Tensor t) const {
  PerDim x;
  for (size_t d = 0; d < kDims; ++d) x[d] = std::min(bounds_[d], tile_[slot][d]);
  switch (t) {
    case Tensor::Weights:
      return real(x[G]) * real(x[K]) * real(x[C]) * real(x[R]) * real(x[S]);
    case Tensor::Outputs:
      return real(x[N]) * real(x[G]) * real(x[K]) * real(x[P]) * real(x[Q]);
    case Tensor::Inputs:
      return real(x[N]) * real(x[G]) * real(x[C]) *
             real(stride_ * (x[P] - 1) + dilation_ * (x[R] - 1) + 1) *
             real(stride_ * (x[Q] - 1) + dilation_ * (x[S] - 1) + 1);
  }
  return 0;
}

/// How often the loops of a dim over time, down to those of `temporal_slot`, and over space,
/// outside `spatial_slot`, begin inside the layer while all other loops stand at their start. (4)
int64_t NestCounts::visits(size_t d, int temporal_slot, int spatial_slot) const {
  int64_t count = 1, rest = bounds_[d];  // rest: of the layer in the last tile that is counted
  const int last = std::max(temporal_slot, spatial_slot - 1);
  for (int l = 0; l <= last; ++l) {
    const int64_t block = block_[l][d], child = tile_[l + 1][d];
    if (l <= temporal_slot && rest > block) {
      const int64_t n = ceil_div(rest, block);
      count = (count - 1) * temporal_[l][d] + n;
      rest -= (n - 1) * block;
    } else {
      if (l <= temporal_slot) count = (count - 1) * temporal_[l][d] + 1;
      rest = std::min(rest, block);
    }
    if (l < spatial_slot && rest > child) {
      const int64_t n = ceil_div(rest, child);
      count = (count - 1) * spatial_[l][d] + n;
      rest -= (n - 1) * child;
    } else {
      if (l < spatial_slot) count = (count - 1) * spatial_[l][d] + 1;
      rest = std::min(rest, child);
    }
  }
  return count;
}

double NestCounts::steps() const {
  double product = 1;
  for (size_t d = 0; d < kDims; ++d) {
    product *= real(visits(d, nest_.step_slot - 1, 0));
    for (int l = nest_.step_slot; l < nest_.slots; ++l) product *= real(temporal_[l][d]);
  }
  return product;
}

double NestCounts::instances(int slot) const {
  double product = 1;
  for (size_t d = 0; d < kDims; ++d) product *= real(visits(d, -1, slot));
  return product;
}

NestCounts::Turning NestCounts::turning(int slot, Tensor t) const {
  for (int l = slot - 1; l >= 0; --l) {
    uint32_t inside = 0;
    for (int i = kDims - 1; i >= 0; --i) {
      const Dim d = nest_.order[l][i];
      if (temporal_[l][at(d)] == 1) continue;
      if (kRelevant[at(t)] & bit(d)) return {l, d, inside};
      inside |= bit(d);
    }
  }
  return {};
}

/// Input rows (columns) that an axis reads, for all windows together. (8) (9)
double NestCounts::halo_axis(Dim position, Dim filter, int outer, int inner,
                             const Turning& turn) const {
  const auto p = at(position), r = at(filter);
  const int64_t extent = stride_ * (std::min(bounds_[p], tile_[inner][p]) - 1) +
                         dilation_ * (std::min(bounds_[r], tile_[inner][r]) - 1) + 1;
  const double np = real(visits(p, inner - 1, outer)), nr = real(visits(r, inner - 1, outer));
  if (inner == nest_.slots || turn.slot < 0) return np * nr * real(extent);
  const auto slide = [&](size_t d, double n, int64_t shift) {
    const double starts = real(visits(d, turn.slot - 1, outer));
    return starts * real(extent) + (n - starts) * real(std::min(extent, shift));
  };
  if (turn.dim == position) return nr * slide(p, np, stride_ * block_[turn.slot][p]);
  if (turn.dim == filter) return np * slide(r, nr, dilation_ * block_[turn.slot][r]);
  return np * nr * real(extent);
}

/// Elements that all instances of `outer` hand to the slots below them when every child's windows
/// were the same. (7) (8)
double NestCounts::transfers(Tensor t, int outer, int inner) const {
  const bool every_step = inner == nest_.slots;
  const Turning turn = every_step ? Turning{} : turning(inner, t);
  double product = 1;
  for (const Dim dim : kAllDims) {
    const size_t d = at(dim);
    if (kRelevant[at(t)] & bit(dim)) {
      const bool window = t == Tensor::Inputs && d >= P;
      if (!window) product *= real(bounds_[d]);
    } else {
      const int down =
          every_step ? nest_.slots - 1 : turn.slot - ((turn.inside & bit(dim)) != 0 ? 1 : 0);
      product *= real(visits(d, down, outer));
    }
  }
  if (t == Tensor::Inputs)
    product *= halo_axis(Dim::P, Dim::R, outer, inner, turn) *
               halo_axis(Dim::Q, Dim::S, outer, inner, turn);
  return product;
}

/// Children of one instance that take part in one transfer. (10)
double NestCounts::copies(int slot, Tensor t) const {
  const PerDim& s = spatial_[slot];
  switch (t) {
    case Tensor::Weights:
      return real(s[N] * s[P] * s[Q]);
    case Tensor::Inputs:
      return real(s[K] * s[P] * s[Q] * s[R] * s[S]);
    case Tensor::Outputs:
      return real(s[C] * s[R] * s[S]);
  }
  return 0;
}

/// Those of them that need a read (or an update) of their own. (10)
double NestCounts::distinct(int slot, Tensor t) const {
  const bool shared = t == Tensor::Outputs ? nest_.reduction[slot] : nest_.multicast[slot];
  if (!shared) return copies(slot, t);
  if (t != Tensor::Inputs) return 1;
  const PerDim &s = spatial_[slot], &child = tile_[slot + 1];
  return real(distinct_sums(stride_ * child[P], s[P], dilation_ * child[R], s[R]) *
              distinct_sums(stride_ * child[Q], s[Q], dilation_ * child[S], s[S]));
}

void NestCounts::count_reads(Tensor t, int outer, int inner,
                             std::array<Traffic, kTensors>* traffic) const {
  double carried = transfers(t, outer, inner);
  for (int l = inner - 1; l > outer; --l) carried *= distinct(l, t);
  traffic[outer][at(t)].reads = carried * distinct(outer, t);
  for (int l = outer; l < inner; ++l) {
    if (l > outer) carried /= distinct(l, t);
    carried *= copies(l, t);
    traffic[l][at(t)].network = carried;
  }
  if (inner < nest_.slots) traffic[inner][at(t)].fills = carried;
}

/// (11) to (13)
void NestCounts::count_sums(int outer, int inner, std::array<Traffic, kTensors>* traffic) const {
  constexpr size_t O = at(Tensor::Outputs);
  double outputs = 1;
  for (const Dim d : {Dim::N, Dim::G, Dim::K, Dim::P, Dim::Q}) outputs *= real(bounds_[at(d)]);
  double first = outputs;
  for (const Dim d : {Dim::C, Dim::R, Dim::S}) first *= real(visits(at(d), -1, outer));
  double turns = transfers(Tensor::Outputs, outer, inner);
  for (int l = outer; l < inner; ++l) turns *= distinct(l, Tensor::Outputs);
  traffic[outer][O].updates = turns;
  traffic[outer][O].reads = turns - first;
  double at_once = 1;
  for (int l = outer; l < inner; ++l) {
    if (nest_.reduction[l]) at_once *= copies(l, Tensor::Outputs);
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
