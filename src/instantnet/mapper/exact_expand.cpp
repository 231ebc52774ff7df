#include "instantnet/mapper/exact_expand.h"

#include <algorithm>
#include <limits>

namespace instantnet::mapper::exact {

namespace {

constexpr size_t K = at(Dim::K), C = at(Dim::C), P = at(Dim::P), Q = at(Dim::Q), R = at(Dim::R),
                 S = at(Dim::S), N = at(Dim::N), G = at(Dim::G);

double real(int64_t x) { return static_cast<double>(x); }

constexpr unsigned bit(size_t d) { return 1u << d; }
/// Dims that a tensor does not depend on.
constexpr std::array<unsigned, kTensors> kIrrelevant = {bit(N) | bit(P) | bit(Q), bit(K),
                                                        bit(C) | bit(R) | bit(S)};

/// The class of orders in which tensor `stays` and windows slide along axis 0: P, 1: Q, 2: R, 3: S.
int class_of(int stays, size_t axis) {
  return stays == kW   ? static_cast<int>(axis)
         : stays == kO ? static_cast<int>(axis)
                       : 4 + static_cast<int>(axis);
}

}  // namespace

Expander::Expander(const Context& context) : at_(context) {
  for (int i = 0; i < kClasses; ++i) {
    buffer_orders_[i] = order_of(kOrderClasses[i], at_.inner.buffer);
    dram_orders_[i] = order_of(kOrderClasses[i], at_.inner.dram);
  }
}

PerDim Expander::block(const ArrayTile& tile) const {
  PerDim block{};
  for (int g = 0; g < kGroups; ++g) {
    const GroupTile& group = at_.groups[g][tile.tiles[g]];
    const Spread& spread = group.spreads[tile.spreads[g]];
    for (size_t i = 0; i < 2; ++i)
      if (i == 0 || kGroupDims[g][1] != kGroupDims[g][0])
        block[at(kGroupDims[g][i])] = group.tiles[i].size * spread.steps[i].factor;
  }
  return block;
}

Expander::Inside Expander::inside_of(const ArrayTile& tile) const {
  Inside one;
  one.bound = tile.bound;
  Visits visits;
  double instances = 1;
  for (int g = 0; g < kGroups; ++g) {
    one.tiles[g] = &at_.groups[g][tile.tiles[g]];
    one.spreads[g] = &one.tiles[g]->spreads[tile.spreads[g]];
    visits *= one.spreads[g]->visits;
    instances *= one.spreads[g]->instances;
  }
  const Linear& energy = at_.form.energy;
  const LayerFacts& facts = at_.facts;
  one.base = energy.constant + energy.spread * visits.spread + energy.touched * visits.touched;
  const Each elements = {facts.weights, facts.planes, facts.outputs};
  for (int t = 0; t < kTensors; ++t) {
    one.copies[t] = visits.fill[t] / visits.buffer[t];
    one.energy[t] = energy.buffer[t] + energy.fill[t] * one.copies[t];
    one.anew[t] = elements[t] * visits.buffer[t];
  }
  one.cycles = whole_cycles(visits.steps / at_.form.macs_per_cycle);
  one.fixed.spread = visits.spread, one.fixed.touched = visits.touched;
  one.fixed.steps = visits.steps, one.fixed.instances = instances;
  for (size_t i = 0; i < 2; ++i) {
    const GroupTile& axis = *one.tiles[4 + i];
    const Spread& spread = *one.spreads[4 + i];
    const int64_t p = axis.tiles[0].size, r = axis.tiles[1].size;
    one.extent[i] = window(facts.layer, p, r);
    one.shift[i].outputs = real(facts.layer.stride * p * spread.steps[0].factor);
    one.shift[i].filter = real(facts.layer.dilation * r * spread.steps[1].factor);
    one.distinct *= real(distinct_sums(facts.layer.stride * p, spread.steps[0].factor,
                                       facts.layer.dilation * r, spread.steps[1].factor));
  }
  const double by_outputs =
      std::min(one.spreads[4]->slides.outputs, one.spreads[5]->slides.outputs);
  const double by_filter = std::min(one.spreads[4]->slides.filter, one.spreads[5]->slides.filter);
  Each all;
  for (int t = 0; t < kTensors; ++t) all[t] = one.energy[t] * one.anew[t];
  one.least = {all[kO] + all[kI] * by_outputs, all[kW] + all[kO], all[kW] + all[kI] * by_filter};
  return one;
}

void Expander::start(std::span<const ArrayTile> tiles) {
  insides_.clear();
  for (const ArrayTile& tile : tiles) insides_.push_back(inside_of(tile));
  for (int g = 0; g < kGroups; ++g) {
    const GroupTile& group = at_.groups[g][tiles[0].tiles[g]];
    const Spread& spread = group.spreads[tiles[0].spreads[g]];
    for (size_t i = 0; i < 2; ++i)
      if (i == 0 || kGroupDims[g][1] != kGroupDims[g][0])
        array_count_[at(kGroupDims[g][i])] = spread.steps[i].count;
  }
  block_ = block(tiles[0]);
  least_.fill(kInfinity), least_energy_.fill(kInfinity);
  least_base_ = least_cycles_ = kInfinity;
  const Each none = {kInfinity, kInfinity, kInfinity};
  floors_.assign(at_.form.limits.size(), {none, none});
  for (const Inside& one : insides_) lower(one);
  for (const Dim d : kAllDims) unloop(d);
}

/// Takes one way to make the array tile into the least of all.
void Expander::lower(const Inside& one) {
  least_base_ = std::min(least_base_, one.base);
  least_cycles_ = std::min(least_cycles_, one.cycles);
  Slides slides = one.spreads[4]->slides;
  slides.lower(one.spreads[5]->slides);
  const double slide = std::min(slides.outputs, slides.filter);
  const double own_inputs = one.anew[kI] * slide / real(at_.space[K].counts[array_count_[K]]);
  const Each own = {at_.facts.weights, own_inputs, at_.facts.outputs};
  for (int t = 0; t < kTensors; ++t) {
    least_[t] = std::min(least_[t], one.least[t]);
    least_energy_[t] = std::min(least_energy_[t], one.energy[t] * own[t]);
  }
  for (size_t i = 0; i < floors_.size(); ++i)
    lower(one, slides, own, at_.form.limits[i], floors_[i]);
}

void Expander::lower(const Inside& one, const Slides& slides, const Each& own, const Limit& limit,
                     Floor& floor) const {
  const double pes = limit.per_pe ? one.fixed.instances : 1;
  const double base = (limit.words.constant + limit.words.spread * one.fixed.spread +
                       limit.words.touched * one.fixed.touched) /
                      pes;
  Each per, all;
  for (int t = 0; t < kTensors; ++t) {
    per[t] = (limit.words.buffer[t] + limit.words.fill[t] * one.copies[t]) / pes;
    all[t] = per[t] * one.anew[t];
  }
  const Each others = {all[kO] + all[kI] * slides.outputs, all[kW] + all[kO],
                       all[kW] + all[kI] * slides.filter};
  for (int t = 0; t < kTensors; ++t) {
    floor.others[t] = std::min(floor.others[t], base + others[t]);
    floor.own[t] = std::min(floor.own[t], per[t] * own[t]);
  }
}

void Expander::expand(std::span<const ArrayTile> tiles, Best& best) {
  best_ = &best;
  start(tiles);
  if (!fits()) return;
  loop(0, static_cast<size_t>(tiles[0].index));
  survive(static_cast<size_t>(tiles[0].index));
}

/// Loops over nothing but what a tensor does not depend on: it stays in the registers throughout.
void Expander::survive(size_t index) {
  const double cycles = std::max(least_cycles_, whole_cycles(at_.bounds.outer_cycles(index)));
  for (int t = 0; t < kTensors; ++t) {
    const double energy = least_base_ + least_[t] + at_.lattice.inherited(t)[index];
    if (less(at_.goal.value(energy, cycles), best_->value)) loop_only(kIrrelevant[t], 0);
  }
  if (at_.lattice.any_alone()) loop_only(0, 0);
}

bool Expander::fits() const {
  const PerDim& c = tile_;
  const LayerShape& layer = at_.facts.layer;
  const double inputs =
      real(c[N] * c[G] * c[C]) * real(window(layer, c[P], c[R])) * real(window(layer, c[Q], c[S]));
  return at_.form.buffer.fits(real(c[G] * c[K] * c[C]) * real(c[R] * c[S]), inputs,
                              real(c[N] * c[G] * c[K]) * real(c[P] * c[Q]));
}

/// No loop over d at the buffer.
void Expander::unloop(Dim d) {
  const DimSpace& dim = at_.space[at(d)];
  factor_[at(d)] = 1;
  count_[at(d)] = dim.counts[array_count_[at(d)]];
  tile_[at(d)] = std::min(dim.extent, block_[at(d)]);
}

/// Gives dim d a loop at the buffer; false when the tiles do not fit or DRAM's loop may not be so.
bool Expander::choose(Dim d, const Step& step) {
  const DimSpace& dim = at_.space[at(d)];
  if (!dim.outermost[step.count]) return false;
  factor_[at(d)] = step.factor;
  count_[at(d)] = dim.counts[step.count];
  tile_[at(d)] = std::min(dim.extent, block_[at(d)] * step.factor);
  return step.factor == 1 || fits();
}

bool Expander::hopeless(int depth, size_t index) const {
  const double outer = at_.lattice.outer(depth)[index];
  if (outer == kInfinity) return true;
  double w = 1, k = 1, o = 1;
  for (int j = 0; j < depth; ++j) {
    const size_t d = at(kLoopOrder[j]);
    const double count = real(count_[d]);
    if (d == K)
      k = count;
    else if (d == P || d == Q || d == N)
      w *= count;
    else if (d != G)
      o *= count;
  }
  const Each visits = {w, k, o};
  for (int t = 0; t < kTensors; ++t) {
    const double energy = least_base_ + least_[t] + least_energy_[t] * visits[t] + outer;
    if (!less(at_.goal.value(energy, least_cycles_), best_->value)) continue;
    double cycles = least_cycles_;
    for (size_t i = 0; i < floors_.size(); ++i) {
      const double words =
          floors_[i].others[t] + floors_[i].own[t] * visits[t] + at_.bounds.outer_words(i, index);
      cycles = std::max(cycles, words / at_.form.limits[i].words_per_cycle);
    }
    if (less(at_.goal.value(energy, whole_cycles(cycles)), best_->value)) return false;
  }
  return true;
}

void Expander::loop(int depth, size_t index) {
  if (depth == kDims) return visit();
  const Dim d = kLoopOrder[depth];
  const std::vector<Step>& steps = at_.space[at(d)].loops[array_count_[at(d)]];
  const int64_t stride = at_.lattice.stride(d);
  for (const Step& step : steps) {
    if (!choose(d, step)) continue;
    const size_t next = index - static_cast<size_t>(stride * (array_count_[at(d)] - step.count));
    if (steps.size() > 1 && hopeless(depth + 1, next)) continue;
    loop(depth + 1, next);
  }
  unloop(d);
}

/// As loop(), with loops over these dims alone, and whatever the bounds say.
void Expander::loop_only(unsigned dims, int depth) {
  if (depth == kDims) return visit();
  const Dim d = kAllDims[depth];
  for (const Step& step : at_.space[at(d)].loops[array_count_[at(d)]])
    if ((step.factor == 1 || (dims & bit(at(d))) != 0) && choose(d, step))
      loop_only(dims, depth + 1);
  unloop(d);
}

void Expander::visit() {
  if (!at_.inner.empty()) {
    for (const Inside& inside : insides_) visit_orders(inside);
    return;
  }
  unsigned looped = 0;
  for (size_t d = 0; d < kDims; ++d)
    if (factor_[d] > 1) looped |= bit(d);
  const bool inputs_survive = (looped & ~kIrrelevant[kI]) == 0;
  outside_orders(outside_, inputs_survive);
  if (looped != 0) drop_hopeless_orders();
  for (const Inside& inside : insides_) {
    if (!less(inside.bound, best_->value)) continue;
    if (inputs_survive)
      visit_surviving_inputs(inside, looped == 0);
    else
      visit_inside(inside);
  }
}

/// Leaves out orders at DRAM that are too dear or too slow for any array tile and loops of the
/// buffer (there must be some).
void Expander::drop_hopeless_orders() {
  double inside = kInfinity;
  for (int t = 0; t < kTensors; ++t) inside = std::min(inside, least_[t] + least_energy_[t]);
  std::erase_if(outside_, [&](const Outside& outside) {
    const double cycles =
        std::max(least_cycles_, whole_cycles(at_.bounds.outer_cycles(outside.moved)));
    const double energy = least_base_ + inside + outside.energy;
    return !less(at_.goal.value(energy, cycles), best_->value);
  });
}

/// Orders at DRAM: the best of each stationary tensor, or every one.
void Expander::outside_orders(std::vector<Outside>& orders, bool every) const {
  const LayerFacts& facts = at_.facts;
  const auto rows = [&](Dim p, Dim r) {
    return rows_outside(facts.layer, tile_[at(p)], count_[at(p)], tile_[at(r)], count_[at(r)]);
  };
  const AxisRows h = rows(Dim::P, Dim::R), w = rows(Dim::Q, Dim::S);
  const std::array<double, 4> inputs = {
      facts.planes * h.sliding_outputs * w.plain, facts.planes * h.plain * w.sliding_outputs,
      facts.planes * h.sliding_filter * w.plain, facts.planes * h.plain * w.sliding_filter};
  const double visits_w = real(count_[N] * count_[P] * count_[Q]);
  const double visits_o = real(count_[C] * count_[R] * count_[S]);
  orders.clear();
  for (int i = 0; i < kClasses; ++i) {
    const OrderClass& one = kOrderClasses[i];
    Outside outside;
    outside.order = i;
    outside.moved[kW] = facts.weights * (one.stays == kW ? 1 : visits_w);
    outside.moved[kO] = facts.outputs * (one.stays == kO ? 1 : visits_o);
    outside.moved[kI] = inputs[i % 4] * (one.stays == kI ? 1 : real(count_[K]));
    for (int t = 0; t < kTensors; ++t)
      outside.energy += at_.form.energy.outer[t] * outside.moved[t];
    if (!every && !orders.empty() && kOrderClasses[orders.back().order].stays == one.stays) {
      if (outside.moved[kI] < orders.back().moved[kI]) orders.back() = outside;
    } else {
      orders.push_back(outside);
    }
  }
}

/// Shares of the inputs' windows that are fetched when the buffer's loops slide them along P, Q, R
/// or S first.
std::array<double, 4> Expander::slides(const Inside& inside) const {
  const auto slide = [&](size_t axis, size_t d, double shift) {
    const auto extent = real(inside.extent[axis]);
    const double starts = real(count_[d]), all = real(at_.space[d].counts[array_count_[d]]);
    return (starts * extent + (all - starts) * std::min(extent, shift)) / (all * extent);
  };
  return {slide(0, P, inside.shift[0].outputs), slide(1, Q, inside.shift[1].outputs),
          slide(0, R, inside.shift[0].filter), slide(1, S, inside.shift[1].filter)};
}

void Expander::visit_inside(const Inside& inside) {
  const std::array<double, 4> slide = slides(inside);
  const size_t outputs = slide[1] < slide[0] ? 1 : 0, filter = slide[3] < slide[2] ? 3 : 2;
  const size_t any = slide[filter] < slide[outputs] ? filter : outputs;
  const double k = real(at_.space[K].counts[array_count_[K]]);
  const LayerFacts& facts = at_.facts;
  bool weights_survive = true, outputs_survive = true;
  for (size_t d = 0; d < kDims; ++d) {
    if (factor_[d] == 1) continue;
    if ((kIrrelevant[kW] & bit(d)) == 0) weights_survive = false;
    if ((kIrrelevant[kO] & bit(d)) == 0) outputs_survive = false;
  }
  Each stay_w = inside.anew, stay_i = inside.anew, stay_o = inside.anew;
  stay_w[kW] = facts.weights * real(count_[N] * count_[P] * count_[Q]);
  stay_w[kI] *= slide[outputs];
  stay_o[kO] = facts.outputs * real(count_[C] * count_[R] * count_[S]);
  stay_o[kI] *= slide[filter];
  stay_i[kI] *= slide[any] * real(count_[K]) / k;
  for (const Outside& outside : outside_) {
    if (weights_survive) stay_w[kW] = stay_i[kW] = stay_o[kW] = outside.moved[kW];
    if (outputs_survive) stay_w[kO] = stay_i[kO] = stay_o[kO] = outside.moved[kO];
    consider(inside, stay_w, outside, class_of(kW, outputs));
    consider(inside, stay_o, outside, class_of(kO, filter));
    consider(inside, stay_i, outside, class_of(kI, any));
  }
}

/// Elements of inputs that the buffer sends when none of its loops moves them.
double Expander::inherited_inputs(const Inside& inside, const Outside& outside) const {
  const OrderClass& order = kOrderClasses[outside.order];
  double product = at_.facts.planes * (order.stays == kI ? 1 : real(count_[K]));
  const LayerShape& layer = at_.facts.layer;
  for (size_t axis = 0; axis < 2; ++axis) {
    const size_t p = axis == 0 ? P : Q, r = axis == 0 ? R : S;
    const auto extent = inside.extent[axis];
    const auto slide = [&](int64_t n, int64_t shift) {
      return real(extent + (n - 1) * std::min(extent, shift));
    };
    if (at(order.slides) == p)
      product *= real(count_[r]) * slide(count_[p], layer.stride * tile_[p]);
    else if (at(order.slides) == r)
      product *= real(count_[p]) * slide(count_[r], layer.dilation * tile_[r]);
    else
      product *= real(count_[p] * count_[r] * extent);
  }
  return product * inside.distinct;
}

/// Inputs stay in the registers during all loops of the buffer; `all`: every tensor does.
void Expander::visit_surviving_inputs(const Inside& inside, bool all) {
  for (const Outside& outside : outside_) {
    Each sent = all ? outside.moved : inside.anew;
    sent[kI] = inherited_inputs(inside, outside);
    consider(inside, sent, outside, class_of(kI, 0));
  }
}

void Expander::consider(const Inside& inside, const Each& sent, const Outside& outside,
                        int buffer_order) {
  ++best_->evaluations;
  double energy = inside.base + outside.energy;
  for (int t = 0; t < kTensors; ++t) energy += inside.energy[t] * sent[t];
  if (!less(at_.goal.value(energy, inside.cycles), best_->value)) return;
  Traffic traffic = inside.fixed;
  traffic.buffer = sent, traffic.outer = outside.moved;
  for (int t = 0; t < kTensors; ++t) traffic.fill[t] = sent[t] * inside.copies[t];
  const Value value = at_.goal.value(energy, at_.form.cycles(traffic));
  if (!less(value, best_->value)) return;
  best_->value = value, best_->found = true;
  best_->choice = {chain_of(inside), buffer_orders_[buffer_order], dram_orders_[outside.order]};
}

/// Under constraints on orders: whatever they leave of each class.
void Expander::visit_orders(const Inside& inside) {
  const Chain chain = chain_of(inside);
  for (const LoopOrder& buffer : buffer_orders_)
    for (const LoopOrder& dram : dram_orders_) {
      ++best_->evaluations;
      const Traffic traffic = traffic_of(at_.facts, chain, buffer, dram);
      const Value value = at_.goal.value(at_.form.energy.of(traffic), at_.form.cycles(traffic));
      if (!less(value, best_->value)) continue;
      best_->value = value, best_->found = true;
      best_->choice = {chain, buffer, dram};
    }
}

Chain Expander::chain_of(const Inside& inside) const {
  Chain chain;
  for (int g = 0; g < kGroups; ++g)
    for (size_t i = 0; i < 2; ++i) {
      if (i == 1 && kGroupDims[g][1] == kGroupDims[g][0]) continue;
      const size_t d = at(kGroupDims[g][i]);
      const DimSpace& dim = at_.space[d];
      chain.registers[d] = inside.tiles[g]->tiles[i].size;
      chain.spread[d] = inside.spreads[g]->steps[i].factor;
      chain.register_count[d] = dim.counts[inside.tiles[g]->tiles[i].count];
      chain.array_count[d] = dim.counts[array_count_[d]];
    }
  chain.array = block_, chain.buffer = tile_;
  chain.loops = factor_, chain.buffer_count = count_;
  return chain;
}

}  // namespace instantnet::mapper::exact
