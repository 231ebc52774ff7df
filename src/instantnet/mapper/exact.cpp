#include "instantnet/mapper/exact.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "instantnet/core/error.h"
#include "instantnet/mapper/exact_branch.h"

namespace instantnet::mapper {

namespace {

using namespace exact;

constexpr unsigned kKeepsAll = 7;
/// More multiply-accumulates may move more elements than the cost model can count exactly.
constexpr int64_t kLargestMacs = int64_t{1} << 48;

const LevelConstraint* constraint_of(const Constraints& constraints, const StorageLevel& level) {
  for (const LevelConstraint& one : constraints.levels)
    if (one.level == level.name) return &one;
  return nullptr;
}

std::optional<int64_t> factor_of(const std::vector<Loop>& loops, Dim d) {
  for (const Loop& loop : loops)
    if (loop.dim == d) return loop.bound;
  return std::nullopt;
}

/// The level whose children are the multipliers' register files.
const StorageLevel& array_level(const Accelerator& device) {
  return device.levels[device.levels.size() - 2];
}

DimLimits limits_of(Dim d, bool perfect, const Accelerator& device,
                    const Constraints& constraints) {
  DimLimits limits;
  limits.perfect = perfect;
  const StorageLevel& array = array_level(device);
  limits.largest_spread = array.fanout_x * array.fanout_y;
  limits.may_loop = device.levels.size() == 3;
  if (const LevelConstraint* one = constraint_of(constraints, array)) {
    limits.array = factor_of(one->spatial, d);
    if (one->spatial_dims)
      limits.may_spread = std::count(one->spatial_dims->begin(), one->spatial_dims->end(), d) > 0;
    const int64_t most = factor_of(one->spatial_most, d).value_or(limits.largest_spread);
    limits.largest_spread = std::min(limits.largest_spread, most);
  }
  if (const LevelConstraint* one = constraint_of(constraints, device.levels.front()))
    limits.outermost = factor_of(one->temporal, d);
  if (const LevelConstraint* one = constraint_of(constraints, device.levels.back()))
    limits.registers = factor_of(one->temporal, d);
  if (device.levels.size() == 3)
    if (const LevelConstraint* one = constraint_of(constraints, device.levels[1]))
      limits.buffer = factor_of(one->temporal, d);
  return limits;
}

exact::Space space_of(const PerDim& bounds, Factors factors, const Accelerator& device,
                      const Constraints& constraints) {
  exact::Space space;
  for (const Dim d : kAllDims) {
    const bool perfect = factors == Factors::Perfect || d == Dim::R || d == Dim::S;
    space[at(d)] = make_dim_space(bounds[at(d)], limits_of(d, perfect, device, constraints));
  }
  return space;
}

std::vector<Dim> innermost_dims(const StorageLevel& level, const Constraints& constraints) {
  std::vector<Dim> dims;
  if (const LevelConstraint* one = constraint_of(constraints, level)) dims = one->order;
  std::reverse(dims.begin(), dims.end());
  return dims;
}

InnerLoops inner_loops(const Accelerator& device, const Constraints& constraints) {
  InnerLoops inner;
  inner.dram = innermost_dims(device.levels.front(), constraints);
  if (device.levels.size() == 3) inner.buffer = innermost_dims(device.levels[1], constraints);
  return inner;
}

/// What the buffer may keep, as bits; the most first.
std::vector<unsigned> keep_masks(const Accelerator& device, const Constraints& constraints) {
  if (device.levels.size() == 2) return {0};
  const StorageLevel& buffer = device.levels[1];
  const LevelConstraint* one = constraint_of(constraints, buffer);
  std::vector<unsigned> masks;
  for (unsigned mask = kKeepsAll + 1; mask-- > 0;) {
    bool allowed = true;
    for (const Tensor t : kAllTensors) {
      const bool kept = (mask >> at(t) & 1) != 0;
      const std::optional<bool> wanted = one ? one->keeps[t] : std::nullopt;
      allowed = allowed && wanted.value_or(kept) == kept &&
                buffer.keep[t] != (kept ? Keep::Never : Keep::Always);
    }
    if (allowed) masks.push_back(mask);
  }
  return masks;
}

/// One space, with everything that does not depend on bit-widths.
struct Ground {
  Ground(const LayerFacts& facts, Factors factors, const Accelerator& device,
         const Constraints& constraints)
      : space(space_of(facts.bounds, factors, device, constraints)),
        groups(make_group_tiles(facts, space,
                                array_level(device).fanout_x * array_level(device).fanout_y)) {}
  exact::Space space;
  GroupTiles groups;
};

/// A mapping of the space, and what the buffer keeps in it.
struct Candidate {
  Best best;
  unsigned keeps = kKeepsAll;
};

/// Searches for one layer on one device.
class Solver {
 public:
  Solver(const LayerShape& layer, const Accelerator& device, const Constraints& constraints,
         const SearchOptions& options)
      : device_(device),
        constraints_(constraints),
        options_(options),
        facts_(facts_of(layer)),
        inner_(inner_loops(device, constraints)),
        masks_(keep_masks(device, constraints)) {
    check(constraints, device);
    if (const auto reason = exact_refuses(layer, device, constraints))
      fail("exact search", *reason);
  }

