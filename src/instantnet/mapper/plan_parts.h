// The steps of map_network that can be looked at one by one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "instantnet/mapper/pipeline.h"
#include "instantnet/mapper/plan.h"

namespace instantnet::mapper {

/// Layer after layer on the whole device, for the bit-width at `index`.
Total multi_cycle_total(const MappingPlan& plan, size_t index);

/// Of a pipeline's sums over a batch; static power runs for the whole interval.
Total pipeline_total(const Pipeline& pipeline, int bits, const Accelerator& device, int64_t batch);

/// Why a pipeline need not be computed for this objective, or nothing. `layers` are all layers.
std::optional<std::string> why_no_pipeline(const MappingPlan& plan, size_t index,
                                           const std::vector<Workload>& layers);

/// The mode that the objective prefers, and why.
struct Choice {
  Mode mode = Mode::MultiCycle;
  std::string why;
};
Choice choose_mode(Objective objective, const Total& multi_cycle, const Total& pipeline);

/// Fills shared_mapping_edp_ratio and shared_mapping_bits.
void share_mappings(MappingPlan& plan);

/// Fills `switches` from the chosen modes' mappings.
void price_switches(MappingPlan& plan);

}  // namespace instantnet::mapper
