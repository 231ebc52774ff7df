#include "instantnet/cli/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

#include "instantnet/core/error.h"

namespace instantnet::cli {
namespace {

constexpr const char* kWhere = "starting a stage";
constexpr int kCannotStart = 127;

std::atomic<pid_t> running{0};
static_assert(std::atomic<pid_t>::is_always_lock_free, "read by a signal handler");

extern "C" void hand_on(int signal_number) {
  const pid_t child = running.load();
  if (child > 0) ::kill(child, signal_number);
}

/// Our own signals while a process runs; as they were before when it has ended.
class Signals {
 public:
  Signals() {
    struct sigaction hands_on = {}, ignores = {};
    hands_on.sa_handler = hand_on;
    ignores.sa_handler = SIG_IGN;
    ::sigaction(SIGTERM, &hands_on, &term_);
    ::sigaction(SIGINT, &ignores, &interrupt_);
  }
  ~Signals() {
    ::sigaction(SIGTERM, &term_, nullptr);
    ::sigaction(SIGINT, &interrupt_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  /// In the process: as a shell would start it.
  void reset() const {
    ::sigaction(SIGTERM, &term_, nullptr);
    ::sigaction(SIGINT, &interrupt_, nullptr);
  }

 private:
  struct sigaction term_ = {}, interrupt_ = {};
};

[[noreturn]] void fail_starting() {
  fail(kWhere, fmt::format("failed ({}).", std::strerror(errno)));
}

std::string program_path() {
  char path[PATH_MAX + 1] = {};
  if (::readlink("/proc/self/exe", path, PATH_MAX) <= 0) fail_starting();
  return path;
}

/// In the process. Never returns.
[[noreturn]] void become(char* const* words, pid_t parent, int out) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kCannotStart);  // it ended before the line above
  if (out >= 0) ::dup2(out, STDOUT_FILENO);
  ::execv(words[0], words);
  ::_exit(kCannotStart);
}

std::string read_all(int from) {
  std::string text;
  char block[1 << 14];
  for (;;) {
    const ssize_t n = ::read(from, block, sizeof block);
    if (n > 0) text.append(block, static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EINTR)) return text;
  }
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail_starting();
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

flow::Ended run_this_program(const std::vector<std::string>& arguments, Output output) {
  std::string program = program_path();
  std::vector<std::string> owned(arguments);
  std::vector<char*> words = {program.data()};
  for (std::string& one : owned) words.push_back(one.data());
  words.push_back(nullptr);
  int ends[2] = {-1, -1};
  if (output == Output::Captured && ::pipe2(ends, O_CLOEXEC) != 0) fail_starting();
  const int out = output == Output::AsNotes ? STDERR_FILENO : ends[1];
  const Signals signals;
  const pid_t parent = ::getpid(), child = ::fork();
  if (child == 0) {
    signals.reset();
    become(words.data(), parent, out);
  }
  if (ends[1] >= 0) ::close(ends[1]);
  if (child < 0) fail_starting();
  running.store(child);
  flow::Ended ended;
  if (output == Output::Captured) {
    ended.printed = read_all(ends[0]);
    ::close(ends[0]);
  }
  ended.code = wait_for(child);
  running.store(0);
  return ended;
}

}  // namespace instantnet::cli