  /// `start`: a mapping to improve on, from another bit-width; afterwards the one that was found.
  std::variant<Found, Misfit> solve(Precision precision, double most_cycles, const Watch& watch,
                                    std::optional<Candidate>& start);

 private:
  const Ground& ground(Factors factors);
  Value pass(Factors factors, Precision precision, const Goal& goal, Clock& clock,
             Candidate& candidate);
  Candidate started(Precision precision, const Goal& goal,
                    const std::optional<Candidate>& start) const;
  Nest nest_of(const Candidate& candidate) const;
  std::variant<Found, Misfit> found(Precision precision, const Goal& goal,
                                    const Candidate& candidate) const;

  const Accelerator& device_;
  const Constraints& constraints_;
  const SearchOptions& options_;
  LayerFacts facts_;
  InnerLoops inner_;
  std::vector<unsigned> masks_;
  std::optional<Ground> perfect_, any_;
  TablePool pool_;
};

const Ground& Solver::ground(Factors factors) {
  std::optional<Ground>& one = factors == Factors::Perfect ? perfect_ : any_;
  if (!one) one.emplace(facts_, factors, device_, constraints_);
  return *one;
}

/// All masks of one space. What no mapping is less than.
Value Solver::pass(Factors factors, Precision precision, const Goal& goal, Clock& clock,
                   Candidate& candidate) {
  const Ground& on = ground(factors);
  const StorageLevel& array = array_level(device_);
  const Branches branches{facts_,         on.space,       on.groups, inner_,
                          array.fanout_x, array.fanout_y, pool_};
  Value least{kInfinity, kInfinity};
  for (const unsigned mask : masks_) {
    const Form form = make_form(facts_.layer, precision, device_, mask);
    const Value before = candidate.best.value;
    const Value bound = search_space(branches, form, goal, clock, candidate.best);
    if (less(candidate.best.value, before)) candidate.keeps = mask;
    if (less(bound, least)) least = bound;
  }
  return less(candidate.best.value, least) ? candidate.best.value : least;
}

Nest Solver::nest_of(const Candidate& candidate) const {
  const Chain& chain = candidate.best.choice.chain;
  const int levels = static_cast<int>(device_.levels.size()), last = levels - 1;
  Nest nest = empty_nest(levels);
  const auto order = [&](int level, const LoopOrder& innermost_first) {
    std::copy(innermost_first.rbegin(), innermost_first.rend(), nest.order[level].begin());
  };
  for (size_t d = 0; d < kDims; ++d) {
    nest.temporal[0][d] = static_cast<int32_t>(chain.buffer_count[d]);
    nest.spatial[last - 1][d] = static_cast<int32_t>(chain.spread[d]);
    nest.temporal[last][d] = static_cast<int32_t>(chain.registers[d]);
    if (levels == 3) nest.temporal[1][d] = static_cast<int32_t>(chain.loops[d]);
  }
  order(0, candidate.best.choice.dram);
  order(last, order_of(kOrderClasses[0], innermost_dims(device_.levels.back(), constraints_)));
  if (levels == 3) {
    order(1, candidate.best.choice.buffer);
    nest.keeps[1] = static_cast<uint8_t>(candidate.keeps);
  }
  return nest;
}

Candidate Solver::started(Precision precision, const Goal& goal,
                          const std::optional<Candidate>& start) const {
  if (!start) return {};
  Candidate candidate = *start;
  candidate.best.evaluations = 0;
  Score score;
  if (!Evaluator(facts_.layer, precision, device_).score(nest_of(candidate), score)) return {};
  candidate.best.value = goal.value(score.energy_pj - goal.static_pj * score.cycles, score.cycles);
  return candidate.best.value.first < kInfinity ? candidate : Candidate{};
}

/// The mapping, priced by the general cost model, which must agree.
std::variant<Found, Misfit> Solver::found(Precision precision, const Goal& goal,
                                          const Candidate& candidate) const {
  Found found;
  found.mapping = to_mapping(nest_of(candidate), device_);
  const auto cost = evaluate(facts_.layer, precision, device_, found.mapping);
  if (const Misfit* misfit = std::get_if<Misfit>(&cost)) {
    if (facts_.layer.macs() > kLargestMacs) return *misfit;
    bug("the exact search found a mapping that does not fit: " + misfit->why);
  }
  found.cost = std::get<Cost>(cost);
  const Value value = value_of(goal.objective, {found.cost.energy_pj, found.cost.cycles});
  const Value& expected = candidate.best.value;
  const auto same = [](double a, double b) { return std::abs(a - b) <= 1e-9 * std::abs(b); };
  if (!same(value.first, expected.first) || !same(value.second, expected.second))
    bug(fmt::format("the exact search expected ({}, {}), the cost model says ({}, {}).",
                    expected.first, expected.second, value.first, value.second));
  found.evaluations = candidate.best.evaluations;
  return found;
}

std::variant<Found, Misfit> Solver::solve(Precision precision, double most_cycles,
                                          const Watch& watch, std::optional<Candidate>& start) {
  if (auto misfit = smallest_misfit(facts_.layer, precision, device_)) return *misfit;
  Clock clock(options_.time_limit_s, watch);
  const Goal goal{options_.objective, device_.static_mw / device_.clock_mhz * 1000, most_cycles};
  Candidate candidate = started(precision, goal, start);
  Value bound{};
  // A mapping with perfect factors is found in no time, and often close to the best.
  if (options_.factors == Factors::Perfect || !candidate.best.found)
    bound = pass(Factors::Perfect, precision, goal, clock, candidate);
  if (options_.factors == Factors::Any)
    bound = pass(Factors::Any, precision, goal, clock, candidate);
  if (!candidate.best.found) return Misfit{"No mapping keeps the constraints and fits the device."};
  auto priced = found(precision, goal, candidate);
  if (std::holds_alternative<Misfit>(priced)) return priced;
  Found& result = std::get<Found>(priced);
  const Value value = value_of(goal.objective, {result.cost.energy_pj, result.cost.cycles});
  result.certified = !clock.ended();
  result.lower_bound = result.certified ? value.first : std::min(bound.first, value.first);
  result.seconds = clock.seconds();
  start = std::move(candidate);
  return priced;
}

}  // namespace

std::optional<std::string> exact_refuses(const LayerShape& layer, const Accelerator& device,
                                         const Constraints& constraints) {
  const size_t levels = device.levels.size();
  if (levels != 2 && levels != 3)
    return fmt::format("{} has {} storage levels; it covers two or three.", device.name, levels);
  for (size_t l = 0; l < levels; ++l) {
    const StorageLevel& level = device.levels[l];
    if (l + 2 != levels && level.fanout_x * level.fanout_y > 1)
      return fmt::format("{} has fan-out below {}; it covers one array, above the innermost level.",
                         device.name, level.name);
  }
  const StorageLevel& registers = device.levels.back();
  const LevelConstraint* wanted = constraint_of(constraints, registers);
  for (const Tensor t : kAllTensors) {
    const bool kept = registers.keep[t] == Keep::Always || (wanted && wanted->keeps[t] == true);
    if (!kept)
      return fmt::format("{} may bypass {}; it covers devices whose innermost level keeps all.",
                         to_string(t), registers.name);
  }
  const PerDim bounds = bounds_of(layer);
  for (const LevelConstraint& one : constraints.levels)
    for (const auto* loops : {&one.temporal, &one.spatial})
      for (const Loop& loop : *loops)
        if (loop.bound > bounds[at(loop.dim)])
          return fmt::format(
              "a constraint fixes {}{} at {}, the layer has only {}; it does not "
              "cover idle loops.",
              to_string(loop.dim), loop.bound, one.level, bounds[at(loop.dim)]);
  return std::nullopt;
}

std::variant<Found, Misfit> search_exact(const LayerShape& layer, Precision precision,
                                         const Accelerator& device, const Constraints& constraints,
                                         const SearchOptions& options, const Watch& watch) {
  std::optional<Candidate> start;
  return Solver(layer, device, constraints, options).solve(precision, kInfinity, watch, start);
}

std::vector<std::variant<Found, Misfit>> search_exact_all(
    const LayerShape& layer, const std::vector<Precision>& precisions, const Accelerator& device,
    const Constraints& constraints, const SearchOptions& options, const Watch& watch) {
  std::vector<size_t> order(precisions.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto width = [&](size_t i) { return precisions[i].weight + precisions[i].activation; };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return width(a) > width(b); });
  Solver solver(layer, device, constraints, options);
  std::optional<Candidate> start;
  std::vector<std::variant<Found, Misfit>> results(precisions.size());
  for (const size_t i : order) results[i] = solver.solve(precisions[i], kInfinity, watch, start);
  return results;
}

std::vector<Found> exact_front(const LayerShape& layer, Precision precision,
                               const Accelerator& device, const Constraints& constraints,
                               const SearchOptions& options) {
  SearchOptions energy = options;
  energy.objective = Objective::Energy;
  Solver solver(layer, device, constraints, energy);
  std::vector<Found> front;
  for (double most_cycles = kInfinity;;) {
    std::optional<Candidate> start;
    auto result = solver.solve(precision, most_cycles, {}, start);
    if (!std::holds_alternative<Found>(result)) return front;
    front.push_back(std::move(std::get<Found>(result)));
    most_cycles = front.back().cost.cycles - 1;
  }
}

}  // namespace instantnet::mapper
