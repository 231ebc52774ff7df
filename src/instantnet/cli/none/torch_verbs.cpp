// Stands in for the verbs that need libtorch in a program built without it: each says how to get
// it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"

namespace instantnet::cli {
namespace {

void add_missing(CLI::App& app, const std::string& name, const std::string& does) {
  CLI::App* verb = app.add_subcommand(name, does + " (needs a program built with libtorch)");
  verb->allow_extras();  // whatever follows, the answer is the same
  verb->callback([name] {
    fail(name,
         "this program was built without libtorch; install libtorch-dev, then build with 'cmake "
         "--preset "
         "release' and 'cmake --build --preset release'.");
  });
}

}  // namespace

std::string torch_version() { return {}; }

void add_torch_verbs(CLI::App& app) {
  add_missing(app, "pipeline", "The whole flow from one config");
  add_missing(app, "search",
              "Find a network whose accuracy survives the lowest bit-width at a given cost");
  add_missing(app, "train", "Train one set of weights for several bit-widths");
  add_missing(app, "eval", "Measure the accuracy of a checkpoint at each bit-width");
  add_missing(app, "freeze", "Turn a checkpoint into one file of integers");
  add_missing(app, "import", "Read a checkpoint of the authors' PyTorch code");
}

}  // namespace instantnet::cli
