// Work split into a fixed number of lanes, run by any number of threads: what a lane does, and the
// order in which lanes are summed, never depends on the threads.
#pragma once

#include <cstdint>
#include <functional>

namespace instantnet::nn {

/// Most lanes a piece of work is split into; more threads than this do not help.
constexpr int64_t kMostLanes = 8;

/// Calls work(lane) for lane in [0, lanes) on up to `threads` threads, each with libraries' own
/// threading off. Rethrows the first lane's exception.
void run_lanes(int64_t lanes, int threads, const std::function<void(int64_t lane)>& work);

/// [first, last) of `count` items for a lane.
struct Span {
  int64_t first, last;
};
Span lane_span(int64_t count, int64_t lanes, int64_t lane);

/// Libraries' own threads off while this lives.
class SingleThreaded {
 public:
  SingleThreaded();
  ~SingleThreaded();
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  int before_;
};

}  // namespace instantnet::nn
