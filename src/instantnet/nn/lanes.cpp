#include "instantnet/nn/lanes.h"

#include <omp.h>

#include <algorithm>
#include <exception>
#include <vector>

namespace instantnet::nn {

SingleThreaded::SingleThreaded() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
SingleThreaded::~SingleThreaded() { omp_set_num_threads(before_); }

Span lane_span(int64_t count, int64_t lanes, int64_t lane) {
  return {count * lane / lanes, count * (lane + 1) / lanes};
}

void run_lanes(int64_t lanes, int threads, const std::function<void(int64_t)>& work) {
  const auto workers = static_cast<int>(std::min<int64_t>(lanes, threads));
  if (workers <= 1) {
    for (int64_t lane = 0; lane < lanes; ++lane) work(lane);
    return;
  }
  std::vector<std::exception_ptr> failures(static_cast<size_t>(lanes));
#pragma omp parallel for num_threads(workers) schedule(dynamic, 1)
  for (int64_t lane = 0; lane < lanes; ++lane) {
    try {
      work(lane);
    } catch (...) {
      failures[static_cast<size_t>(lane)] = std::current_exception();
    }
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace instantnet::nn
