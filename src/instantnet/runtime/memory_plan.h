// Places for tensors that share one stretch of memory when they are not needed at the same time.
#pragma once

#include <cstdint>
#include <vector>

namespace instantnet::runtime {

/// A tensor is needed from step `first` to step `last`, both included.
struct Lifetime {
  int first = 0, last = 0;
  int64_t bytes = 0;
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  // multiples of 64, one a lifetime
  int64_t bytes = 0;
};

/// No two tensors that live at the same step overlap. The largest are placed first, each as low as
/// possible (Pisarchyk and Lee, arXiv:2001.03288, "greedy by size").
MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes);

}  // namespace instantnet::runtime
