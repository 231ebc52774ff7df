// `instantnet infer model.spnet`: a frozen network on one image, or on a data set.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "instantnet/cli/frozen_model.h"
#include "instantnet/cli/frozen_run.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"

namespace instantnet::cli {
namespace {

struct InferVerbOptions {
  std::string model;
  FrozenRunOptions run;
};

void infer_verb(const InferVerbOptions& verb) {
  if (verb.run.image.empty() == verb.run.data.empty())
    fail("infer", "give one of --image FILE and --data DIR.");
  run_frozen(verb.run, open_frozen(verb.model, verb.run.kernels));
}

}  // namespace

void add_infer(CLI::App& app) {
  const auto options = std::make_shared<InferVerbOptions>();
  CLI::App* verb =
      app.add_subcommand("infer", "Run a frozen network on an image, or measure it on a data set");
  verb->add_option("MODEL", options->model, "File written by 'instantnet freeze'")->required();
  add_frozen_run_options(*verb, options->run, "--bits");
  verb->callback([options] { infer_verb(*options); });
}

}  // namespace instantnet::cli
