// Local search around a nest: better factors, orders and kept tensors, until no move improves.
#pragma once

#include <cstdint>
#include <vector>

#include "instantnet/core/rng.h"
#include "instantnet/mapper/engine.h"

namespace instantnet::mapper {

/// A nest that fits, and its value.
struct Individual {
  Nest nest;
  Value value;
};

class Climber {
 public:
  /// Stops climbing when `evaluations` reaches `limit`.
  Climber(const Task& task, Rng& rng, int64_t& evaluations);

  /// Loops moved inwards at random from the smallest nest while it fits; none if even that does
  /// not.
  std::optional<Individual> grow();
  /// Moves to better neighbours until there is none, or `limit` evaluations in all are spent.
  /// Neighbours differ in how two places of one loop share its factors, in an order, in kept
  /// tensors; with `trades` also in a factor that two loops trade, which are many more.
  void climb(Individual& one, int64_t limit, bool trades);
  /// Random changes, then factors moved out until the nest fits; false when it never does.
  bool mutate(Individual& one, int changes);
  /// Evaluates; moves factors outwards until the nest fits.
  bool repair(Individual& one);

 private:
  /// The ways to split what two slots of a loop hold between them.
  struct Split {
    std::vector<int64_t> inner, outer;  // factors of the two slots, by ascending inner factor
    size_t current = 0;
  };
  Split split(const Nest& nest, Dim d, size_t inner, size_t outer) const;

  bool accept(Individual& one, const Nest& candidate);
  bool better_factors(Individual& one, Dim d);
  bool better_orders(Individual& one);
  bool better_keeps(Individual& one);
  bool better_trade(Individual& one, Dim up, Dim down, int64_t limit);
  bool better_trades(Individual& one, int64_t limit);
  void change(Nest& nest);

  const Task& task_;
  Rng& rng_;
  int64_t& evaluations_;
  std::vector<Dim> dims_;                  // with more than one step
  std::vector<std::vector<size_t>> free_;  // slots by dim that constraints leave free
};

}  // namespace instantnet::mapper
