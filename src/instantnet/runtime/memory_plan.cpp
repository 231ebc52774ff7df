#include "instantnet/runtime/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace instantnet::runtime {
namespace {

bool together(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes) {
  std::vector<size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });
  MemoryPlan plan;
  plan.offsets.resize(lifetimes.size());
  std::vector<size_t> placed;  // by offset
  for (const size_t one : order) {
    int64_t offset = 0;
    for (const size_t other : placed) {
      if (!together(lifetimes[one], lifetimes[other])) continue;
      if (offset + lifetimes[one].bytes <= plan.offsets[other]) break;
      offset = std::max(offset, aligned(plan.offsets[other] + lifetimes[other].bytes));
    }
    plan.offsets[one] = offset;
    plan.bytes = std::max(plan.bytes, offset + lifetimes[one].bytes);
    const auto at = std::upper_bound(placed.begin(), placed.end(), one, [&](size_t a, size_t b) {
      return plan.offsets[a] < plan.offsets[b];
    });
    placed.insert(at, one);
  }
  return plan;
}

}  // namespace instantnet::runtime
