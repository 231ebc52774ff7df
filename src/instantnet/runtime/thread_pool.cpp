#include "instantnet/runtime/thread_pool.h"

#include <string>
#include <system_error>

#include "instantnet/core/error.h"

namespace instantnet::runtime {

ThreadPool::ThreadPool(int threads) {
  try {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
  } catch (const std::system_error& error) {
    stop();
    fail("threads", "the system gives no " + std::to_string(threads) + " threads: " + error.what());
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  stopping_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(void (*job)(void* context, int thread), void* context) {
  if (!workers_.empty()) {
    job_ = job;
    context_ = context;
    busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
  }
  job(context, 0);
  for (int busy = busy_.load(std::memory_order_acquire); busy != 0;
       busy = busy_.load(std::memory_order_acquire))
    busy_.wait(busy, std::memory_order_acquire);
}

void ThreadPool::work(int thread) {
  for (unsigned seen = 0;; ++seen) {
    round_.wait(seen, std::memory_order_acquire);
    if (stopping_) return;
    job_(context_, thread);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
  }
}

}  // namespace instantnet::runtime
