// Running a network as a pipeline: each layer has a part of the device of its own and works on
// another image than the next.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "instantnet/mapper/plan.h"
#include "instantnet/mapper/search.h"
#include "instantnet/mapper/workload.h"

namespace instantnet::mapper {

/// Finds a mapping of a layer on a device: search() with the objective's other options bound.
using StageSearch = std::function<std::variant<Found, Misfit>(
    const LayerShape& layer, Precision precision, const Accelerator& device, Objective objective)>;

struct Pipeline {
  std::vector<Stage> stages;  // one a layer, in order
  /// Of a whole batch.
  double energy_pj = 0, cycles = 0, interval_cycles = 0;
  /// No other allocation of the shares in share.h has a shorter interval.
  bool proven = false;
  int64_t evaluations = 0;  // of the searches
  int64_t searches = 0;
};

/// The pipeline of least interval for layers at `bits` (or at their own width): every choice of an
/// array share and a buffer share a layer is covered, each with the fastest mapping and the one of
/// least energy. Only shares that can matter are searched: all others have a bound, and the
/// allocation over bounds and results is repeated until it rests on results alone. Ties go to the
/// least energy among the results. Misfit when there are more layers than parts, or some layer fits
/// in no part that others leave it. The same for any number of threads.
std::variant<Pipeline, Misfit> plan_pipeline(const std::vector<Workload>& layers, int bits,
                                             const Accelerator& device, const StageSearch& search,
                                             int threads);

/// No pipeline of these layers at `bits` has a lower latency than this: with shares f_l of the
/// multipliers, the sum of MACs_l / f_l is least for f_l in proportion to the root of MACs_l.
double least_pipeline_cycles(const std::vector<Workload>& layers, int bits,
                             const Accelerator& device);

}  // namespace instantnet::mapper
