#include "instantnet/cli/launch.h"

#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <climits>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace instantnet::cli {
namespace {

constexpr const char* kWaitPolicy = "OMP_WAIT_POLICY";

/// glibc gives blocks above a threshold back to the system when they are freed, and each new one
/// costs a page fault every 4 KiB: 3 to 6 % of a training step. 32 MiB is the highest threshold it
/// takes.
void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
#endif
}

bool computes(int argc, char** argv) {
  if (argc < 2) return false;
  const std::string_view verb(argv[1]);
  return verb == "train" || verb == "search" || verb == "eval";
}

/// Returns only when the program cannot be started again; then it runs as it is.
void start_again_with_passive_waiting(char** argv) {
  char path[PATH_MAX + 1] = {};
  if (readlink("/proc/self/exe", path, PATH_MAX) <= 0) return;
  if (setenv(kWaitPolicy, "passive", 1) != 0) return;
  execv(path, argv);
}

}  // namespace

void prepare_process(int argc, char** argv) {
  if (computes(argc, argv) && std::getenv(kWaitPolicy) == nullptr)
    start_again_with_passive_waiting(argv);
  keep_freed_memory();
  std::signal(SIGXFSZ, SIG_IGN);  // a limit of file sizes is then told as a full disk is
}

}  // namespace instantnet::cli
