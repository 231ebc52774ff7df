#include "instantnet/mapper/allocation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace instantnet::mapper {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Sums in another order may differ so much.
constexpr double kRounding = 1e-11;

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

  /// False when a pair here is no larger in both: nothing changes.
  bool insert(double memory, double energy) {
    if (dominates(memory, energy)) return false;
    auto first =
        std::lower_bound(steps_.begin(), steps_.end(), memory,
                         [](const Step& step, double value) { return step.memory < value; });
    auto last = first;
    while (last != steps_.end() && last->energy >= energy) ++last;
    steps_.insert(steps_.erase(first, last), {memory, energy});
    return true;
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
      if (!by_buffer[b].insert(state.memory_cycles, state.energy_pj)) break;
    kept.push_back(state);
  }
  return kept;
}

/// What counts besides array and buffer units.
enum class Goal { Fit, Memory, Energy };

/// What is asked of the dynamic program: any choice that fits, the one of least memory cycles or
/// the one of least energy.
struct Question {
  Goal goal = Goal::Fit;
  double cycles = kInfinity;         // no option slower than this
  double memory_cycles = kInfinity;  // of all stages together; not asked when any choice will do
};

/// The options that answer the question, with their index.
std::vector<State> usable(const std::vector<StageOption>& options, const Question& question,
                          int64_t array, int64_t buffer) {
  std::vector<State> states;
  for (size_t i = 0; i < options.size(); ++i) {
    const StageOption& option = options[i];
    if (option.cycles > question.cycles || option.array > array || option.buffer > buffer) continue;
    states.push_back(
        {option.array, option.buffer, question.goal == Goal::Fit ? 0 : option.memory_cycles,
         question.goal == Goal::Energy ? option.energy_pj : 0, 0, static_cast<uint32_t>(i)});
  }
  return undominated(std::move(states), buffer);
}

/// Prices of a unit in memory cycles. By Lagrange, whatever they are, no choice that fits has fewer
/// memory cycles than the sum over stages of the least (memory cycles + price of the units), minus
/// the price of all units there are.
struct Prices {
  double array = 0, buffer = 0;

  double of(const State& state) const {
    return state.memory_cycles + array * static_cast<double>(state.array) +
           buffer * static_cast<double>(state.buffer);
  }
};

double least_priced(const std::vector<State>& options, const Prices& prices) {
  double least = kInfinity;
  for (const State& option : options) least = std::min(least, prices.of(option));
  return least;
}

double bound_with(const std::vector<std::vector<State>>& options, const Prices& prices,
                  const State& there_is) {
  double bound = -prices.of(there_is);
  for (const auto& stage : options) bound += least_priced(stage, prices);
  return bound;
}

/// The maximum of a concave function over [0, most], by golden sections.
template <class F>
double highest(double most, const F& f) {
  constexpr double kSection = 0.6180339887498949;
  double low = 0, high = most;
  double left = high - kSection * (high - low), right = low + kSection * (high - low);
  double at_left = f(left), at_right = f(right);
  for (int i = 0; i < 25; ++i) {
    if (at_left < at_right) {
      low = left, left = right, at_left = at_right;
      right = low + kSection * (high - low), at_right = f(right);
    } else {
      high = right, right = left, at_right = at_left;
      left = high - kSection * (high - low), at_left = f(left);
    }
  }
  return (low + high) / 2;
}

/// Prices with a high bound.
Prices good_prices(const std::vector<std::vector<State>>& options, const State& there_is) {
  double most = 0;
  for (const auto& stage : options)
    for (const State& option : stage) most = std::max(most, option.memory_cycles);
  const auto buffer_price = [&](double array) {
    return highest(most, [&](double buffer) {
      return bound_with(options, {array, buffer}, there_is);
    });
  };
  Prices best;
  best.array = highest(most, [&](double array) {
    return bound_with(options, {array, buffer_price(array)}, there_is);
  });
  best.buffer = buffer_price(best.array);
  return best;
}

/// What the stages from each index on take at least.
struct Rest {
  int64_t array = 0, buffer = 0;
  double priced = 0;
};

std::vector<Rest> rests(const std::vector<std::vector<State>>& options, const Prices& prices) {
  std::vector<Rest> rest(options.size() + 1);
  for (size_t s = options.size(); s-- > 0;) {
    Rest least{std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max()};
    for (const State& option : options[s]) {
      least.array = std::min(least.array, option.array);
      least.buffer = std::min(least.buffer, option.buffer);
    }
    rest[s] = {rest[s + 1].array + least.array, rest[s + 1].buffer + least.buffer,
               rest[s + 1].priced + least_priced(options[s], prices)};
  }
  return rest;
}

/// The states of the next stage: those before with each option, but for those that cannot become
/// an answer.
struct Limits {
  State there_is;  // units
  double memory_cycles = kInfinity;
  Prices prices;
};

std::vector<State> extended(const std::vector<State>& before, const std::vector<State>& options,
                            const Rest& rest, const Limits& limits) {
  const double most_priced = limits.memory_cycles + limits.prices.of(limits.there_is) - rest.priced;
  const double forgiven = kRounding * (limits.memory_cycles + limits.prices.of(limits.there_is));
  std::vector<State> next;
  for (size_t from = 0; from < before.size(); ++from)
    for (const State& option : options) {
      State sum = before[from];
      sum.array += option.array, sum.buffer += option.buffer;
      sum.memory_cycles += option.memory_cycles, sum.energy_pj += option.energy_pj;
      sum.parent = static_cast<uint32_t>(from), sum.option = option.option;
      if (sum.array + rest.array > limits.there_is.array ||
          sum.buffer + rest.buffer > limits.there_is.buffer ||
          limits.prices.of(sum) > most_priced + forgiven)
        continue;
      next.push_back(sum);
    }
  return undominated(std::move(next), limits.there_is.buffer);
}

