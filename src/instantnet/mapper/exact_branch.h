// Best-first search over the array tiles of one space: register tiles by their bounds, ways to
// spread them by branch and bound, then the loops outside the most promising first.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "instantnet/mapper/exact_expand.h"
#include "instantnet/mapper/search.h"

namespace instantnet::mapper::exact {

/// Ends a search that takes too long or that nobody wants any more.
class Clock {
 public:
  Clock(double limit_s, const Watch& watch);
  /// Looks at the clock now and then. Once true, always true.
  bool over(double best, double bound);
  bool ended() const { return ended_; }
  double seconds() const;

 private:
  using Time = std::chrono::steady_clock;
  Time::time_point start_, told_;
  double limit_s_;
  const Watch& watch_;
  int calls_ = 0;
  bool ended_ = false;
};

/// What all searches of one layer share.
struct Branches {
  const LayerFacts& facts;
  const Space& space;
  const GroupTiles& groups;
  const InnerLoops& inner;
  int64_t columns = 1, rows = 1;  // of the array
  TablePool& pool;
};

/// Improves `best` as far as this space allows. What no mapping of the space is less than: `best`,
/// or less when the clock ended the search.
Value search_space(const Branches& branches, const Form& form, const Goal& goal, Clock& clock,
                   Best& best);

}  // namespace instantnet::mapper::exact
