// Finding mappings: what is asked, what comes back. One engine a file: exact, evolution, random,
// exhaustive, template.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/core/config.h"
#include "instantnet/core/tree.h"
#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/cost.h"
#include "instantnet/mapper/mapping.h"

namespace instantnet::mapper {

enum class Engine { Exact, Evolution, Random, Exhaustive, Template };
/// Whether tile counts must divide the loop bounds.
enum class Factors { Perfect, Any };
const std::vector<std::pair<Engine, std::string>>& names_of(Engine);
const std::vector<std::pair<Factors, std::string>>& names_of(Factors);

struct SearchOptions {
  Engine engine = Engine::Exact;
  std::string template_name;  // Engine::Template: "row-stationary", ...
  Objective objective = Objective::Edp;
  Factors factors = Factors::Any;
  /// Seconds for one layer at one bit-width; 0 = until proven (exact), or the engine's own budget.
  double time_limit_s = 0;
  /// Mappings that evolution and random search may evaluate for one layer at one bit-width.
  int64_t budget = 1000000;
  uint64_t seed = 1;
  int threads = 1;
  /// Evolution.
  int pool = 100;
  double mutation = 0.3;
};
Fields fields(SearchOptions& options);

/// What a mapping must look like; absent parts are free. Read from YAML.
struct LevelConstraint {
  std::string level;
  std::vector<Dim> order;      // these dims, outermost first; the others anywhere outside them
  std::vector<Loop> temporal;  // factors that are fixed
  std::vector<Loop> spatial;   // likewise
  std::optional<std::vector<Dim>> spatial_dims;  // only these may be spread over the children
  std::vector<Loop> spatial_most;                // by at most so many each: [k16, c16]
  PerTensor<std::optional<bool>> keeps;
  bool operator==(const LevelConstraint&) const = default;
};
struct Constraints {
  std::vector<LevelConstraint> levels;
  bool empty() const { return levels.empty(); }
  bool operator==(const Constraints&) const = default;
};
/// Error naming the level for constraints that the device cannot keep or that contradict each
/// other.
void check(const Constraints& constraints, const Accelerator& device);
/// constraints.yaml: a list of levels, each with `level` and any of `order: [k, c]`,
/// `temporal: [k4]`, `spatial: [k16]`, `spatial_dims: [k, c]`, `spatial_most: [k16]`,
/// `keep: [inputs]`, `bypass: [weights]`.
Tree to_tree(const Constraints& constraints);
/// Error with file and line for unknown levels or dims, or constraints that contradict each other.
Constraints constraints_from_tree(const Tree& tree, const Accelerator& device);
/// The reason why a mapping does not keep them, or nothing.
std::optional<std::string> violated(const Constraints& constraints, const Mapping& mapping,
                                    const Accelerator& device);

/// What a search found for one layer at one bit-width.
struct Found {
  Mapping mapping;
  Cost cost;
  /// No mapping of the space the engine searches has a smaller objective than this.
  double lower_bound = 0;
  /// lower_bound is the objective of `mapping`: it is optimal in the space (docs/mapper-search.md).
  bool certified = false;
  int64_t evaluations = 0;
  double seconds = 0;
  /// One sentence when the engine did something else than was asked: why there is no certificate.
  std::string note;
};

/// Told while a search runs: the best value so far and the bound; return false to stop.
using Watch = std::function<bool(double best, double bound)>;

/// The engine that the options name. Misfit when no mapping fits: which level and tensor, how much
/// the smallest tile needs, and the smallest size that would do. The same result for any number of
/// threads, but for searches that the clock ends. Error when the constraints or the template do not
/// suit the device.
std::variant<Found, Misfit> search(const LayerShape& layer, Precision precision,
                                   const Accelerator& device, const Constraints& constraints,
                                   const SearchOptions& options, const Watch& watch = {});

/// All precisions of one layer, widest first: a wider one's mapping starts the next, and counts
/// that do not depend on the bit-width are shared. Results in the order of `precisions`.
std::vector<std::variant<Found, Misfit>> search_all(
    const LayerShape& layer, const std::vector<Precision>& precisions, const Accelerator& device,
    const Constraints& constraints, const SearchOptions& options, const Watch& watch = {});

/// Names of the expert dataflows for Engine::Template, each with one sentence and its source.
const std::vector<std::pair<std::string, std::string>>& templates();

/// The exact trade-off between energy and cycles, fewest cycles last; each point optimal.
std::vector<Found> energy_latency_front(const LayerShape& layer, Precision precision,
                                        const Accelerator& device, const Constraints& constraints,
                                        const SearchOptions& options);

}  // namespace instantnet::mapper