/// The best choice, or nothing. Sums are formed in the order of the stages.
std::optional<std::vector<size_t>> best_choice(const Stages& stages, const Question& question,
                                               int64_t array, int64_t buffer) {
  std::vector<std::vector<State>> options;
  for (const auto& stage : stages) {
    options.push_back(usable(stage, question, array, buffer));
    if (options.back().empty()) return std::nullopt;
  }
  Limits limits;
  limits.there_is.array = array, limits.there_is.buffer = buffer;
  limits.memory_cycles = question.memory_cycles;
  if (question.goal == Goal::Memory) limits.prices = good_prices(options, limits.there_is);
  const std::vector<Rest> rest = rests(options, limits.prices);
  std::vector<std::vector<State>> reached = {{State{}}};
  for (size_t s = 0; s < stages.size(); ++s) {
    reached.push_back(extended(reached[s], options[s], rest[s + 1], limits));
    if (reached.back().empty()) return std::nullopt;
  }
  const auto& ends = reached.back();
  const auto better = [&](const State& a, const State& b) {
    return question.goal == Goal::Energy ? a.energy_pj < b.energy_pj
                                         : a.memory_cycles < b.memory_cycles;
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

/// Only the options of each stage that take the least memory cycles among those not slower than t.
Stages least_memory(const Stages& stages, double t) {
  Stages all(stages.size());
  for (size_t s = 0; s < stages.size(); ++s) {
    double least = kInfinity;
    for (const StageOption& option : stages[s])
      if (option.cycles <= t) least = std::min(least, option.memory_cycles);
    for (StageOption option : stages[s]) {
      // Indices stay: what must not be chosen is slower than anything asked for.
      if (option.memory_cycles > least) option.cycles = kInfinity;
      all[s].push_back(option);
    }
  }
  return all;
}

/// Looks for the least interval. With no stage slower than t, let m(t) be the least memory cycles:
/// m falls as t grows, and the interval is max(t, m(t)). It is least at the first t with m(t) <= t,
/// or at m of the value before that.
class IntervalSearch {
 public:
  IntervalSearch(const Stages& stages, int64_t array, int64_t buffer)
      : stages_(stages), array_(array), buffer_(buffer), values_(stage_cycles(stages)) {}

  /// The first t is not below `at_least`; it is looked for from there on in growing steps, then
  /// between the last two.
  std::optional<Allocation> run(double at_least) {
    size_t low = static_cast<size_t>(std::lower_bound(values_.begin(), values_.end(), at_least) -
                                     values_.begin());
    if (low > 0) --low;  // its m may be the interval
    size_t high = low;
    for (size_t step = 1; high < values_.size() && !reached(high); step *= 2) {
      low = high + 1;
      high += step;
    }
    high = std::min(high, values_.size());
    while (low < high) {
      const size_t middle = (low + high) / 2;
      if (reached(middle))
        high = middle;
      else
        low = middle + 1;
    }
    return best_;
  }

 private:
  /// Whether m(t) <= t. Takes note of max(t, m(t)) where that may be the least interval. Choices
  /// that fit without regard to the memory, or with the least memory of each stage, are tried
  /// first: most often they decide.
  bool reached(size_t index) {
    const double t = values_[index];
    const auto any = best_choice(stages_, {Goal::Fit, t}, array_, buffer_);
    if (!any) return false;
    if (note(*any) <= t) return true;
    const auto frugal = best_choice(least_memory(stages_, t), {Goal::Fit, t}, array_, buffer_);
    if (frugal) return note(*frugal) <= t;
    const double worth = std::max(t, best_->interval);
    const auto exact = best_choice(stages_, {Goal::Memory, t, worth}, array_, buffer_);
    return exact && note(*exact) <= t;
  }

  double note(const std::vector<size_t>& chosen) {
    Allocation now = allocation_of(stages_, chosen);
    const double interval = now.interval;
    if (!best_ || interval < best_->interval) best_ = std::move(now);
    return interval;
  }

  const Stages& stages_;
  int64_t array_, buffer_;
  std::vector<double> values_;
  std::optional<Allocation> best_;
};

}  // namespace

std::optional<Allocation> fastest(const Stages& stages, int64_t array, int64_t buffer,
                                  double at_least) {
  return IntervalSearch(stages, array, buffer).run(at_least);
}

std::optional<Allocation> most_frugal(const Stages& stages, int64_t array, int64_t buffer,
                                      double interval) {
  const auto chosen = best_choice(stages, {Goal::Energy, interval, interval}, array, buffer);
  return chosen ? std::optional(allocation_of(stages, *chosen)) : std::nullopt;
}

std::optional<Allocation> allocate(const Stages& stages, int64_t array, int64_t buffer) {
  const auto least = fastest(stages, array, buffer);
  return least ? most_frugal(stages, array, buffer, least->interval) : std::nullopt;
}

}  // namespace instantnet::mapper
