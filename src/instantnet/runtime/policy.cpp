#include "instantnet/runtime/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "instantnet/core/error.h"

namespace instantnet::runtime {
namespace {

void check(const std::vector<PolicyWidth>& widths, const PolicyOptions& options) {
  if (widths.empty()) fail("policy", "there is no bit-width to choose from; give at least one.");
  for (size_t i = 0; i < widths.size(); ++i) {
    const PolicyWidth& one = widths[i];
    if (one.bits < 1)
      fail("policy", fmt::format("{} is no bit-width; give 1 to 16, or 32.", one.bits));
    if (!std::isfinite(one.cost) || one.cost < 0)
      fail("policy",
           fmt::format("{} bits cost {}; give a finite number >= 0.", one.bits, one.cost));
    if (!std::isfinite(one.accuracy) || one.accuracy < 0)
      fail("policy", fmt::format("the accuracy at {} bits is {}; give a finite number >= 0.",
                                 one.bits, one.accuracy));
    for (size_t j = 0; j < i; ++j)
      if (widths[j].bits == one.bits)
        fail("policy", fmt::format("{} bits are given twice; give each once.", one.bits));
  }
  if (options.hold < 1)
    fail("policy", fmt::format("hold is {}; give an integer >= 1.", options.hold));
  if (!std::isfinite(options.margin) || options.margin < 0)
    fail("policy", fmt::format("margin is {}; give a finite number >= 0.", options.margin));
}

}  // namespace

std::vector<PolicyWidth> useful_widths(std::vector<PolicyWidth> widths) {
  std::sort(widths.begin(), widths.end(), [](const PolicyWidth& a, const PolicyWidth& b) {
    if (a.cost != b.cost) return a.cost < b.cost;
    if (a.accuracy != b.accuracy) return a.accuracy > b.accuracy;
    return a.bits > b.bits;
  });
  std::vector<PolicyWidth> useful;
  for (const PolicyWidth& one : widths)
    if (useful.empty() || one.accuracy > useful.back().accuracy) useful.push_back(one);
  return useful;
}

Policy::Policy(const std::vector<PolicyWidth>& widths, const PolicyOptions& options)
    : options_(options) {
  check(widths, options);
  widths_ = useful_widths(widths);
  held_.assign(widths_.size(), 0);
}

bool Policy::may_go_up(size_t to, double budget) const {
  const bool exceeds = options_.margin > 0 && budget >= (1 + options_.margin) * widths_[to].cost;
  return exceeds || held_[to] >= options_.hold;
}

PolicyChoice Policy::next(double budget) {
  if (!std::isfinite(budget) || budget < 0)
    fail("policy", fmt::format("the budget is {}; give a finite number >= 0.", budget));
  size_t fitting = 0;  // how many; they are the first ones
  for (size_t i = 0; i < widths_.size(); ++i) {
    const bool fits = widths_[i].cost <= budget;
    held_[i] = fits ? held_[i] + 1 : 0;
    fitting += fits ? 1 : 0;
  }
  if (fitting == 0) {
    current_ = 0;
    started_ = true;
    return options_.skip ? PolicyChoice{0, true} : PolicyChoice{widths_[0].bits, false};
  }
  size_t to = fitting - 1;
  if (started_)
    while (to > current_ && !may_go_up(to, budget)) --to;
  current_ = to;
  started_ = true;
  return {widths_[to].bits, true};
}

}  // namespace instantnet::runtime
