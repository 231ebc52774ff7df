// The closed forms: what a loop nest moves between levels. Numbers in brackets are the equations of
// docs/cost-model.md. Everything is a whole number held in a double: exact below 2^53, and it does
// not overflow.
#pragma once

#include <array>
#include <cstdint>

#include "instantnet/mapper/mapping.h"
#include "instantnet/mapper/workload.h"

namespace instantnet::mapper {

/// Levels of a nest, and more: a level that loops over a dim twice counts as two slots, of which
/// the inner one keeps nothing.
inline constexpr int kMaxSlots = 32;

/// The loops of a nest, outermost slot first.
struct NestView {
  int slots = 0;
  const std::array<int32_t, kDims>* temporal = nullptr;
  const std::array<int32_t, kDims>* spatial = nullptr;
  const std::array<Dim, kDims>* order = nullptr;  // of temporal loops, outermost first
  const uint8_t* keeps = nullptr;                 // bit t: keeps Tensor t
  /// The first slot of the innermost level: its loops run in full, those outside skip steps that
  /// lie outside the layer.
  int step_slot = 0;
  const uint8_t* multicast = nullptr;  // of the slot's fan-out
  const uint8_t* reduction = nullptr;
};

/// A value for each loop.
using Row = std::array<double, kDims>;

/// What the closed forms need of a layer.
struct LayerNumbers {
  explicit LayerNumbers(const LayerShape& layer);

  Row bounds;
  double stride = 1, dilation = 1;
  double macs = 1;
  /// Products of the bounds that a tensor's elements are counted with one by one: all that are
  /// relevant, but n g c for inputs, whose windows are counted apart.
  std::array<double, kTensors> box;
};

/// What one slot moves of one tensor, in elements of all instances.
struct Traffic {
  double reads = 0, updates = 0, fills = 0;
  double network = 0;  // carried between the slot and its children, all copies
};

/// A nest of a layer: sizes first, then counts. Refers to what set() was given.
class NestCounts {
 public:
  /// Sizes of all tiles; false when the loops do not cover the layer.
  bool set(const LayerNumbers& layer, const NestView& nest);

  /// Elements of a tensor that one instance of a slot keeps. (3)
  double tile_elements(int slot, Tensor t) const;
  /// Steps of the innermost loops. (5)
  double steps() const;
  /// Instances of a slot that ever have work; slot `slots`: multipliers. (6)
  double instances(int slot) const;
  /// Fills traffic[slot][tensor] for all slots. (7) to (14)
  void count(std::array<Traffic, kTensors>* traffic) const;

 private:
  /// The loop that a slot's tile first changes with, going out.
  struct Turn {
    int slot = -1;  // none: the tile never changes
    Dim dim = Dim::N;
    uint32_t inside = 0;  // dims whose loops at this slot lie inside it, as bits
  };

  void size_slot(int slot);
  void cut(int slot);
  void count_visits();
  void scan_order(int slot);

  Turn turn_of(int slot, Tensor t) const;
  double visits(size_t d, int time_slot, int space_slot) const {
    return space_slot <= first_fanout_ && time_slot < nest_.step_slot
               ? visits_[time_slot + 1][d]
               : visits_of_nest(d, time_slot, space_slot);
  }
  double visits_of_nest(size_t d, int time_slot, int space_slot) const;
  double visits_by_tiles(size_t d, int time_slot, int space_slot) const;
  double visits_of_steps(size_t d, int space_slot) const;
  double extent(int slot, size_t position, size_t filter) const;
  double axis(size_t position, size_t filter, int outer, int inner, const Turn& turn) const;
  double transfers(Tensor t, int outer, int inner) const;
  double copies(int slot, Tensor t) const;
  double distinct(int slot, Tensor t) const;
  void count_reads(Tensor t, int outer, int inner, std::array<Traffic, kTensors>* traffic) const;
  void count_sums(int outer, int inner, std::array<Traffic, kTensors>* traffic) const;

  const LayerNumbers* layer_ = nullptr;
  NestView nest_;
  uint32_t imperfect_ = 0;                  // dims that the loops do not cover exactly, as bits
  int first_fanout_ = 0, last_fanout_ = 0;  // slots; beyond the last and -1 where there are none
  // All by slot.
  std::array<Row, kMaxSlots + 1> tile_;      // iterations of all loops from the slot in
  std::array<Row, kMaxSlots> block_;         // likewise, without the slot's own loops over time
  std::array<Row, kMaxSlots> time_, space_;  // bounds, no longer than the layer needs
  std::array<Row, kMaxSlots + 1> visits_;    // [slot + 1]: visits(d, slot, 0)
  std::array<uint32_t, kMaxSlots> scanned_;  // see scan_order
};

}  // namespace instantnet::mapper
