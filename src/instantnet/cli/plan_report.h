// A network's plan as people read it (tables) and as programs do.
#pragma once

#include <string>

#include "instantnet/core/tree.h"
#include "instantnet/mapper/plan.h"

namespace instantnet::cli {

/// How far a mapping may be from the best one: "optimal", "<= 1.2 %", or "-" without a bound.
std::string gap_text(const mapper::Found& found, mapper::Objective objective);

/// A row of the table of layers, and its header: what a live table and the summary print.
std::vector<std::string> layer_header();
std::vector<std::string> layer_row(const mapper::LayerPlan& layer, mapper::Objective objective);

/// Layers, totals, why the mode was chosen, what one mapping for all bit-widths would cost, what
/// switching costs, what is not mapped.
std::string plan_text(const mapper::MappingPlan& plan);

/// {"accelerator", "objective", "layers": [...], "totals": {bits: ...}, "network", "unmapped",
/// "why"}.
Tree plan_json(const mapper::MappingPlan& plan);

}  // namespace instantnet::cli
