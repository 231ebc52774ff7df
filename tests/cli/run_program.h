// Runs a program as a user would, without a shell, and hands back what it printed and its exit
// code.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "instantnet/core/rng.h"

namespace instantnet {

/// What a finished program left behind. `code` is 128 + the signal's number when a signal ended it.
struct ProgramResult {
  int code = 0;
  std::string out, err;
};

namespace run_program_detail {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

/// An unnamed temporary file holding `text`, at its start.
inline File temporary(const std::string& text = {}) {
  File file(std::tmpfile(), &std::fclose);
  if (!file) throw std::runtime_error("cannot make a temporary file");
  if (std::fwrite(text.data(), 1, text.size(), file.get()) != text.size())
    throw std::runtime_error("cannot write a temporary file");
  std::fflush(file.get());
  std::rewind(file.get());
  return file;
}

inline std::string contents(const File& file) {
  std::rewind(file.get());
  std::string text;
  char block[4096];
  for (size_t n = 0; (n = std::fread(block, 1, sizeof block, file.get())) > 0;)
    text.append(block, n);
  return text;
}

/// In the child: standard streams to the files, then the program. Never returns.
[[noreturn]] inline void become(char* const* argv, const File& in, const File& out,
                                const File& err) {
  dup2(fileno(in.get()), STDIN_FILENO);
  dup2(fileno(out.get()), STDOUT_FILENO);
  dup2(fileno(err.get()), STDERR_FILENO);
  execv(argv[0], argv);
  _exit(127);
}

}  // namespace run_program_detail

/// A program that runs. Its streams are files, so that neither side waits for the other however
/// much is printed.
class StartedProgram {
 public:
  /// `program` is a path. Exit code 127: it could not be started.
  StartedProgram(const std::string& program, const std::vector<std::string>& arguments,
                 const std::string& input = {})
      : in_(run_program_detail::temporary(input)),
        out_(run_program_detail::temporary()),
        err_(run_program_detail::temporary()) {
    std::vector<std::string> words = {program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    child_ = fork();
    if (child_ < 0) throw std::runtime_error("cannot fork");
    if (child_ == 0) run_program_detail::become(argv.data(), in_, out_, err_);
  }

  void send(int signal_number) const { ::kill(child_, signal_number); }

  bool ended() {
    if (!ended_) ended_ = waitpid(child_, &status_, WNOHANG) == child_;
    return ended_;
  }

  /// Waits for its end.
  ProgramResult result() {
    while (!ended_ && waitpid(child_, &status_, 0) < 0)
      if (errno != EINTR) throw std::runtime_error("cannot wait for the program");
    ended_ = true;
    const int code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
    return {code, run_program_detail::contents(out_), run_program_detail::contents(err_)};
  }

 private:
  run_program_detail::File in_, out_, err_;
  pid_t child_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

inline ProgramResult run_program(const std::string& program,
                                 const std::vector<std::string>& arguments,
                                 const std::string& input = {}) {
  return StartedProgram(program, arguments, input).result();
}

/// Runs a program again and again until it ends by itself; the first `kills` times it is killed
/// after a random time of at most `longest_us`. How often it was, and what its last run left.
struct KilledRuns {
  int killed = 0;
  ProgramResult last;
};
inline KilledRuns run_and_kill(const std::string& program,
                               const std::vector<std::string>& arguments, Rng& rng, int kills,
                               uint64_t longest_us) {
  for (int killed = 0;; ++killed) {
    StartedProgram started(program, arguments);
    if (killed < kills) {
      ::usleep(static_cast<useconds_t>(rng.below(longest_us)));
      started.send(SIGKILL);
    }
    const ProgramResult result = started.result();
    if (result.code != 128 + SIGKILL) return {killed, result};
  }
}

}  // namespace instantnet
