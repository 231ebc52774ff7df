// The closed forms: what a loop nest moves between levels. Equation numbers are those of
// docs/cost-model.md.
#pragma once

#include <array>
#include <cstdint>

#include "instantnet/mapper/mapping.h"
#include "instantnet/mapper/workload.h"

namespace instantnet::mapper {

/// Levels of a nest, and more: a level that loops over a dim twice counts as two, of which the
/// inner keeps nothing.
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

/// What one slot moves of one tensor, in elements of all instances. Whole numbers, exact below
/// 2^53.
struct Traffic {
  double reads = 0, updates = 0, fills = 0;
  double network = 0;  // carried to and from the children of the slot, all copies
};

/// Sizes that a nest gives to tiles, with loops no longer than the layer needs.
class NestCounts {
 public:
  /// Sizes of all tiles; false when the loops do not cover the layer.
  bool set(const PerDim& bounds, int64_t stride, int64_t dilation, const NestView& nest);

  /// Elements of a tensor that one instance of a slot keeps. (3)
  double tile_elements(int slot, Tensor t) const;
  /// Steps of the innermost loops. (5)
  double steps() const;
  /// Instances of a slot (slots: of multipliers) that ever have work. (6)
  double instances(int slot) const;
  /// Fills `traffic[slot][tensor]` for all slots. (7) to (14)
  void count(std::array<Traffic, kTensors>* traffic) const;

  const PerDim& bounds() const { return bounds_; }

 private:
  /// The loop that a tensor's tile first changes with, going out from a slot.
  struct Turning {
    int slot = -1;  // none: the tile never changes
    Dim dim = Dim::N;
    uint32_t inside = 0;  // bit d: the slot's loop over d lies inside it
  };

  Turning turning(int slot, Tensor t) const;
  int64_t visits(size_t d, int temporal_slot, int spatial_slot) const;
  double halo_axis(Dim position, Dim filter, int outer, int inner, const Turning& at) const;
  double transfers(Tensor t, int outer, int inner) const;
  double copies(int slot, Tensor t) const;
  double distinct(int slot, Tensor t) const;
  void count_reads(Tensor t, int outer, int inner, std::array<Traffic, kTensors>* traffic) const;
  void count_sums(int outer, int inner, std::array<Traffic, kTensors>* traffic) const;

  PerDim bounds_;
  int64_t stride_ = 1, dilation_ = 1;
  NestView nest_;
  std::array<PerDim, kMaxSlots + 1> tile_;  // inside a slot's temporal loops and outside its parent
  std::array<PerDim, kMaxSlots> block_;     // all children of one instance together
  std::array<PerDim, kMaxSlots> temporal_, spatial_;  // no longer than needed
};

}  // namespace instantnet::mapper
