// Measures something in a process of its own, so that its peak memory is its own, too.
#pragma once

#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "instantnet/core/error.h"

namespace instantnet::bench {

struct Measured {
  double seconds = 1e30;
  double megabytes = 0;  // peak of the process
};

/// Runs `measure`, which returns a Measured, in a child process and adds its peak memory. Error
/// naming the arm when it fails.
template <class F>
Measured in_a_process(const std::string& arm, const F& measure) {
  int ends[2];
  if (pipe(ends) != 0) fail("bench", "the system gave no pipe.");
  const pid_t child = fork();
  if (child == 0) {
    const Measured measured = measure();
    const bool written = write(ends[1], &measured, sizeof measured) == sizeof measured;
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  Measured measured;
  const bool read_all = read(ends[0], &measured, sizeof measured) == sizeof measured;
  close(ends[0]);
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  if (!read_all || status != 0) fail("bench", fmt::format("the arm '{}' failed.", arm));
  measured.megabytes = static_cast<double>(usage.ru_maxrss) / 1024.0;
  return measured;
}

}  // namespace instantnet::bench
