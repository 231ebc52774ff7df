// A device as Timeloop sees it: storage levels whose tensors have the same word, energy and limits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/mapper/cost.h"

namespace instantnet::interop {

/// One storage level of Timeloop, in elements and Timeloop's cycles.
struct TimeloopLevel {
  std::string name;  // "GLB", or "GLB_weights" for one tensor of a level
  size_t level = 0;  // of the device that it is, or is a part of
  bool last = true;  // the innermost part of its level: loops and fan-out stand here
  mapper::PerTensor<bool> keeps;
  int word_bits = 16;
  int64_t entries = 0;  // 0: unlimited
  bool double_buffered = false;
  double read_pj = 0, fill_pj = 0, update_pj = 0;
  double read_bandwidth = 0, write_bandwidth = 0;  // of one instance; 0: no limit
};

/// Outermost first; the parts of a level follow each other. `cost` is that of `mapping`.
std::vector<TimeloopLevel> timeloop_levels(Precision precision, const mapper::Accelerator& device,
                                           const mapper::Mapping& mapping,
                                           const mapper::Cost& cost);

}  // namespace instantnet::interop
