#include "instantnet/mapper/climb.h"

#include <algorithm>
#include <utility>

namespace instantnet::mapper {

namespace {

/// Splits tried in one loop at once: all of common layers; of very long loops evenly chosen ones.
constexpr size_t kMostSplits = 64;
constexpr int kGrowths = 40;
constexpr int kRepairs = 60;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

template <class T>
void shuffle(std::vector<T>& all, Rng& rng) {
  for (size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[rng.below(i)]);
}

}  // namespace

Climber::Climber(const Task& task, Rng& rng, int64_t& evaluations)
    : task_(task), rng_(rng), evaluations_(evaluations), free_(kDims) {
  for (const Dim d : kAllDims) {
    if (task.space.bounds()[at(d)] == 1) continue;
    for (size_t i = 0; i < task.space.slots().size(); ++i)
      if (task.space.fixed(i, d) == 0 && task.space.most(i, d) > 1) free_[at(d)].push_back(i);
    if (free_[at(d)].size() > 1) dims_.push_back(d);
  }
}

Climber::Split Climber::split(const Nest& nest, Dim d, size_t inner, size_t outer) const {
  const Space& space = task_.space;
  int64_t left = space.bounds()[at(d)];
  for (size_t i = 0; i < space.slots().size(); ++i)
    if (i != inner && i != outer) left = ceil_div(left, factor_at(nest, space.slots()[i], d));
  Split all;
  std::vector<int64_t> choices = space.choices(inner, d, left);
  const size_t stride = ceil_div(static_cast<int64_t>(choices.size()), kMostSplits);
  for (size_t i = 0; i < choices.size(); i += stride) {
    const int64_t rest = ceil_div(left, choices[i]);
    if (rest > space.most(outer, d)) continue;
    all.inner.push_back(choices[i]);
    all.outer.push_back(rest);
    if (choices[i] <= factor_at(nest, space.slots()[inner], d)) all.current = all.inner.size() - 1;
  }
  return all;
}

bool Climber::accept(Individual& one, const Nest& candidate) {
  const std::optional<Value> value = value_of(task_, candidate, evaluations_);
  if (!value || !(*value < one.value)) return false;
  one = {candidate, *value};
  return true;
}

bool Climber::better_factors(Individual& one, Dim d) {
  const std::vector<size_t>& free = free_[at(d)];
  const Nest from = one.nest;
  bool better = false;
  for (size_t i = 0; i < free.size(); ++i)
    for (size_t j = i + 1; j < free.size(); ++j) {
      const Split all = split(from, d, free[i], free[j]);
      for (size_t k = 0; k < all.inner.size(); ++k) {
        Nest candidate = from;
        factor_at(candidate, task_.space.slots()[free[i]], d) = static_cast<int32_t>(all.inner[k]);
        factor_at(candidate, task_.space.slots()[free[j]], d) = static_cast<int32_t>(all.outer[k]);
        if (task_.space.settle(d, candidate)) better |= accept(one, candidate);
      }
    }
  return better;
}

bool Climber::better_orders(Individual& one) {
  bool better = false;
  for (int level = task_.space.levels() - 2; level >= 0; --level) {
    Nest candidate = one.nest;
    for (const Order& order : task_.space.orders(level)) {
      candidate.order[static_cast<size_t>(level)] = order;
      better |= accept(one, candidate);
    }
  }
  return better;
}

bool Climber::better_keeps(Individual& one) {
  bool better = false;
  for (int level = 0; level < task_.space.levels(); ++level) {
    if (task_.space.keeps(level).size() == 1) continue;
    Nest candidate = one.nest;
    for (const uint8_t mask : task_.space.keeps(level)) {
      candidate.keeps[static_cast<size_t>(level)] = mask;
      better |= accept(one, candidate);
    }
  }
  return better;
}

bool Climber::better_trade(Individual& one, Dim up, Dim down, int64_t limit) {
  const std::vector<Slot>& slots = task_.space.slots();
  const auto set = [&](Nest& nest, Dim d, size_t inner, size_t outer, const Split& all, size_t k) {
    factor_at(nest, slots[inner], d) = static_cast<int32_t>(all.inner[k]);
    factor_at(nest, slots[outer], d) = static_cast<int32_t>(all.outer[k]);
    return task_.space.settle(d, nest);
  };
  for (const size_t i : free_[at(up)])
    for (const size_t j : free_[at(up)]) {
      if (j <= i) continue;
      const Split grown = split(one.nest, up, i, j);
      for (const size_t m : free_[at(down)])
        for (const size_t n : free_[at(down)]) {
          if (n <= m || (m != i && m != j && n != i && n != j)) continue;
          const Split shrunk = split(one.nest, down, m, n);
          for (size_t a = 1; a <= 2 && grown.current + a < grown.inner.size(); ++a)
            for (size_t b = 1; b <= 2 && b <= shrunk.current; ++b) {
              Nest candidate = one.nest;
              if (set(candidate, up, i, j, grown, grown.current + a) &&
                  set(candidate, down, m, n, shrunk, shrunk.current - b) && accept(one, candidate))
                return true;
              if (evaluations_ >= limit) return false;
            }
        }
    }
  return false;
}

bool Climber::better_trades(Individual& one, int64_t limit) {
  std::vector<std::pair<Dim, Dim>> pairs;
  for (const Dim a : dims_)
    for (const Dim b : dims_)
      if (a != b) pairs.emplace_back(a, b);
  shuffle(pairs, rng_);
  for (const auto& [up, down] : pairs)
    if (better_trade(one, up, down, limit)) return true;
  return false;
}

void Climber::climb(Individual& one, int64_t limit, bool trades) {
  std::vector<Dim> dims = dims_;
  bool better = true;
  while (better && evaluations_ < limit) {
    better = false;
    shuffle(dims, rng_);
    for (const Dim d : dims)
      if (evaluations_ < limit) better |= better_factors(one, d);
    better |= better_orders(one);
    better |= better_keeps(one);
    if (!better && trades && evaluations_ < limit) better = better_trades(one, limit);
  }
}

void Climber::change(Nest& nest) {
  const Space& space = task_.space;
  const auto level = static_cast<size_t>(rng_.below(static_cast<uint64_t>(space.levels())));
  const auto kind = rng_.below(8);
  if (kind == 0 && space.keeps(static_cast<int>(level)).size() > 1) {
    const auto& masks = space.keeps(static_cast<int>(level));
    nest.keeps[level] = masks[rng_.below(masks.size())];
  } else if (kind <= 2 || dims_.empty()) {
    const auto& orders = space.orders(static_cast<int>(level));
    nest.order[level] = orders[rng_.below(orders.size())];
  } else {
    const Dim d = dims_[rng_.below(dims_.size())];
    const std::vector<size_t>& free = free_[at(d)];
    size_t i = free[rng_.below(free.size())], j = free[rng_.below(free.size())];
    if (i == j) return;
    if (i > j) std::swap(i, j);
    const Split all = split(nest, d, i, j);
    if (all.inner.empty()) return;
    const size_t k = rng_.below(all.inner.size());
    Nest candidate = nest;
    factor_at(candidate, space.slots()[i], d) = static_cast<int32_t>(all.inner[k]);
    factor_at(candidate, space.slots()[j], d) = static_cast<int32_t>(all.outer[k]);
    if (space.settle(d, candidate)) nest = candidate;
  }
}

bool Climber::repair(Individual& one) {
  for (int i = 0; i < kRepairs; ++i) {
    if (const std::optional<Value> value = value_of(task_, one.nest, evaluations_)) {
      one.value = *value;
      return true;
    }
    if (dims_.empty()) return false;
    const Dim d = dims_[rng_.below(dims_.size())];
    const size_t slot = free_[at(d)][rng_.below(free_[at(d)].size())];
    int32_t& factor = factor_at(one.nest, task_.space.slots()[slot], d);
    if (slot == task_.space.sink(d) || factor == 1) continue;
    const std::vector<int64_t> choices = task_.space.choices(slot, d, factor);
    factor = static_cast<int32_t>(choices[rng_.below(choices.size())]);
    task_.space.settle(d, one.nest);
  }
  return false;
}

bool Climber::mutate(Individual& one, int changes) {
  for (int i = 0; i < changes; ++i) change(one.nest);
  return repair(one);
}

std::optional<Individual> Climber::grow() {
  const Space& space = task_.space;
  const std::variant<Nest, Misfit> smallest = space.smallest();
  if (!std::holds_alternative<Nest>(smallest)) return std::nullopt;
  Individual one{std::get<Nest>(smallest), {}};
  const std::optional<Value> value = value_of(task_, one.nest, evaluations_);
  if (!value) return std::nullopt;
  one.value = *value;
  const auto keep_if_it_fits = [&](const Nest& candidate) {
    if (const auto its_value = value_of(task_, candidate, evaluations_))
      one = {candidate, *its_value};
  };
  Nest candidate = one.nest;
  for (int level = 0; level < space.levels(); ++level) {
    const auto i = static_cast<size_t>(level);
    candidate.order[i] = space.orders(level)[rng_.below(space.orders(level).size())];
    candidate.keeps[i] = space.keeps(level)[rng_.below(space.keeps(level).size())];
  }
  keep_if_it_fits(candidate);
  for (int i = 0; i < kGrowths && !dims_.empty(); ++i) {
    const Dim d = dims_[rng_.below(dims_.size())];
    const size_t slot = free_[at(d)][rng_.below(free_[at(d)].size())];
    if (slot == space.sink(d)) continue;
    const std::vector<int64_t> choices = space.choices(slot, d, space.bounds()[at(d)]);
    candidate = one.nest;
    factor_at(candidate, space.slots()[slot], d) =
        static_cast<int32_t>(choices[rng_.below(choices.size())]);
    if (space.settle(d, candidate)) keep_if_it_fits(candidate);
  }
  return one;
}

}  // namespace instantnet::mapper
