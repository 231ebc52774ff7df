// A mapping as the slots that the closed forms count: one a level, more where a level loops over a
// dim more than once.
#pragma once

#include <array>
#include <cstdint>
#include <variant>

#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/mapping.h"
#include "instantnet/mapper/nest_counts.h"

namespace instantnet::mapper {

struct NestSlots {
  int slots = 0;
  std::array<std::array<int32_t, kDims>, kMaxSlots> temporal, spatial;
  std::array<std::array<Dim, kDims>, kMaxSlots> order;
  std::array<uint8_t, kMaxSlots> keeps, multicast, reduction;
  /// First slot of each level, and one past the last level's: the level's tensors lie in its first
  /// slot, its fan-out is in its last.
  std::array<int, kMaxLevels + 1> first;
  int levels = 0;
};

/// The slots as loops; refers to them.
NestView view_of(const NestSlots& slots);

/// Splits levels where needed. A level's inner slots keep nothing. Misfit when the loops do not
/// suit the device: another number of levels, a bound that is not positive, columns or rows that it
/// has not.
std::variant<NestSlots, Misfit> slots_of(const Mapping& mapping, const Accelerator& device);

}  // namespace instantnet::mapper
