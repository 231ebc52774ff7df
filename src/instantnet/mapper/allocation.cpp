#include "instantnet/mapper/allocation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace instantnet::mapper {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Stages = std::vector<std::vector<StageOption>>;

/// What the stages so far take together, and how it came about.
struct State {
  int64_t array = 0, buffer = 0;
  double memory_cycles = 0, energy_pj = 0;
  uint32_t parent = 0, option = 0;
};

bool smaller(const State& a, const State& b) {
  if (a.array != b.array) return a.array < b.array;
  if (a.buffer != b.buffer) return a.buffer < b.buffer;
  if (a.memory_cycles != b.memory_cycles) return a.memory_cycles < b.memory_cycles;
  return a.energy_pj < b.energy_pj;
}

/// Pairs (memory cycles, energy) of which none is dominated: memory ascending, energy descending.
class Staircase {
 public:
  /// Whether a pair here is no larger in both.
  bool dominates(double memory, double energy) const {
    auto after =
        std::upper_bound(steps_.begin(), steps_.end(), memory,
                         [](double value, const Step& step) { return value < step.memory; });
    return after != steps_.begin() && std::prev(after)->energy <= energy;
  }

  void insert(double memory, double energy) {
    if (dominates(memory, energy)) return;
    auto first =
        std::lower_bound(steps_.begin(), steps_.end(), memory,
                         [](const Step& step, double value) { return step.memory < value; });
    auto last = first;
    while (last != steps_.end() && last->energy >= energy) ++last;
    steps_.insert(steps_.erase(first, last), {memory, energy});
  }

 private:
  struct Step {
    double memory, energy;
  };
  std::vector<Step> steps_;
};

/// The states that no other one dominates, ascending. `by_buffer` has a staircase for each number
/// of buffer units: of all states seen that take no more.
std::vector<State> undominated(std::vector<State> all, int64_t buffer) {
  std::stable_sort(all.begin(), all.end(), smaller);
  std::vector<Staircase> by_buffer(static_cast<size_t>(buffer) + 1);
  std::vector<State> kept;
  for (const State& state : all) {
    const auto own = static_cast<size_t>(state.buffer);
    if (by_buffer[own].dominates(state.memory_cycles, state.energy_pj)) continue;
    for (size_t b = own; b < by_buffer.size(); ++b)
      by_buffer[b].insert(state.memory_cycles, state.energy_pj);
    kept.push_back(state);
  }
  return kept;
}

/// What is asked of the dynamic program.
struct Question {
  double cycles = kInfinity;         // no option slower than this
  double memory_cycles = kInfinity;  // of all stages together
  bool energy = false;               // least energy; else least memory cycles
};

/// The options that answer the question, with their index.
std::vector<State> usable(const std::vector<StageOption>& options, const Question& question,
                          int64_t array, int64_t buffer) {
  std::vector<State> states;
  for (size_t i = 0; i < options.size(); ++i) {
    const StageOption& option = options[i];
    if (option.cycles > question.cycles || option.array > array || option.buffer > buffer) continue;
    states.push_back({option.array, option.buffer, option.memory_cycles,
                      question.energy ? option.energy_pj : 0, 0, static_cast<uint32_t>(i)});
  }
  return undominated(std::move(states), buffer);
}

/// The least that stages from each index on can take of each thing.
struct Rest {
  int64_t array = 0, buffer = 0;
  double memory_cycles = 0;
};

std::vector<Rest> rests(const std::vector<std::vector<State>>& options) {
  std::vector<Rest> rest(options.size() + 1);
  for (size_t s = options.size(); s-- > 0;) {
    Rest least{std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max(), kInfinity};
    for (const State& option : options[s]) {
      least.array = std::min(least.array, option.array);
      least.buffer = std::min(least.buffer, option.buffer);
      least.memory_cycles = std::min(least.memory_cycles, option.memory_cycles);
    }
    rest[s] = {rest[s + 1].array + least.array, rest[s + 1].buffer + least.buffer,
               rest[s + 1].memory_cycles + least.memory_cycles};
  }
  return rest;
}

