// Mappings as files for timeloop-model (NVlabs, v3.0), so that anyone can check our costs with
// another tool.
#pragma once

#include <string>
#include <vector>

#include "instantnet/core/tree.h"
#include "instantnet/mapper/cost.h"
#include "instantnet/mapper/plan.h"

namespace instantnet::interop {

/// What Timeloop reads of one layer at one bit-width, and what we expect it to say.
struct TimeloopFiles {
  Tree problem;       // problem.yaml: the layer as a shape of eight dimensions
  Tree architecture;  // architecture.yaml: levels as a tree of version 0.3
  Tree energies;      // ert.yaml: picojoules an action; with it Timeloop asks no other estimator
  Tree mapping;       // mapping.yaml: factors, permutations and bypasses by level
  Tree expected;      // expected.yaml: our counts, energy and cycles; where the two models differ
};

/// Timeloop's words are the elements of a tensor at its bit-width. Where the tensors of a level
/// differ in energy, width, capacity or bandwidth, the level becomes one Timeloop level a tensor.
/// A cycle is one multiply-accumulate of a multiplier. Bandwidths that several tensors share are
/// divided in proportion to what this mapping moves, which leaves the cycles as they are. Factors
/// that do not divide a bound are written with Timeloop's residues ("K=4,3").
/// Error (`where`) when a level has two temporal loops over one dimension: Timeloop has one.
TimeloopFiles timeloop_files(const LayerShape& layer, Precision precision,
                             const mapper::Accelerator& device, const mapper::Mapping& mapping,
                             const std::string& where);

/// A folder for each layer and bit-width of a plan, "<layer>-<bits>bit", with the five files, and a
/// README.txt that says how to run them. Gives the folders' names. Files of the same names are
/// replaced.
std::vector<std::string> export_timeloop(const mapper::MappingPlan& plan,
                                         const std::string& folder);

/// A name as one path component: letters, digits, '-', '_' and '.' stay, others become '_'.
std::string file_name_of(const std::string& name);

}  // namespace instantnet::interop
