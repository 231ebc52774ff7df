// Energy and cycles of a mapping as a linear form of its traffic: what the device, the bit-widths
// and the tensors kept in the buffer make of docs/cost-model.md for three levels of storage.
#pragma once

#include <array>
#include <vector>

#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/workload.h"

namespace instantnet::mapper::exact {

/// A number for each tensor, indexed by at(Tensor).
using Each = std::array<double, kTensors>;
inline constexpr int kW = 0, kI = 1, kO = 2;

/// Elements moved by a mapping, all instances together.
struct Traffic {
  Each buffer{};  // between the level above the array and the array, equal windows merged
  Each fill{};    // into all registers, every copy counted
  Each outer{};   // between DRAM and the buffer
  double spread = 0, touched = 0;  // z, z': PEs that share an output; those of them with work
  double steps = 0;                // of one PE
  double instances = 1;            // PEs with work
};

/// Something that is linear in the traffic.
struct Linear {
  double constant = 0;
  Each buffer{}, fill{}, outer{};
  double spread = 0, touched = 0;

  double of(const Traffic& traffic) const {
    double sum = constant + spread * traffic.spread + touched * traffic.touched;
    for (int t = 0; t < kTensors; ++t)
      sum +=
          buffer[t] * traffic.buffer[t] + fill[t] * traffic.fill[t] + outer[t] * traffic.outer[t];
    return sum;
  }
  bool operator==(const Linear&) const = default;
};

/// A bandwidth that a level has.
struct Limit {
  Linear words;
  double words_per_cycle = 1;
  bool per_pe = false;     // of one register file, not of all
  bool outermost = false;  // of DRAM
};

/// Capacity of a level: tensors with a part of their own, and the rest together.
struct Capacity {
  Each words{};       // an element takes; 0: not kept here
  Each own{};         // words for this tensor alone; infinite when it has no part of its own
  Each share{};       // 1: takes part in `shared`
  double shared = 0;  // words
  bool fits(double weights, double inputs, double outputs) const {
    const double w = weights * words[kW], i = inputs * words[kI], o = outputs * words[kO];
    return w <= own[kW] && i <= own[kI] && o <= own[kO] &&
           w * share[kW] + i * share[kI] + o * share[kO] <= shared;
  }
};

struct Form {
  Linear energy;         // pJ, without static power
  double static_pj = 0;  // a cycle
  double macs_per_cycle = 1;
  std::vector<Limit> limits;
  Capacity registers, buffer;

  double cycles(const Traffic& traffic) const;
};

/// The device as three levels: a device of two has no buffer (an empty one stands in).
struct Levels {
  const StorageLevel* dram = nullptr;
  const StorageLevel* buffer = nullptr;  // null: none
  const StorageLevel* registers = nullptr;
  /// The level whose children are the PEs.
  const StorageLevel& above_array() const { return buffer ? *buffer : *dram; }
};
Levels levels_of(const Accelerator& device);

/// `keeps`: bit t, whether the buffer keeps Tensor t.
Form make_form(const LayerShape& layer, Precision precision, const Accelerator& device,
               unsigned keeps);

}  // namespace instantnet::mapper::exact
