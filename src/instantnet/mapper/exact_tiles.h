// Tiles of the registers and ways to spread them over the array, by groups of dims that act
// together: output rows with filter rows, output columns with filter columns, all others alone.
// Nothing here depends on bit-widths or energies.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "instantnet/mapper/exact_lattice.h"
#include "instantnet/mapper/exact_space.h"

namespace instantnet::mapper::exact {

/// Factors by which traffic grows, of one group of dims: the product over groups, times the
/// tensor's elements (inputs: planes), is traffic when no loop order saves anything.
struct Visits {
  Each buffer = {1, 1, 1};         // from the buffer, equal windows merged
  Each fill = {1, 1, 1};           // into registers, all copies
  Each copies = {1, 1, 1};         // PEs that hold every element (inputs: each output channel's)
  double spread = 1, touched = 1;  // PEs that share an output; those of them with work
  double steps = 1, pes = 1;

  void operator*=(const Visits& other) {
    for (int t = 0; t < kTensors; ++t) {
      buffer[t] *= other.buffer[t], fill[t] *= other.fill[t];
      copies[t] *= other.copies[t];
    }
    spread *= other.spread, touched *= other.touched;
    steps *= other.steps, pes *= other.pes;
  }
};

/// How little of the inputs need be fetched when windows slide along the output's dim of a group,
/// or along the filter's.
struct Slides {
  double outputs = 1, filter = 1;
  void lower(const Slides& other) {
    outputs = std::min(outputs, other.outputs);
    filter = std::min(filter, other.filter);
  }
};

/// One way to spread the register tile of a group.
struct Spread {
  std::array<Step, 2> steps;
  double instances = 1;  // PEs with work
  Visits visits;
  Slides slides;
};

/// A register tile of one group, and the ways to spread it.
struct GroupTile {
  std::array<Tile, 2> tiles;
  Each volume = {1, 1, 1};  // what it contributes to the tile of each tensor
  /// With every tile in a PE of its own, but none at the same time: at most this many windows.
  Visits alone;
  double extent = 1;             // of the layer
  double least_steps = 1;        // of the tile itself
  Each most_merged = {1, 1, 1};  // of all spreads, how many PEs at most share a fetch
  double most_spread = 1, most_pes = 1;
  Slides slides;  // least of all spreads
  std::vector<Spread> spreads;
};

/// The register tiles of each group, each spread over at most `pes` PEs.
using GroupTiles = std::array<std::vector<GroupTile>, kGroups>;
GroupTiles make_group_tiles(const LayerFacts& facts, const Space& space, int64_t pes);

}  // namespace instantnet::mapper::exact
