// Mappings and their costs as people read them (tables, numbers with units) and as programs do.
#pragma once

#include <string>

#include "instantnet/core/tree.h"
#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/cost.h"
#include "instantnet/mapper/mapping.h"

namespace instantnet::cli {

/// 1.2e6 -> "1.200 uJ".
std::string energy_text(double pj);
/// 0.9876 -> "98.8 %".
std::string percent_text(double share);
/// 1.234e+15: EDPs span too much for prefixes.
std::string edp_text(double pj_cycles);

/// "n=1 k=64 c=3 p=112 q=112 r=7 s=7 stride=2": what is 1 is left out, but k, c, p and q.
std::string layer_text(const LayerShape& layer);
/// "k=64,c=64,p=56,q=56,r=3,s=3,stride=2" to a layer that check() accepts; what is not given is 1.
/// c is per group. Error (prefix `where`) for unknown names, repeated ones and other numbers.
LayerShape parse_layer(const std::string& text, const std::string& where);
/// {"n": 1, "k": 64, ...}; dilation only where it is not 1.
Tree layer_tree(const LayerShape& layer);

/// [{"level": "DRAM", "keep": ["weights"], "loops": [{"dim": "k", "bound": 2, "kind":
/// "temporal"}]}]: outermost first; kinds temporal, spatial-x, spatial-y.
Tree loops_tree(const mapper::Mapping& mapping, const mapper::Accelerator& device);

/// A row a level and tensor: accesses and energy; the level's cycles and what limits them.
std::string cost_table(const mapper::Cost& cost, const mapper::Mapping& mapping,
                       const mapper::Accelerator& device);
/// One line: energy, cycles and what bounds them, EDP, utilisation.
std::string cost_line(const mapper::Cost& cost);
/// {"energy_pj", "cycles", "edp_pj_cycles", "utilization", "bound_by"}.
Tree cost_tree(const mapper::Cost& cost);
/// [{"level", "cycles", "limit", "network_pj", "weights": {"reads", "updates", "fills",
/// "energy_pj"}, ...}]
Tree level_costs_tree(const mapper::Cost& cost, const mapper::Accelerator& device);

}  // namespace instantnet::cli
