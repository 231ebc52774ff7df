// Independent jobs on several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace instantnet::mapper {

/// Calls job(0) .. job(count - 1), each once, on up to `threads` threads. When jobs throw, the
/// exception of the lowest index passes on after all threads have ended.
void for_each_index(size_t count, int threads, const std::function<void(size_t)>& job);

}  // namespace instantnet::mapper
