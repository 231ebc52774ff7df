// Lower bounds: for a register tile, for one with some groups of dims spread over the array, and
// for a complete tile of the array.
//
// In each mapping the loops of the buffer leave one tensor in the registers (weights, inputs or
// outputs) while the other two are fetched anew; only when no loop of the buffer concerns a tensor
// it survives them all. Each bound is the least over these cases, and each term in it a minimum
// over more mappings than the case has.
#pragma once

#include <array>
#include <vector>

#include "instantnet/mapper/exact_form.h"
#include "instantnet/mapper/exact_goal.h"
#include "instantnet/mapper/exact_lattice.h"
#include "instantnet/mapper/exact_tiles.h"

namespace instantnet::mapper::exact {

/// What the groups that are not yet spread can still do.
struct Rest {
  Visits alone;
  double extent = 1;       // of the layer
  double least_steps = 1;  // of the register tile
  Each most_merged = {1, 1, 1};
  double most_spread = 1, most_pes = 1;
  Slides slides;
  int64_t index = 0;  // of the register tile in the lattice
};

/// The groups that are spread.
struct Partial {
  Visits visits;
  Slides slides;
  double instances = 1;
  int64_t index = 0;  // of the tile in the lattice, as far as it is known
  int k = 0;          // count of K's tiles
};

class Bounds {
 public:
  /// `left`: for a number of PEs, by how much it can be multiplied at most; 0: it fits no array.
  Bounds(const LayerFacts& facts, const Space& space, const Form& form, const Lattice& lattice,
         const Goal& goal, const std::vector<double>& left);

  /// Of all ways to spread the groups from `chosen` on. `beat`: a case without loops at the buffer
  /// that cannot beat it is left out.
  Value partial(const Partial& at, const Rest& rest, int chosen, const Value& beat) const;
  /// Of all loops outside a tile of the array; cases that cannot beat `beat` are left out.
  Value complete(const Partial& at, const Value& beat) const;
  /// Words of a limit that move between DRAM and the buffer, at least, for buffer tiles outside a
  /// point.
  double outer_words(size_t limit, size_t index) const {
    const Table& table = lattice_.limit(limit);
    return table.empty() ? least_outer_[limit] : table[index];
  }
  /// Cycles (not rounded) that traffic with DRAM takes at least for buffer tiles outside a point.
  double outer_cycles(size_t index) const;
  /// The same for so many elements of each tensor.
  double outer_cycles(const Each& moved) const;
  /// Whether mappings without loops at the buffer, at least so dear besides what all cost, cannot
  /// beat `beat`.
  static bool alone_is_hopeless(const Form& form, const Goal& goal, double pes, double macs,
                                double energy, const Value& beat);

 private:
  /// Energies of one array tile, or of the best there can be.
  struct Parts {
    double base = 0;        // whatever the loops
    Each buffer{}, fill{};  // of each tensor when every loop makes it be fetched anew
    Each once{};            // when every element is fetched once
  };
  Parts parts(const Visits& visits, const Each& copies) const;
  double least_cycles(const Visits& visits, const Rest& rest, double left, size_t index) const;
  Value value_of_case(double energy, const Traffic& traffic, size_t index) const;
  double stationary_inputs(double energy, size_t index, size_t k) const;

  const Form& form_;
  const Lattice& lattice_;
  const Goal& goal_;
  const std::vector<double>& left_;
  Each elements_;                                         // times visits: traffic
  Each once_;                                             // every element fetched once
  Each per_buffer_, per_fill_, once_buffer_, once_fill_;  // energy
  std::vector<double> least_outer_;
  std::vector<double> floor_words_;  // of each limit, outside its table
  std::vector<double> k_counts_;
};

}  // namespace instantnet::mapper::exact
