// The parts a device can be cut into for the stages of a pipeline: an array share and a buffer
// share make a smaller device.
#pragma once

#include <cstdint>
#include <vector>

#include "instantnet/mapper/accelerator.h"

namespace instantnet::mapper {

/// A part of the array.
struct ArrayShare {
  int64_t units = 1;        // of ArrayShares::units
  int64_t multipliers = 1;  // in it
  /// The device with this part of its array, and the whole buffer.
  Accelerator device;
};

/// The parts to choose from, largest (the whole array) first; a set of them fits when its units do
/// not exceed `units`. A mapping that fits a part fits every larger one, where it takes no more
/// cycles and no more energy.
struct ArrayShares {
  int64_t units = 1;
  std::vector<ArrayShare> shares;
};

/// - An array that is there (ASIC) is halved again and again, along the longer side of the
/// outermost
///   fan-out that is left; parts of 2^-i always pack. What lies below a fan-out that was cut to
///   less than one child is cut with it: capacity and bandwidth in proportion.
/// - An array that is yet to be built (FPGA with one fan-out) may have any number of multipliers,
/// in
///   a row: 1, 2, 3, 4, 6, 8, 12, ... and all.
/// The bandwidth of the buffers above the array is shared in proportion to multipliers: each part
/// keeps the ports of its columns. The outermost level's is not divided here (allocation.h counts
/// its cycles). Static power is left out: it belongs to the device as a whole.
ArrayShares array_shares(const Accelerator& device);

/// The device with `units` of `of` of each buffer between the outermost level and the array, at
/// least one word.
Accelerator with_buffer_share(const Accelerator& device, int64_t units, int64_t of);

/// Words of those buffers: the capacities of the level right above the array, shared and separate
/// ones together; 0 where it is unlimited.
int64_t buffer_words(const Accelerator& device);

}  // namespace instantnet::mapper
