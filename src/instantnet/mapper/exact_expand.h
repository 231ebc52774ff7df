// All loops outside a tile of the array: the best buffer tile and loop orders for each way to make
// that array tile out of register tiles.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "instantnet/mapper/exact_bounds.h"
#include "instantnet/mapper/exact_orders.h"

namespace instantnet::mapper::exact {

/// Loops that constraints want innermost, innermost first.
struct InnerLoops {
  std::vector<Dim> buffer, dram;
  bool empty() const { return buffer.empty() && dram.empty(); }
};

/// A complete array tile: a register tile and a spread of each group.
struct ArrayTile {
  Value bound;
  int64_t index = 0;  // in the lattice
  std::array<uint16_t, kGroups> tiles{}, spreads{};
};

/// A mapping of the space.
struct Choice {
  Chain chain;
  LoopOrder buffer, dram;
};

/// The best mapping so far.
struct Best {
  Value value{kInfinity, kInfinity};
  Choice choice;
  bool found = false;
  int64_t evaluations = 0;
};

struct Context {
  const LayerFacts& facts;
  const Space& space;
  const GroupTiles& groups;
  const Form& form;
  const Lattice& lattice;
  const Bounds& bounds;
  const Goal& goal;
  const InnerLoops& inner;
};

class Expander {
 public:
  explicit Expander(const Context& context);

  /// Tiles of equal size along every dim. Improves `best` where anything better lies outside them.
  void expand(std::span<const ArrayTile> tiles, Best& best);

  /// The size of an array tile along each dim.
  PerDim block(const ArrayTile& tile) const;

 private:
  /// Between registers and buffer: linear in what the buffer sends.
  struct Inside {
    double base = 0;    // energy
    Each energy{};      // of an element that the buffer sends, with its copies
    Each anew{};        // elements when every loop makes the tensor be fetched anew
    Each copies{};      // in registers, of an element that the buffer sends
    Each least{};       // energy of the other tensors while this one stays
    double cycles = 0;  // of the multipliers
    Traffic fixed;      // spread, touched, steps, instances
    std::array<int64_t, 2> extent{};
    std::array<Slides, 2> shift{};  // rows by which windows move, outputs' loop and filter's
    double distinct = 1;            // windows side by side, both axes
    Value bound;
    std::array<const GroupTile*, kGroups> tiles{};
    std::array<const Spread*, kGroups> spreads{};
  };
  /// Words of a limit, at least: besides DRAM's, when each tensor stays; and of the one that stays,
  /// for each visit.
  struct Floor {
    Each others{}, own{};
  };
  /// A class of orders at DRAM.
  struct Outside {
    Each moved{};
    double energy = 0;
    int order = 0;
  };

  Inside inside_of(const ArrayTile& tile) const;
  void start(std::span<const ArrayTile> tiles);
  void lower(const Inside& inside);
  void lower(const Inside& inside, const Slides& slides, const Each& own, const Limit& limit,
             Floor& floor) const;
  void survive(size_t index);
  void loop(int depth, size_t index);
  void loop_only(unsigned dims, int depth);
  bool choose(Dim d, const Step& step);
  void unloop(Dim d);
  bool fits() const;
  bool hopeless(int depth, size_t index) const;
  void visit();
  void visit_inside(const Inside& inside);
  void visit_surviving_inputs(const Inside& inside, bool all);
  void visit_orders(const Inside& inside);
  void drop_hopeless_orders();
  void outside_orders(std::vector<Outside>& orders, bool every) const;
  std::array<double, 4> slides(const Inside& inside) const;
  double inherited_inputs(const Inside& inside, const Outside& outside) const;
  void consider(const Inside& inside, const Each& sent, const Outside& outside, int buffer_order);
  Chain chain_of(const Inside& inside) const;

  const Context& at_;
  std::array<LoopOrder, kClasses> buffer_orders_, dram_orders_;
  std::vector<Inside> insides_;
  Best* best_ = nullptr;
  // the least of all insides
  Each least_{}, least_energy_{};
  double least_base_ = 0, least_cycles_ = 0;
  std::vector<Floor> floors_;  // of the form's limits
  // the tile of the array, and of the buffer as it is chosen
  std::array<int, kDims> array_count_{};
  PerDim block_{}, tile_{}, factor_{}, count_{};
  std::vector<Outside> outside_;
};

}  // namespace instantnet::mapper::exact
