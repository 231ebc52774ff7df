// Splitting a device among the stages of a pipeline: the least interval between two images that any
// choice of one option a stage reaches, proven.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace instantnet::mapper {

/// One way to run a stage, and what it takes of what the stages share.
struct StageOption {
  double cycles = 0;         // between two images of this stage alone
  int64_t array = 0;         // units of the array
  int64_t buffer = 0;        // units of the buffer
  double memory_cycles = 0;  // the memory that all stages share (DRAM) serves this stage so long
  double energy_pj = 0;      // of one image
  bool operator==(const StageOption&) const = default;
};

/// A choice for each stage.
struct Allocation {
  std::vector<size_t> chosen;  // an option of each stage
  /// max(cycles of the slowest stage, memory cycles of all stages): between two images.
  double interval = 0;
  double energy_pj = 0;
};

/// The choice of least interval whose array and buffer units do not exceed what there is; nothing
/// when there is none. Exact: a dynamic program over the stages that drops only choices another one
/// dominates, inside a search over the interval, in which being feasible is monotone.
/// Deterministic. Faster when no interval is known to be below `at_least`.
std::optional<Allocation> fastest(const std::vector<std::vector<StageOption>>& stages,
                                  int64_t array, int64_t buffer, double at_least = 0);

/// The choice of least energy among those whose interval is at most this; nothing when there is
/// none. Exact and deterministic likewise.
std::optional<Allocation> most_frugal(const std::vector<std::vector<StageOption>>& stages,
                                      int64_t array, int64_t buffer, double interval);

/// The most frugal of the fastest.
std::optional<Allocation> allocate(const std::vector<std::vector<StageOption>>& stages,
                                   int64_t array, int64_t buffer);

}  // namespace instantnet::mapper
