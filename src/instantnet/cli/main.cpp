// The program: reads argv, runs one verb, prints mistakes as one sentence, decides the exit code.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "instantnet/cli/arguments.h"
#include "instantnet/cli/help.h"
#include "instantnet/cli/launch.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"

namespace {

constexpr int kUserMistake = 2;
constexpr int kOurMistake = 70;

int run(int argc, char** argv) {
  CLI::App app{"InstantNet: one set of weights, every bit-width."};
  app.name("instantnet");
  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  const bool json = std::find(words.begin(), words.end(), "--json") != words.end();
  app.set_version_flag(
      "--version", [json] { return instantnet::cli::about_text(json); },
      "Print the version and how the program was built (with --json as JSON)");
  app.require_subcommand(1);
  instantnet::cli::add_torch_free_verbs(app);
  instantnet::cli::add_torch_verbs(app);
  app.footer("'instantnet VERB --help' tells about a verb.");
  instantnet::cli::format_help(app);
  instantnet::cli::check_verbs(app, words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError& ended) {
    return ended.get_exit_code();  // a verb that has said what there was to say
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    throw instantnet::Error(instantnet::cli::sentence_of(app, error));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  instantnet::cli::prepare_process(argc, argv);
  try {
    return run(argc, argv);
  } catch (const instantnet::Error& error) {
    std::fprintf(stderr, "instantnet: %s\n", error.what());
    return kUserMistake;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "instantnet: internal error: %s\n", error.what());
    return kOurMistake;
  }
}
