// Threads that wait for parts of a step. With one thread there are none.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

namespace instantnet::runtime {

class ThreadPool {
 public:
  /// `threads` >= 1, the caller's included. Error when the system gives no more.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls job(context, thread) once on each thread, 0 being the caller, and returns when all are
  /// done. Allocates nothing; `job` does not throw.
  void run(void (*job)(void* context, int thread), void* context);

 private:
  void work(int thread);
  void stop();

  void (*job_)(void*, int) = nullptr;
  void* context_ = nullptr;
  std::atomic<unsigned> round_{0};
  std::atomic<int> busy_{0};
  bool stopping_ = false;  // written before a round, read in it
  std::vector<std::thread> workers_;
};

}  // namespace instantnet::runtime
