// What a mapping costs: accesses by level and tensor in closed form, energy, cycles. The equations
// are numbered in docs/cost-model.md; the simulator (simulator.h) is what they must equal.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/mapping.h"
#include "instantnet/mapper/workload.h"

namespace instantnet::mapper {

/// Elements moved, all instances of a level together. Weights and inputs have reads and fills;
/// outputs have reads (a partial sum fetched), updates (one brought up) and fills (one put down).
struct Accesses {
  int64_t reads = 0, updates = 0, fills = 0;
  bool operator==(const Accesses&) const = default;
};

/// Everything that can be counted about a mapping, by level (outermost first).
struct AccessCounts {
  std::vector<PerTensor<Accesses>> levels;
  /// Elements carried from a level to each of its children, or back, all copies counted.
  std::vector<PerTensor<int64_t>> network;
  int64_t macs = 0;
  int64_t steps = 0;      // of the innermost loops of one multiplier: cycles at one MAC a cycle
  int64_t instances = 0;  // multipliers with work
  bool operator==(const AccessCounts&) const = default;
};

struct LevelCost {
  PerTensor<double> energy_pj;
  double network_pj = 0;
  double cycles = 0;  // by the tightest of its bandwidths
  std::string limit;  // "read", "write", "total", "outputs write"; empty: no bandwidth limits it
  bool operator==(const LevelCost&) const = default;
};

struct Cost {
  double energy_pj = 0;
  double cycles = 0;
  double compute_cycles = 0;
  double utilization = 0;  // MACs / (cycles x MACs a cycle of the whole device)
  std::string bound_by;    // "compute", "DRAM read", "GLB outputs write"
  double mac_pj = 0, static_pj = 0;
  std::vector<LevelCost> levels;
  AccessCounts counts;

  double edp() const { return energy_pj * cycles; }
};

/// The three numbers a search needs.
struct Score {
  double energy_pj = 0, cycles = 0;
  double edp() const { return energy_pj * cycles; }
};

enum class Objective { Edp, Energy, Latency, Throughput };
const std::vector<std::pair<Objective, std::string>>& names_of(Objective);

/// What is minimised first, and what breaks ties (latency: energy; others: cycles, then energy).
struct Value {
  double first = 0, second = 0;
  auto operator<=>(const Value&) const = default;
};
Value value_of(Objective objective, const Score& score);

/// Evaluates nests of one layer at one precision on one device. Constructing it does what does not
/// depend on the mapping; it is immutable afterwards and may be shared by threads.
class Evaluator {
 public:
  Evaluator(const LayerShape& layer, Precision precision, const Accelerator& device);

  /// Energy and cycles, or false when the nest does not fit (nothing is said why). The fast path:
  /// no allocation.
  bool score(const Nest& nest, Score& result) const;
  /// Everything, or the reason why not.
  std::variant<Cost, Misfit> evaluate(const Mapping& mapping) const;

  const LayerShape& layer() const;
  const Accelerator& device() const;
  Precision precision() const;

 private:
  struct Tables;
  std::shared_ptr<const Tables> tables_;
};

/// Whether `need` words fit into `capacity` (0 = unlimited); forgives the rounding of fractions.
inline bool fits_words(double need, double capacity) {
  return capacity == 0 || need <= capacity * (1 + 1e-12);
}
/// Rounded up; forgives the rounding of words and bandwidths that are fractions.
inline double whole_cycles(double cycles) { return std::ceil(cycles * (1 - 1e-12)); }

/// Why no mapping at all can fit: the level and tensors that cannot hold even the smallest tile,
/// how much that is, and the smallest size that would do. Nothing when some mapping fits.
std::optional<Misfit> smallest_misfit(const LayerShape& layer, Precision precision,
                                      const Accelerator& device);

/// Evaluator(layer, precision, device).evaluate(mapping).
std::variant<Cost, Misfit> evaluate(const LayerShape& layer, Precision precision,
                                    const Accelerator& device, const Mapping& mapping);

}  // namespace instantnet::mapper
