// Runs a program as a user would, without a shell, and hands back what it printed and its exit
// code.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

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

/// Runs `program` (a path) with these arguments and this standard input, and waits for its end. Its
/// streams are files, so that neither side waits for the other however much is printed. Exit code
/// 127: it could not be started.
inline ProgramResult run_program(const std::string& program,
                                 const std::vector<std::string>& arguments,
                                 const std::string& input = {}) {
  using namespace run_program_detail;
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const File in = temporary(input), out = temporary(), err = temporary();

  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) become(argv.data(), in, out, err);
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) throw std::runtime_error("cannot wait for the program");

  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {code, contents(out), contents(err)};
}

}  // namespace instantnet
