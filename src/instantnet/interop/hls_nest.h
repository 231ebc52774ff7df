// A mapping as the loops, tiles and transfers that hardware is written from. Everything is as
// docs/cost-model.md counts it.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "instantnet/interop/hls_text.h"
#include "instantnet/mapper/mapping.h"
#include "instantnet/mapper/workload.h"

namespace instantnet::interop::hls {

using mapper::Dim;
using mapper::PerDim;
using mapper::Tensor;

/// A loop over time, or over the children of a level, which work side by side.
struct NestLoop {
  size_t level = 0;
  Dim dim = Dim::N;
  int64_t bound = 1;
  int64_t stride = 1;  // iterations of the dim inside it
  std::string name;    // of its variable: k1; k1u over space
};

/// A tensor's way from a level that keeps it to the next one in that does.
struct Transfer {
  Tensor tensor = Tensor::Weights;
  size_t outer = 0, inner = 0;
  /// So many of the loops over time, outermost first, move the inner tile: its place in the nest.
  size_t loops = 0;
};

struct Nest {
  LayerShape layer;
  PerDim bounds{};
  std::vector<std::string> levels;  // names, outermost first
  std::vector<NestLoop> time;       // outermost first, none of bound 1
  std::vector<NestLoop> space;      // one a level and dim
  std::vector<PerDim> tile;         // of each level, no larger than the layer; of a multiplier, 1
  std::vector<int64_t> instances;   // of each level that may have work; multipliers last
  std::vector<mapper::PerTensor<bool>> keeps;
  std::vector<Transfer> transfers;              // of each tensor, outermost first
  std::array<bool, mapper::kDims> imperfect{};  // the loops cover more than the layer
  /// Of the innermost loops over time; steps that lie wholly outside the layer are left out.
  int64_t steps = 0;
  /// steps as a product of one number a dim, for the reader.
  std::vector<std::pair<std::string, int64_t>> step_factors;
  /// Every sum is complete when its tile leaves for the outermost level, and leaves once.
  bool finishes_once = false;

  size_t multipliers() const { return levels.size(); }  // as a level
  /// The innermost level that keeps a tensor: what multipliers work on.
  size_t home(Tensor t) const;
  bool keeps_on_chip(Tensor t) const { return home(t) > 0; }
  /// Rows (P, R) or columns (Q, S) of a level's input tile.
  int64_t extent(size_t level, Dim position, Dim filter) const;
  int64_t elements(size_t level, Tensor t) const;
  /// Loop variables of a dim at levels from <= level < to.
  Linear coordinate(Dim d, size_t from, size_t to) const;
  /// Input row (P, R) or column (Q, S) of them, before padding is taken off.
  Linear position(Dim position, Dim filter, size_t from, size_t to) const;
  /// Which instance of a level: of the loops over space outside it.
  std::vector<Index> instance(size_t level) const;
};

/// Error naming `where` for what cannot be written as a nest: loops over images.
Nest make_nest(const LayerShape& layer, const mapper::Mapping& mapping,
               const mapper::Accelerator& device, const std::string& where);

}  // namespace instantnet::interop::hls