/// The best choice, or nothing. Sums are formed in the order of the stages.
std::optional<std::vector<size_t>> best_choice(const Stages& stages, const Question& question,
                                               int64_t array, int64_t buffer) {
  std::vector<std::vector<State>> options;
  for (const auto& stage : stages) {
    options.push_back(usable(stage, question, array, buffer));
    if (options.back().empty()) return std::nullopt;
  }
  const std::vector<Rest> rest = rests(options);
  std::vector<std::vector<State>> reached = {{State{}}};
  for (size_t s = 0; s < stages.size(); ++s) {
    std::vector<State> next;
    for (size_t from = 0; from < reached[s].size(); ++from)
      for (const State& option : options[s]) {
        const State& before = reached[s][from];
        State sum{before.array + option.array,
                  before.buffer + option.buffer,
                  before.memory_cycles + option.memory_cycles,
                  before.energy_pj + option.energy_pj,
                  static_cast<uint32_t>(from),
                  option.option};
        if (sum.array + rest[s + 1].array > array || sum.buffer + rest[s + 1].buffer > buffer ||
            sum.memory_cycles > question.memory_cycles)
          continue;
        next.push_back(sum);
      }
    reached.push_back(undominated(std::move(next), buffer));
    if (reached.back().empty()) return std::nullopt;
  }
  const auto& ends = reached.back();
  const auto better = [&](const State& a, const State& b) {
    return question.energy ? a.energy_pj < b.energy_pj : a.memory_cycles < b.memory_cycles;
  };
  size_t index =
      static_cast<size_t>(std::min_element(ends.begin(), ends.end(), better) - ends.begin());
  std::vector<size_t> chosen(stages.size());
  for (size_t s = stages.size(); s-- > 0;) {
    chosen[s] = reached[s + 1][index].option;
    index = reached[s + 1][index].parent;
  }
  return chosen;
}

Allocation allocation_of(const Stages& stages, std::vector<size_t> chosen) {
  Allocation result;
  double memory_cycles = 0;
  for (size_t s = 0; s < stages.size(); ++s) {
    const StageOption& option = stages[s][chosen[s]];
    result.interval = std::max(result.interval, option.cycles);
    memory_cycles += option.memory_cycles;
    result.energy_pj += option.energy_pj;
  }
  result.interval = std::max(result.interval, memory_cycles);
  result.chosen = std::move(chosen);
  return result;
}

/// Every value that the slowest stage can have, ascending.
std::vector<double> stage_cycles(const Stages& stages) {
  std::vector<double> all;
  for (const auto& stage : stages)
    for (const StageOption& option : stage) all.push_back(option.cycles);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

/// The least interval. With no stage slower than t, let m(t) be the least memory cycles: m falls as
/// t grows, and the interval is max(t, m(t)). It is least at the first t with m(t) <= t, or at m of
/// the value before that.
std::optional<double> least_interval(const Stages& stages, int64_t array, int64_t buffer) {
  const std::vector<double> values = stage_cycles(stages);
  const auto interval_within = [&](double t) {
    const auto chosen = best_choice(stages, {t, kInfinity, false}, array, buffer);
    return chosen ? std::optional(allocation_of(stages, *chosen).interval) : std::nullopt;
  };
  size_t low = 0, high = values.size();  // the first value with m(t) <= t is in [low, high]
  double best = kInfinity;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const auto interval = interval_within(values[middle]);
    if (interval) best = std::min(best, *interval);
    if (interval && *interval <= values[middle])
      high = middle;
    else
      low = middle + 1;
  }
  return best < kInfinity ? std::optional(best) : std::nullopt;
}

}  // namespace

std::optional<Allocation> allocate(const Stages& stages, int64_t array, int64_t buffer) {
  const std::optional<double> interval = least_interval(stages, array, buffer);
  if (!interval) return std::nullopt;
  const auto chosen = best_choice(stages, {*interval, *interval, true}, array, buffer);
  return allocation_of(stages, *chosen);
}

}  // namespace instantnet::mapper
