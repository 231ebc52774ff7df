// What the exact search minimises, and when a bound shows that nothing better can be behind it.
#pragma once

#include <algorithm>
#include <limits>

#include "instantnet/mapper/cost.h"

namespace instantnet::mapper::exact {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Values closer than this, relative to their size, are the same number summed in another order.
inline constexpr double kSame = 1e-12;

/// Whether a is less than b: by the first number, by the second when the first are the same.
inline bool less(const Value& a, const Value& b) {
  if (b.first == kInfinity) return a.first < kInfinity;
  if (a.first < b.first * (1 - kSame)) return true;
  return a.first <= b.first * (1 + kSame) && a.second < b.second * (1 - kSame);
}

struct Goal {
  Objective objective = Objective::Edp;
  double static_pj = 0;            // a cycle
  double most_cycles = kInfinity;  // mappings that take more do not count

  /// Mappings that take more cannot be better than `best`.
  double useful_cycles(const Value& best) const {
    const bool first = objective == Objective::Latency || objective == Objective::Throughput;
    return first ? std::min(most_cycles, best.first) : most_cycles;
  }
  /// As value_of(): of a mapping, or from lower bounds on energy (without static power) and cycles
  /// a lower bound.
  Value value(double energy_pj, double cycles) const {
    if (cycles > most_cycles || cycles == kInfinity) return {kInfinity, kInfinity};
    const double energy = energy_pj + static_pj * cycles;
    if (objective == Objective::Edp) return {energy * cycles, cycles};
    if (objective == Objective::Energy) return {energy, cycles};
    return {cycles, energy};
  }
};

}  // namespace instantnet::mapper::exact
