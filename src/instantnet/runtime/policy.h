// Which bit-width runs next when the budget changes from one inference to the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace instantnet::runtime {

/// One bit-width as a policy sees it. The cost has the budget's unit.
struct PolicyWidth {
  int bits = 0;
  double cost = 0;
  double accuracy = 0;  // any scale; only the order counts
  bool operator==(const PolicyWidth&) const = default;
};

/// When to go up again, and what to do when nothing fits.
struct PolicyOptions {
  /// A dearer width runs when the budget was enough for it so many inferences in a row, this one
  /// counted. 1: at once.
  int64_t hold = 1;
  /// Or at once when the budget is at least (1 + margin) times its cost. 0: no such way up.
  double margin = 0;
  /// Budget below every cost: run nothing, instead of the cheapest width.
  bool skip = false;
  bool operator==(const PolicyOptions&) const = default;
};

struct PolicyChoice {
  int bits = 0;       // 0: skip this inference
  bool fits = false;  // its cost is within the budget; true for a skip
  bool operator==(const PolicyChoice&) const = default;
};

/// The widths that can ever be chosen, by cost: of two the dearer one is more accurate. Of equals
/// the one with more bits stays.
std::vector<PolicyWidth> useful_widths(std::vector<PolicyWidth> widths);

/// Chooses the most accurate width within each budget. Down at once, up with hysteresis; the first
/// choice is free. It never exceeds a budget that some width meets, and is never less accurate
/// than a width that met every budget so far. The same budgets give the same choices.
class Policy {
 public:
  /// Error when there is no width, one is there twice, a cost or an accuracy is not finite or
  /// negative, or hold < 1 or margin < 0.
  explicit Policy(const std::vector<PolicyWidth>& widths, const PolicyOptions& options = {});

  /// The width of the next inference. Error for a budget that is not finite or negative; nothing
  /// has changed then. Allocates nothing.
  PolicyChoice next(double budget);

  const std::vector<PolicyWidth>& widths() const { return widths_; }
  double least_cost() const { return widths_.front().cost; }

 private:
  bool may_go_up(size_t to, double budget) const;

  std::vector<PolicyWidth> widths_;  // useful_widths
  PolicyOptions options_;
  std::vector<int64_t> held_;  // inferences in a row whose budget was enough
  size_t current_ = 0;
  bool started_ = false;
};

}  // namespace instantnet::runtime
