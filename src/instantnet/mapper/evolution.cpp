#include <algorithm>
#include <deque>
#include <utility>

#include "instantnet/mapper/climb.h"
#include "instantnet/mapper/engine.h"
#include "instantnet/mapper/threads.h"

namespace instantnet::mapper {

namespace {

/// Pools that evolve apart from each other, however many threads there are, so that their number
/// cannot change the result.
constexpr size_t kIslands = 4;
/// Evaluations of an island between two looks at the clock.
constexpr int64_t kRound = 8192;
/// Children in a row that do not improve a pool's best before it starts afresh.
constexpr int kPatience = 40;
/// Nests this much worse than the best, after a short climb, are not worth a long one.
constexpr double kNear = 1.1;

class Island {
 public:
  Island(const Task& task, size_t index)
      : task_(task),
        rng_(task.options.seed, index),
        climber_(task, rng_, best_.evaluations),
        size_(std::max<size_t>(2, static_cast<size_t>(task.options.pool) / kIslands)) {
    if (!task.start) return;
    Individual one{*task.start, {}};
    if (!climber_.repair(one)) return;
    best_.offer(one.nest, one.value);
    pool_.push_back(one);
  }

  /// Evolves until `limit` evaluations have been made; false when nothing fits.
  bool run(int64_t limit) {
    while (best_.evaluations < limit) {
      std::optional<Individual> one = pool_.size() < size_ ? climber_.grow() : child();
      if (!one) {
        if (pool_.empty()) return false;
        continue;
      }
      climber_.climb(*one, limit, false);
      if (!best_.nest || one->value.first < kNear * best_.value.first)
        climber_.climb(*one, limit, true);
      settle_in(*one);
    }
    return true;
  }

  const Best& best() const { return best_; }

  Island(const Island&) = delete;  // its climber refers to it
  Island& operator=(const Island&) = delete;

 private:
  const Individual& selected() {
    const Individual& a = pool_[rng_.below(pool_.size())];
    const Individual& b = pool_[rng_.below(pool_.size())];
    return b.value < a.value ? b : a;
  }

  /// Each loop's factors, each level's order and kept tensors from either parent.
  std::optional<Individual> child() {
    Individual one = selected();
    const Individual& other = selected();
    for (const Dim d : kAllDims) {
      if (rng_.flip()) continue;
      for (const Slot& slot : task_.space.slots())
        factor_at(one.nest, slot, d) = factor_at(other.nest, slot, d);
    }
    for (size_t level = 0; level < static_cast<size_t>(task_.space.levels()); ++level) {
      if (rng_.flip()) one.nest.order[level] = other.nest.order[level];
      if (rng_.flip()) one.nest.keeps[level] = other.nest.keeps[level];
    }
    const int changes = rng_.flip(task_.options.mutation) ? 1 + static_cast<int>(rng_.below(4)) : 0;
    if (!climber_.mutate(one, changes)) return std::nullopt;
    return one;
  }

  /// Into the pool, in place of the worst; a pool that has stopped improving starts afresh.
  void settle_in(const Individual& one) {
    best_.offer(one.nest, one.value);
    const auto same = [&](const Individual& other) { return other.value == one.value; };
    const bool known = std::any_of(pool_.begin(), pool_.end(), same);
    const auto order = [](const Individual& a, const Individual& b) { return a.value < b.value; };
    const bool leads = pool_.empty() || std::all_of(pool_.begin(), pool_.end(), [&](const auto& b) {
                         return one.value < b.value;
                       });
    if (pool_.size() < size_) {
      if (!known)
        pool_.push_back(one);
      else if (++idle_ > kPatience)
        restart();
      return;
    }
    const auto worst = std::max_element(pool_.begin(), pool_.end(), order);
    if (!known && one.value < worst->value) *worst = one;
    idle_ = leads ? 0 : idle_ + 1;
    if (idle_ > kPatience) restart();
  }

  void restart() {
    pool_.clear();
    idle_ = 0;
  }

  const Task& task_;
  Rng rng_;
  Best best_;
  Climber climber_;
  std::vector<Individual> pool_;
  size_t size_;
  int idle_ = 0;
};

}  // namespace

Best search_evolution(const Task& task) {
  std::deque<Island> islands;
  for (size_t i = 0; i < kIslands; ++i) islands.emplace_back(task, i);
  const Stop stop(task);
  Best best;
  const int64_t share = std::max<int64_t>(1, task.options.budget / static_cast<int64_t>(kIslands));
  for (int64_t limit = std::min(kRound, share);; limit = std::min(limit + kRound, share)) {
    std::vector<char> alive(kIslands);
    for_each_index(kIslands, task.options.threads,
                   [&](size_t i) { alive[i] = islands[i].run(limit) ? 1 : 0; });
    best.evaluations = 0;
    for (const Island& island : islands) {
      best.evaluations += island.best().evaluations;
      if (island.best().nest) best.offer(*island.best().nest, island.best().value);
    }
    if (limit == share || !best.nest || stop.now(best)) return best;
  }
}

}  // namespace instantnet::mapper
