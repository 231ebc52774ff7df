// Tables over all tiles that the buffer may hold: what traffic with DRAM costs at least, once the
// tiles of the array are known.
//
// A point of the lattice is a count of tiles for each dim. A tile of the buffer is a point; so is a
// tile of the array, and the buffer's tiles that it may lie in are points with fewer tiles
// ("outside" it). The minimum over all points outside a point, for every point at once, takes one
// pass over the table for each prime of a divisor (or for each count of an imperfect dim).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "instantnet/mapper/exact_form.h"
#include "instantnet/mapper/exact_space.h"

namespace instantnet::mapper::exact {

/// Facts about a layer that bounds need.
struct LayerFacts {
  LayerShape layer;
  PerDim bounds{};
  double outputs = 0, weights = 0;  // elements
  /// Images, groups and input channels: what inputs are multiplied with besides windows.
  double planes = 0;
  /// Input elements that some output needs: no gaps between strided or dilated windows.
  double inputs_touched = 0;
  /// Whether every element of a window is needed; then the registers never fetch fewer inputs than
  /// the buffer (windows with gaps count elements that no PE reads).
  bool dense = false;
};
LayerFacts facts_of(const LayerShape& layer);

/// Rows (or columns) of all windows along one axis, with the overlap of successive windows saved
/// where the loop over outputs, or the one over the filter, is the first that moves them.
struct AxisRows {
  double plain = 0, sliding_outputs = 0, sliding_filter = 0;
};
/// For tiles of p outputs and r filter taps, in np and nr counts.
AxisRows rows_outside(const LayerShape& layer, int64_t p, int64_t np, int64_t r, int64_t nr);

using Table = std::vector<double>;

/// Memory for tables, kept from one lattice to the next.
class TablePool {
 public:
  /// A table with any content.
  Table take(size_t size);
  void give(Table&& table);

 private:
  std::vector<Table> free_;
};

/// The order in which the buffer's loops are chosen.
inline constexpr std::array<Dim, kDims> kLoopOrder = {Dim::K, Dim::P, Dim::Q, Dim::C,
                                                      Dim::R, Dim::S, Dim::N, Dim::G};
/// The order in which the factors of the array are chosen: groups of dims.
inline constexpr int kGroups = 6;
inline constexpr std::array<std::array<Dim, 2>, kGroups> kGroupDims = {{{Dim::G, Dim::G},
                                                                        {Dim::N, Dim::N},
                                                                        {Dim::K, Dim::K},
                                                                        {Dim::C, Dim::C},
                                                                        {Dim::P, Dim::R},
                                                                        {Dim::Q, Dim::S}}};

class Lattice {
 public:
  /// Whether mappings that cost at least so much, besides what all cost, may be left out.
  using Hopeless = std::function<bool(double energy)>;

  /// `largest_block`: elements along all dims that the array can hold at once. Orders at DRAM that
  /// alone take more than `most_cycles` are left out. `hopeless`: asked about mappings without
  /// loops at the buffer.
  Lattice(const LayerFacts& facts, const Space& space, const Form& form, double largest_block,
          double most_cycles, const Hopeless& hopeless, TablePool& pool);
  ~Lattice();
  Lattice(const Lattice&) = delete;
  Lattice& operator=(const Lattice&) = delete;

  int64_t stride(Dim d) const { return strides_[at(d)]; }

  /// Energy of the traffic with DRAM. outer(j): the least over all points outside in the dims
  /// kLoopOrder[j..], the others being equal; outer(0) is the least of all.
  const Table& outer(int chosen) const { return outer_[outer_of_[chosen]]; }
  /// The least of the same plus what the stationary tensor costs between buffer and registers if
  /// nothing is fetched twice by PEs that could share it: weights, outputs.
  const Table& joint(int tensor) const { return joint_[tensor == kO]; }
  /// The same for a tensor whose register tiles survive all loops of the buffer, which thus are
  /// loops over dims irrelevant to it.
  const Table& inherited(int tensor) const { return inherited_[static_cast<size_t>(tensor)]; }
  /// No loops at the buffer: all traffic but for copies in PEs. alone(g): the least over points
  /// outside in the dims of groups g.. ; none when no such mapping fits, or all are hopeless.
  const Table& alone(int chosen) const { return alone_[alone_of_[chosen]]; }
  bool any_alone() const { return any_alone_; }
  double least_alone() const { return least_alone_; }
  /// The least words between DRAM and the buffer that count for a limit; empty where they hardly
  /// depend on tiles: see least_outer.
  const Table& limit(size_t i) const { return limits_[i]; }
  /// Words of a limit's traffic between DRAM and the buffer, whatever the tiles.
  double least_outer(const Limit& limit) const;
  /// No point fits the buffer.
  bool empty() const { return empty_; }

 private:
  struct Job;
  struct Cap;
  class Filler;
  bool flat(Dim d) const { return space_[at(d)].size() == 1; }
  void minimise(Table& table, Dim d) const;
  void minimise(const Table& from, Table& to, Dim d) const;
  void fill(const Space& space, const Form& form, double largest_block, double most_cycles);
  void transform();
  void transform_alone();

  const LayerFacts& facts_;
  const Space& space_;
  TablePool& pool_;
  std::array<int64_t, kDims> strides_{};
  size_t size_ = 0;
  bool empty_ = true, any_alone_ = false;
  double least_alone_ = 0;
  std::array<Table, kDims + 1> outer_;
  // Where there is nothing to choose the next table is the same.
  std::array<size_t, kDims + 1> outer_of_{};
  std::array<size_t, kGroups + 1> alone_of_{};
  std::array<Table, 2> joint_;
  std::array<Table, kTensors> inherited_;
  std::array<Table, kGroups + 1> alone_;
  std::vector<Table> limits_;
};

}  // namespace instantnet::mapper::exact
