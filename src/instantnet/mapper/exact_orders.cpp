#include "instantnet/mapper/exact_orders.h"

#include <algorithm>

namespace instantnet::mapper::exact {

namespace {

double real(int64_t x) { return static_cast<double>(x); }

/// Where a tensor's tile first changes, going out from a boundary between levels.
struct Turn {
  bool at_buffer = false, at_dram = false;
  size_t place = 0;  // in the order of that level
};

/// The loops that lie outside a boundary: of the buffer (absent for the boundary outside it) and
/// of DRAM. Loops of one step are none.
class Outside {
 public:
  Outside(const Chain& chain, const LoopOrder* buffer, const LoopOrder& dram)
      : chain_(chain), buffer_(buffer), dram_(dram) {}

  Turn turn(Tensor t) const {
    for (size_t i = 0; buffer_ && i < kDims; ++i)
      if (chain_.loops[at((*buffer_)[i])] > 1 && relevant(t, (*buffer_)[i]))
        return {true, false, i};
    for (size_t i = 0; i < kDims; ++i)
      if (chain_.buffer_count[at(dram_[i])] > 1 && relevant(t, dram_[i])) return {false, true, i};
    return {};
  }

  Dim dim(const Turn& turn) const {
    return turn.at_buffer ? (*buffer_)[turn.place] : dram_[turn.place];
  }

  /// How often a dim that the tensor does not depend on makes it be fetched.
  double visits(const Turn& turn, Dim d) const {
    if (turn.at_buffer) {
      const bool outside = std::find(buffer_->begin(), buffer_->begin() + turn.place, d) ==
                           buffer_->begin() + turn.place;
      return real(outside ? chain_.array_count[at(d)] : chain_.buffer_count[at(d)]);
    }
    if (!turn.at_dram) return 1;
    const bool outside =
        std::find(dram_.begin(), dram_.begin() + turn.place, d) == dram_.begin() + turn.place;
    return outside ? real(chain_.buffer_count[at(d)]) : 1;
  }

  /// Rows of input windows of `tile` along an axis of outputs p and filter taps r.
  double rows(const LayerShape& layer, const PerDim& tile, Dim p, Dim r, const Turn& turn) const {
    const PerDim& count = buffer_ ? chain_.array_count : chain_.buffer_count;
    const int64_t extent = window(layer, tile[at(p)], tile[at(r)]);
    const int64_t np = count[at(p)], nr = count[at(r)];
    if (!turn.at_buffer && !turn.at_dram) return real(np * nr * extent);
    const PerDim& step = turn.at_buffer ? chain_.array : chain_.buffer;
    const auto slide = [&](Dim d, int64_t n, int64_t shift) {
      const int64_t starts = turn.at_buffer ? chain_.buffer_count[at(d)] : 1;
      return real(starts * extent + (n - starts) * std::min(extent, shift));
    };
    if (dim(turn) == p) return real(nr) * slide(p, np, layer.stride * step[at(p)]);
    if (dim(turn) == r) return real(np) * slide(r, nr, layer.dilation * step[at(r)]);
    return real(np * nr * extent);
  }

  /// Elements of each tensor that are fetched over a boundary outside tiles of this size.
  Each fetched(const LayerFacts& facts, const PerDim& tile) const {
    const Turn w = turn(Tensor::Weights), i = turn(Tensor::Inputs), o = turn(Tensor::Outputs);
    Each all;
    all[kW] = facts.weights * visits(w, Dim::N) * visits(w, Dim::P) * visits(w, Dim::Q);
    all[kO] = facts.outputs * visits(o, Dim::C) * visits(o, Dim::R) * visits(o, Dim::S);
    all[kI] = facts.planes * visits(i, Dim::K) * rows(facts.layer, tile, Dim::P, Dim::R, i) *
              rows(facts.layer, tile, Dim::Q, Dim::S, i);
    return all;
  }

 private:
  const Chain& chain_;
  const LoopOrder* buffer_;
  const LoopOrder& dram_;
};

}  // namespace

LoopOrder order_of(const OrderClass& one, const std::vector<Dim>& innermost) {
  std::vector<Dim> dims = innermost;
  const auto add = [&](Dim d) {
    if (std::find(dims.begin(), dims.end(), d) == dims.end()) dims.push_back(d);
  };
  if (one.stays == kI) add(Dim::K);
  add(one.slides);
  if (one.stays == kW) add(Dim::P), add(Dim::Q), add(Dim::N);
  if (one.stays == kO) add(Dim::R), add(Dim::S), add(Dim::C);
  for (const Dim d : {Dim::C, Dim::K, Dim::P, Dim::Q, Dim::R, Dim::S, Dim::N, Dim::G}) add(d);
  LoopOrder order{};
  std::copy(dims.begin(), dims.end(), order.begin());
  return order;
}

Traffic traffic_of(const LayerFacts& facts, const Chain& chain, const LoopOrder& buffer,
                   const LoopOrder& dram) {
  Traffic traffic;
  traffic.outer = Outside(chain, nullptr, dram).fetched(facts, chain.buffer);
  traffic.buffer = Outside(chain, &buffer, dram).fetched(facts, chain.registers);
  const auto s = [&](Dim d) { return chain.spread[at(d)]; };
  const auto a = [&](Dim d) { return chain.registers[at(d)]; };
  const LayerShape& layer = facts.layer;
  const auto distinct = [&](Dim p, Dim r) {
    return real(distinct_sums(layer.stride * a(p), s(p), layer.dilation * a(r), s(r)));
  };
  traffic.spread = real(s(Dim::C) * s(Dim::R) * s(Dim::S));
  traffic.touched = 1;
  for (const Dim d : {Dim::C, Dim::R, Dim::S})
    traffic.touched *= real(std::min(s(d), chain.register_count[at(d)]));
  traffic.fill[kW] = traffic.buffer[kW] * real(s(Dim::N) * s(Dim::P) * s(Dim::Q));
  traffic.fill[kO] = traffic.buffer[kO] * traffic.spread;
  traffic.fill[kI] =
      traffic.buffer[kI] * real(s(Dim::K) * s(Dim::P) * s(Dim::R)) * real(s(Dim::Q) * s(Dim::S));
  traffic.buffer[kI] *= distinct(Dim::P, Dim::R) * distinct(Dim::Q, Dim::S);
  for (const Dim d : kAllDims) {
    traffic.steps = std::max(traffic.steps, 1.0) * real(chain.array_count[at(d)] * a(d));
    traffic.instances *= real(std::min(s(d), chain.register_count[at(d)]));
  }
  return traffic;
}

}  // namespace instantnet::mapper::exact
