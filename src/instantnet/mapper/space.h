// The mappings that engines choose from: for each loop the factors a level may take, for each level
// the orders and the kept tensors worth trying, everything within the constraints.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "instantnet/core/rng.h"
#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/mapping.h"
#include "instantnet/mapper/search.h"

namespace instantnet::mapper {

/// Whether tile counts of a loop always divide it: with Factors::Any those of filter rows and
/// columns (small, mostly prime) still do.
bool divides_only(Dim d, Factors factors);

/// Factors worth taking out of a loop of n steps, ascending, from 1 to n. Those that divide n; or,
/// for each count of steps ceil(n / f) that there is, the least f (a larger one only makes tiles
/// larger).
std::vector<int64_t> factors_of(int64_t n, bool divide);

/// The least factor that leaves as few steps as f does: ceil(n / least_factor) = ceil(n / f).
int64_t least_factor(int64_t n, int64_t f);

using Order = std::array<Dim, kDims>;  // outermost first

/// The orders of one level's loops that can be best for some layer, for any number of levels: one
/// tensor stays while the loops that do not concern it run innermost, and the first loop that moves
/// the input window decides its halo (docs/mapper-search.md). Three where no windows overlap, at
/// most eight.
std::vector<Order> stationary_orders(const LayerShape& layer);

/// A place where a factor of a loop can stand.
struct Slot {
  int level = 0;
  bool spatial = false;
  bool operator==(const Slot&) const = default;
};

class Space {
 public:
  /// `constraints` must have passed check().
  Space(const LayerShape& layer, const Accelerator& device, const Constraints& constraints,
        Factors factors);

  int levels() const { return levels_; }
  const PerDim& bounds() const { return bounds_; }
  /// Innermost first: the fan-out of the last level, its temporal loops, and so on; levels without
  /// fan-out have one slot.
  const std::vector<Slot>& slots() const { return slots_; }
  bool divides(Dim d) const { return divides_[at(d)]; }

  /// What a slot's factor must be (0 = free), and the most it may be.
  int64_t fixed(size_t slot, Dim d) const { return fixed_[slot][at(d)]; }
  int64_t most(size_t slot, Dim d) const { return most_[slot][at(d)]; }
  /// Factors a free slot may take out of n remaining steps, ascending.
  std::vector<int64_t> choices(size_t slot, Dim d, int64_t n) const;
  /// The slot that takes what the others leave, so that the factors cover the loop: the outermost
  /// free one; slots().size() when the constraints leave none.
  size_t sink(Dim d) const { return sink_[at(d)]; }

  /// Orders to try at a level; one for the innermost, where order does not count.
  const std::vector<Order>& orders(int level) const { return orders_[static_cast<size_t>(level)]; }
  /// The loops that the constraints put innermost at a level, outermost first.
  const std::vector<Dim>& fixed_order(int level) const {
    return fixed_order_[static_cast<size_t>(level)];
  }
  /// Masks of kept tensors (bit t: Tensor t) a level may have, most first.
  const std::vector<uint8_t>& keeps(int level) const { return keeps_[static_cast<size_t>(level)]; }

  /// Makes the factors of one loop cover it exactly, with the least factors for the same counts of
  /// steps; the sink takes the rest. False when the constraints do not allow it.
  bool settle(Dim d, Nest& nest) const;
  /// The nest with the least tiles: every loop as far out as the constraints allow, as few tensors
  /// kept as may be. Misfit when the constraints fit no factors of this layer.
  std::variant<Nest, Misfit> smallest() const;
  /// A nest drawn at random, all loops settled where possible; it need not fit the device.
  Nest draw(Rng& rng) const;

  /// How many mappings there are, orders of loops counted as permutations of those that have a
  /// bound above 1 at most. Infinite beyond the range of double.
  double size() const;

 private:
  void read_levels(const Accelerator& device);
  void apply(const LevelConstraint& constraint, int level);
  void find_sinks();
  using Memo = std::map<std::pair<size_t, int64_t>, double>;
  double chains(Dim d, size_t slot, int64_t n, Memo& memo) const;

  int levels_ = 0;
  PerDim bounds_{};
  std::array<bool, kDims> divides_{};
  std::array<std::vector<int64_t>, kDims> divisors_;
  std::vector<Slot> slots_;
  std::vector<PerDim> fixed_, most_;
  std::vector<int64_t> children_;  // of a spatial slot
  std::array<size_t, kDims> sink_{};
  std::vector<std::vector<Order>> orders_;
  std::vector<std::vector<uint8_t>> keeps_;
  std::vector<std::vector<Dim>> fixed_order_;
};

/// The factor of a loop that stands in a slot.
inline int32_t& factor_at(Nest& nest, const Slot& slot, Dim d) {
  auto& factors = slot.spatial ? nest.spatial : nest.temporal;
  return factors[static_cast<size_t>(slot.level)][at(d)];
}
inline int32_t factor_at(const Nest& nest, const Slot& slot, Dim d) {
  const auto& factors = slot.spatial ? nest.spatial : nest.temporal;
  return factors[static_cast<size_t>(slot.level)][at(d)];
}

}  // namespace instantnet::mapper
