// What the engines of search.h share: the task, the best mapping so far, when to stop.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

#include "instantnet/mapper/cost.h"
#include "instantnet/mapper/search.h"
#include "instantnet/mapper/space.h"

namespace instantnet::mapper {

/// What an engine is asked: the best nest of a space.
struct Task {
  const Evaluator& evaluator;
  const Space& space;
  const SearchOptions& options;
  const Watch& watch;
  double bound = 0;             // proven: no mapping has a smaller objective
  std::optional<Nest> start{};  // a good nest to begin with; it need not fit
};

/// The best nest an engine has seen; none when nothing fits.
struct Best {
  std::optional<Nest> nest;
  Value value{std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  int64_t evaluations = 0;
  bool complete = false;  // the whole space was tried

  /// Keeps the nest if it is better than the best; ties keep the earlier one.
  bool offer(const Nest& candidate, const Value& its_value) {
    if (nest && !(its_value < value)) return false;
    nest = candidate;
    value = its_value;
    return true;
  }
};

/// The nest's value, or nothing when it does not fit. Counts the evaluation.
inline std::optional<Value> value_of(const Task& task, const Nest& nest, int64_t& evaluations) {
  Score score;
  ++evaluations;
  if (!task.evaluator.score(nest, score)) return std::nullopt;
  return value_of(task.options.objective, score);
}

/// Whether to stop between two rounds: the time is over, the watcher says so, or nothing better can
/// exist.
class Stop {
 public:
  explicit Stop(const Task& task) : task_(task) {}
  bool now(const Best& best) const {
    if (task_.watch && !task_.watch(best.value.first, task_.bound)) return true;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - began_;
    if (task_.options.time_limit_s > 0 && spent.count() >= task_.options.time_limit_s) return true;
    // Other objectives go on to break ties by their second.
    return task_.options.objective == Objective::Edp && best.value.first <= task_.bound;
  }

 private:
  const Task& task_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

/// Nests drawn from the whole space; the best of options.budget.
Best search_random(const Task& task);
/// Every nest of a small space: all factors, all permutations of loops, all kept tensors. Error
/// with the number of mappings when there are more than this can try.
Best search_exhaustive(const Task& task);
/// The evolutionary search of InstantNet (DAC 2021, AutoMapper): a pool, selection, crossover and
/// mutation until the goal or the budget is met; each child climbs to its local optimum.
Best search_evolution(const Task& task);

/// The objective that no nest of the space can go below, for devices of any number of levels
/// (docs/mapper-search.md, "The bound").
double lower_bound(const Evaluator& evaluator, const Space& space, Objective objective);

}  // namespace instantnet::mapper
