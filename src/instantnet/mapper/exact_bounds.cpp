#include "instantnet/mapper/exact_bounds.h"

#include <algorithm>
#include <cmath>

namespace instantnet::mapper::exact {

namespace {

/// The least of x / m + y / n over how many PEs share a fetch of the one (m) and of the other (n),
/// when m n <= pes, m <= most_m and n <= most_n: no dim serves both.
double share(double x, double y, double pes, double most_m, double most_n) {
  if (most_m * most_n <= pes) return x / most_m + y / most_n;
  const double least = std::max(1.0, pes / most_n), most = std::min(pes, most_m);
  if (x <= 0 || y <= 0) return y <= 0 ? x / most : y * least / pes;
  const double m = std::clamp(std::sqrt(pes * x / y), least, most);
  return x / m + y * m / pes;
}

}  // namespace

Bounds::Bounds(const LayerFacts& facts, const Space& space, const Form& form,
               const Lattice& lattice, const Goal& goal, const std::vector<double>& left)
    : form_(form), lattice_(lattice), goal_(goal), left_(left) {
  elements_ = {facts.weights, facts.planes, facts.outputs};
  once_ = {facts.weights, facts.inputs_touched, facts.outputs};
  for (int t = 0; t < kTensors; ++t) {
    per_buffer_[t] = form.energy.buffer[t] * elements_[t];
    per_fill_[t] = form.energy.fill[t] * elements_[t];
    once_buffer_[t] = form.energy.buffer[t] * once_[t];
    once_fill_[t] = form.energy.fill[t] * once_[t];
  }
  for (const int64_t count : space[at(Dim::K)].counts)
    k_counts_.push_back(static_cast<double>(count));
  for (size_t i = 0; i < form.limits.size(); ++i) {
    const Limit& limit = form.limits[i];
    double words = limit.words.constant;
    for (int t = 0; t < kTensors; ++t)
      words += (limit.words.buffer[t] + limit.words.fill[t]) * once_[t];
    least_outer_.push_back(limit.per_pe ? 0 : lattice.least_outer(limit));
    floor_words_.push_back(limit.per_pe ? 0 : words);
  }
}

Bounds::Parts Bounds::parts(const Visits& visits, const Each& copies) const {
  Parts all;
  all.base = form_.energy.constant + form_.energy.spread * visits.spread +
             form_.energy.touched * visits.touched;
  for (int t = 0; t < kTensors; ++t) {
    all.buffer[t] = per_buffer_[t] * visits.buffer[t];
    all.fill[t] = per_fill_[t] * visits.fill[t];
    all.once[t] = once_buffer_[t] + once_fill_[t] * copies[t];
  }
  return all;
}

double Bounds::outer_cycles(size_t index) const {
  double cycles = 0;
  for (size_t i = 0; i < floor_words_.size(); ++i) {
    const double words = floor_words_[i] + outer_words(i, index);
    cycles = std::max(cycles, words / form_.limits[i].words_per_cycle);
  }
  return cycles;
}

double Bounds::outer_cycles(const Each& moved) const {
  double cycles = 0;
  for (size_t i = 0; i < floor_words_.size(); ++i) {
    const Limit& limit = form_.limits[i];
    double words = floor_words_[i];
    for (int t = 0; t < kTensors; ++t) words += limit.words.outer[t] * moved[t];
    cycles = std::max(cycles, words / limit.words_per_cycle);
  }
  return cycles;
}

double Bounds::least_cycles(const Visits& visits, const Rest& rest, double left,
                            size_t index) const {
  const double steps = visits.steps * std::max(rest.extent / left, rest.least_steps);
  return whole_cycles(std::max(steps / form_.macs_per_cycle, outer_cycles(index)));
}

Value Bounds::partial(const Partial& done, const Rest& rest, int chosen, const Value& beat) const {
  const double left = std::min(left_[static_cast<size_t>(done.visits.pes)], rest.most_pes);
  if (left < 1) return {kInfinity, kInfinity};
  const auto index = static_cast<size_t>(done.index + rest.index);
  const double cycles = least_cycles(done.visits, rest, left, index);
  Visits all = done.visits;
  all *= rest.alone;
  const double spread = std::min(left, rest.most_spread);
  all.spread = done.visits.spread * spread, all.touched = done.visits.touched * spread;
  const Parts e = parts(all, done.visits.copies);
  const double by_outputs = std::min(done.slides.outputs, rest.slides.outputs);
  const double by_filter = std::min(done.slides.filter, rest.slides.filter);
  const Each& most = rest.most_merged;
  const double weights_stay =
      e.once[kW] + e.fill[kO] + e.fill[kI] * by_outputs +
      share(e.buffer[kO], e.buffer[kI] * by_outputs, left, most[kO], most[kI]);
  const double outputs_stay =
      e.once[kO] + e.fill[kW] + e.fill[kI] * by_filter +
      share(e.buffer[kW], e.buffer[kI] * by_filter, left, most[kW], most[kI]);
  const double inputs_stay = e.once[kI] + e.fill[kW] + e.fill[kO] +
                             share(e.buffer[kW], e.buffer[kO], left, most[kW], most[kO]);
  double energy = lattice_.outer(0)[index] + std::min({weights_stay, outputs_stay, inputs_stay});
  if (lattice_.any_alone()) {
    double extra = 0;  // copies beyond the first
    for (int t = 0; t < kTensors; ++t) extra += once_fill_[t] * (done.visits.copies[t] - 1);
    const double least = std::max(lattice_.alone(chosen)[index], lattice_.least_alone()) + extra;
    if (less(goal_.value(e.base + least, cycles), beat)) energy = std::min(energy, least);
  }
  return goal_.value(e.base + energy, cycles);
}

/// Energy of inputs and of DRAM when inputs stay in the registers: `energy` is what inputs cost for
/// each visit that the loop over K at DRAM makes.
double Bounds::stationary_inputs(double energy, size_t index, size_t k) const {
  const double* outer = lattice_.outer(1).data() + (index - k);  // rows of K lie together
  double least = kInfinity;
  for (size_t i = 0; i <= k; ++i) least = std::min(least, energy * k_counts_[i] + outer[i]);
  return least;
}

/// `traffic`: at least so much between buffer, registers and within PEs.
Value Bounds::value_of_case(double energy, const Traffic& traffic, size_t index) const {
  double cycles = traffic.steps / form_.macs_per_cycle;
  for (size_t i = 0; i < form_.limits.size(); ++i) {
    const Limit& limit = form_.limits[i];
    double words = limit.words.of(traffic) + outer_words(i, index);
    if (limit.per_pe) words /= traffic.instances;
    cycles = std::max(cycles, words / limit.words_per_cycle);
  }
  return goal_.value(energy, whole_cycles(cycles));
}

Value Bounds::complete(const Partial& done, const Value& beat) const {
  const Visits& visits = done.visits;
  const auto index = static_cast<size_t>(done.index);
  const Parts e = parts(visits, visits.copies);
  Each all;  // energy of a tensor fetched anew by every loop
  Traffic anew, once;
  anew.steps = visits.steps, anew.instances = done.instances;
  anew.spread = visits.spread, anew.touched = visits.touched;
  once = anew;
  for (int t = 0; t < kTensors; ++t) {
    all[t] = e.buffer[t] + e.fill[t];
    anew.buffer[t] = elements_[t] * visits.buffer[t], anew.fill[t] = elements_[t] * visits.fill[t];
    once.buffer[t] = once_[t], once.fill[t] = once_[t] * visits.copies[t];
  }
  Value least{kInfinity, kInfinity};
  const double steps = whole_cycles(visits.steps / form_.macs_per_cycle);
  const auto consider = [&](int stays, double slide, double outer) {
    if (outer == kInfinity) return;
    double energy = e.base + outer;
    for (int t = 0; t < kTensors; ++t)
      if (t != stays) energy += t == kI ? all[t] * slide : all[t];
    if (!less(goal_.value(energy, steps), beat)) return;
    Traffic traffic = anew;
    traffic.buffer[kI] *= slide, traffic.fill[kI] *= slide;
    // Windows that stay while K's loops run are fetched at least once, gaps and all.
    const double whole = stays == kI ? slide / k_counts_[static_cast<size_t>(done.k)] : 0;
    traffic.buffer[stays] = std::max(once.buffer[stays], anew.buffer[stays] * whole);
    traffic.fill[stays] = std::max(once.fill[stays], anew.fill[stays] * whole);
    const Value value = value_of_case(energy, traffic, index);
    if (less(value, least)) least = value;
  };
  const auto outside = [&](int t, double stationary) {
    const double copies = once_fill_[t] * (visits.copies[t] - 1);
    return copies + std::min(stationary, lattice_.inherited(t)[index]);
  };
  consider(kW, done.slides.outputs, outside(kW, lattice_.joint(kW)[index]));
  consider(kO, done.slides.filter, outside(kO, lattice_.joint(kO)[index]));
  const double slide = std::min(done.slides.outputs, done.slides.filter);
  const auto k = static_cast<size_t>(done.k);
  const double copies = once_fill_[kI] * (visits.copies[kI] - 1);
  consider(kI, slide,
           std::min(stationary_inputs(all[kI] * slide / k_counts_[k], index, k),
                    copies + lattice_.inherited(kI)[index]));
  if (!lattice_.any_alone()) return least;
  double extra = lattice_.alone(kGroups)[index];
  for (int t = 0; t < kTensors; ++t) extra += once_fill_[t] * (visits.copies[t] - 1);
  if (!less(goal_.value(e.base + extra, steps), beat)) return least;
  const Value alone = value_of_case(e.base + extra, once, index);
  return less(alone, least) ? alone : least;
}

bool Bounds::alone_is_hopeless(const Form& form, const Goal& goal, double pes, double macs,
                               double energy, const Value& beat) {
  const double base =
      form.energy.constant + (form.energy.spread + form.energy.touched) * pes + energy;
  return !less(goal.value(base, whole_cycles(macs / pes / form.macs_per_cycle)), beat);
}

}  // namespace instantnet::mapper::exact
