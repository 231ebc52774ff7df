#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "instantnet/core/error.h"
#include "instantnet/mapper/engine.h"

namespace instantnet::mapper {

namespace {

/// About a minute on one core.
constexpr double kMostMappings = 2e8;
constexpr int64_t kBetweenLooks = 1 << 18;

/// Walks the whole space: kept tensors, factors loop by loop, then permutations level by level.
class Walk {
 public:
  explicit Walk(const Task& task) : task_(task), stop_(task) {
    for (const Dim d : kAllDims)
      if (task.space.bounds()[at(d)] > 1) dims_.push_back(d);
  }

  Best run() {
    const std::variant<Nest, Misfit> smallest = task_.space.smallest();
    if (!std::holds_alternative<Nest>(smallest)) return best_;
    nest_ = std::get<Nest>(smallest);
    keeps(0);
    best_.complete = !stopped_;
    return best_;
  }

 private:
  const Space& space() const { return task_.space; }

  void keeps(int level) {
    if (level == space().levels()) return factors(0);
    for (const uint8_t mask : space().keeps(level)) {
      nest_.keeps[static_cast<size_t>(level)] = mask;
      keeps(level + 1);
    }
  }

  void factors(size_t loop) {
    if (loop == dims_.size()) return orders(0);
    chain(loop, 0, space().bounds()[at(dims_[loop])]);
  }

  /// All factors of one loop from a slot on, `left` steps still to be covered.
  void chain(size_t loop, size_t slot, int64_t left) {
    if (stopped_) return;
    const Dim d = dims_[loop];
    if (slot == space().slots().size()) {
      if (left == 1) factors(loop + 1);
      return;
    }
    int32_t& factor = factor_at(nest_, space().slots()[slot], d);
    const int32_t before = factor;
    const auto take = [&](int64_t f) {
      factor = static_cast<int32_t>(f);
      chain(loop, slot + 1, (left + f - 1) / f);
    };
    if (space().fixed(slot, d) > 0) {
      if (!space().divides(d) || left % space().fixed(slot, d) == 0) take(space().fixed(slot, d));
    } else if (slot + 1 == space().slots().size()) {
      take(left);
    } else {
      for (const int64_t f : space().choices(slot, d, left)) take(f);
    }
    factor = before;
  }

  void orders(int level) {
    if (level + 1 >= space().levels()) return evaluate();
    const auto i = static_cast<size_t>(level);
    std::vector<Dim> loops;
    for (const Dim d : kAllDims)
      if (nest_.temporal[i][at(d)] > 1) loops.push_back(d);
    const std::vector<Dim>& inner = space().fixed_order(level);
    std::erase_if(loops, [&](Dim d) { return std::count(inner.begin(), inner.end(), d) > 0; });
    std::sort(loops.begin(), loops.end());
    const Order before = nest_.order[i];
    do {
      size_t place = kDims;
      const auto put = [&](Dim d) { nest_.order[i][--place] = d; };
      for (auto d = inner.rbegin(); d != inner.rend(); ++d) put(*d);
      for (auto d = loops.rbegin(); d != loops.rend(); ++d) put(*d);
      for (const Dim d : kAllDims)
        if (!std::count(inner.begin(), inner.end(), d) &&
            !std::count(loops.begin(), loops.end(), d))
          put(d);
      orders(level + 1);
    } while (!stopped_ && std::next_permutation(loops.begin(), loops.end()));
    nest_.order[i] = before;
  }

  void evaluate() {
    if (const auto value = value_of(task_, nest_, best_.evaluations)) best_.offer(nest_, *value);
    if (best_.evaluations % kBetweenLooks == 0) stopped_ = stop_.now(best_);
  }

  const Task& task_;
  const Stop stop_;
  std::vector<Dim> dims_;
  Nest nest_;
  Best best_;
  bool stopped_ = false;
};

}  // namespace

Best search_exhaustive(const Task& task) {
  const double size = task.space.size();
  if (size > kMostMappings)
    fail("exhaustive search",
         fmt::format("the space has up to {:.3g} mappings, and this engine tries at most {:.3g}; "
                     "fix more in the constraints, or use the exact engine.",
                     size, kMostMappings));
  return Walk(task).run();
}

}  // namespace instantnet::mapper
