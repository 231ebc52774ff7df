#include "instantnet/mapper/nest_slots.h"

#include <fmt/format.h>

#include <optional>
#include <string>

namespace instantnet::mapper {

namespace {

constexpr int64_t kLargestBound = INT32_MAX;

std::optional<Misfit> bad_bound(const std::vector<Loop>& loops, const std::string& level) {
  for (const Loop& loop : loops)
    if (loop.bound < 1 || loop.bound > kLargestBound)
      return Misfit{fmt::format("{}: the loop over {} has the bound {}; it may be 1 to {}.", level,
                                to_string(loop.dim), loop.bound, kLargestBound)};
  return std::nullopt;
}

/// Columns (rows) that loops use, which must not be more than there are.
std::optional<Misfit> too_wide(const std::vector<Loop>& loops, int64_t available,
                               const std::string& level, const char* what) {
  double used = 1;
  for (const Loop& loop : loops) used *= static_cast<double>(loop.bound);
  if (used <= static_cast<double>(available)) return std::nullopt;
  return Misfit{fmt::format("{}: the loops spread over {} {} of children, it has {}.", level, used,
                            what, available)};
}

std::optional<Misfit> bad_level(const LevelLoops& loops, const StorageLevel& level) {
  for (const auto* list : {&loops.temporal, &loops.spatial_x, &loops.spatial_y})
    if (auto misfit = bad_bound(*list, level.name)) return misfit;
  if (auto misfit = too_wide(loops.spatial_x, level.fanout_x, level.name, "columns")) return misfit;
  return too_wide(loops.spatial_y, level.fanout_y, level.name, "rows");
}

/// Fills slots from outside in.
class Filler {
 public:
  explicit Filler(NestSlots& slots) : slots_(slots) {}

  /// False when there is no room.
  bool level(const LevelLoops& loops, const StorageLevel& storage) {
    uint8_t keeps = 0;
    for (const Tensor t : kAllTensors) keeps |= static_cast<uint8_t>(loops.keeps[t] << at(t));
    if (!open(keeps)) return false;
    for (const Loop& loop : loops.temporal) {
      if (loop.bound == 1) continue;
      if (slots_.temporal[slot()][at(loop.dim)] != 1 && (close(), !open(0))) return false;
      slots_.temporal[slot()][at(loop.dim)] = static_cast<int32_t>(loop.bound);
      written_[count_++] = loop.dim;
    }
    for (const auto* list : {&loops.spatial_x, &loops.spatial_y})
      for (const Loop& loop : *list)
        slots_.spatial[slot()][at(loop.dim)] *= static_cast<int32_t>(loop.bound);
    slots_.multicast[slot()] = storage.multicast;
    slots_.reduction[slot()] = storage.reduction;
    close();
    return true;
  }

 private:
  size_t slot() const { return static_cast<size_t>(slots_.slots - 1); }

  bool open(uint8_t keeps) {
    if (slots_.slots == kMaxSlots) return false;
    ++slots_.slots;
    slots_.temporal[slot()].fill(1);
    slots_.spatial[slot()].fill(1);
    slots_.keeps[slot()] = keeps;
    slots_.multicast[slot()] = slots_.reduction[slot()] = 1;
    count_ = 0;
    return true;
  }

  /// Orders the dims: those without a loop outside, where they do nothing.
  void close() {
    size_t i = 0;
    for (const Dim d : kAllDims)
      if (slots_.temporal[slot()][at(d)] == 1) slots_.order[slot()][i++] = d;
    for (size_t j = 0; j < count_; ++j) slots_.order[slot()][i++] = written_[j];
  }

  NestSlots& slots_;
  std::array<Dim, kDims> written_{};  // loops of the open slot
  size_t count_ = 0;
};

}  // namespace

NestView view_of(const NestSlots& slots) {
  NestView view;
  view.slots = slots.slots;
  view.temporal = slots.temporal.data();
  view.spatial = slots.spatial.data();
  view.order = slots.order.data();
  view.keeps = slots.keeps.data();
  view.step_slot = slots.first[slots.levels - 1];
  view.multicast = slots.multicast.data();
  view.reduction = slots.reduction.data();
  return view;
}

std::variant<NestSlots, Misfit> slots_of(const Mapping& mapping, const Accelerator& device) {
  if (mapping.levels.size() != device.levels.size())
    return Misfit{fmt::format("The mapping has {} levels, {} has {}.", mapping.levels.size(),
                              device.name, device.levels.size())};
  NestSlots slots;
  Filler filler(slots);
  for (size_t l = 0; l < mapping.levels.size(); ++l) {
    if (auto misfit = bad_level(mapping.levels[l], device.levels[l])) return *misfit;
    slots.first[l] = slots.slots;
    if (!filler.level(mapping.levels[l], device.levels[l]))
      return Misfit{
          fmt::format("{}: the mapping repeats loops so often that it has more than {} "
                      "groups of them; merge loops over the same dim.",
                      device.levels[l].name, kMaxSlots)};
  }
  slots.first[mapping.levels.size()] = slots.slots;
  slots.levels = static_cast<int>(mapping.levels.size());
  return slots;
}

}  // namespace instantnet::mapper
