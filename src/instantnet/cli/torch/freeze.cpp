// `instantnet freeze CHECKPOINT -o model.spnet`: a trained network becomes integers in one file.
#include "instantnet/freeze/freeze.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/cli/arguments.h"
#include "instantnet/cli/frozen_model.h"
#include "instantnet/cli/paths.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/torch/trained.h"
#include "instantnet/cli/torch/verbs.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"
#include "instantnet/runtime/int_model.h"
#include "instantnet/train/checkpoint.h"

namespace instantnet::cli {
namespace {

namespace fs = std::filesystem;

struct FreezeVerbOptions {
  std::string checkpoint, out;
  std::string data;
  int64_t calibrate = 512;
  freeze::FreezeOptions freeze;
  bool no_float = false;
  bool force = false;
  int threads = 0;
  bool json = false;
};

struct Result {
  freeze::Frozen frozen;
  uint64_t bytes = 0;
  bool sbm = false;  // the quantizer, not only the lattice
};

/// Error before the work rather than after it.
void check_place(const FreezeVerbOptions& verb, const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  if (fs::is_directory(path))
    fail(path, "is a folder; give -o the path of a file, for example model.spnet.");
  if (!fs::is_directory(folder))
    fail(path,
         fmt::format("there is no folder '{}' to write into; make it first.", folder.string()));
  if (fs::exists(path) && !verb.force)
    fail(path, "is there already; give --force to replace it, or another -o.");
}

std::string origin_of(const FreezeVerbOptions& verb, const train::Checkpoint& checkpoint,
                      const data::Sources& sources) {
  std::string preset = "unknown recipe";
  if (const Tree* name = checkpoint.run_options.find("preset"))
    preset = name->as_string() + " recipe";
  return fmt::format(
      "{}, checkpoint {}, {}, data set {}, {}", version_text(),
      fs::path(plain_path(verb.checkpoint)).filename().string(), preset,
      fs::path(sources.train->options().path).filename().string(),
      names_of(quant::Kind{}).at(static_cast<size_t>(checkpoint.model_options.quant.kind)).second);
}

Result freeze_verb(const FreezeVerbOptions& verb) {
  const std::string path = plain_path(verb.out);
  check_place(verb, path);
  freeze::FreezeOptions options = verb.freeze;
  options.floats = !verb.no_float;
  options.threads = threads_or_all(verb.threads);
  const train::Checkpoint checkpoint = train::load_checkpoint(checkpoint_folder(verb.checkpoint));
  const nn::SwitchableModel model = train::make_model(checkpoint);
  const data::Sources sources = open_data(checkpoint, verb.data, verb.checkpoint);
  options.origin = origin_of(verb, checkpoint, sources);
  Result result{freeze_checkpoint(checkpoint, model, sources, verb.calibrate, options), 0,
                checkpoint.model_options.quant.kind == quant::Kind::Sbm};
  runtime::write_model(result.frozen.model, path);
  result.bytes = fs::file_size(path);
  return result;
}

std::string differences_text(const std::vector<freeze::CodeDifference>& codes, bool sbm) {
  std::string text;
  for (const freeze::CodeDifference& one : codes)
    if (one.differ != 0)
      text += fmt::format(
          "at {} bits {} of {} weight codes differ from the trained ones, by {} step{} at most\n",
          one.bits, one.differ, one.weights, one.most, one.most == 1 ? "" : "s");
  if (text.empty()) return "all weight codes are those the network was trained with\n";
  return text + (sbm ? "train with model.quant.sbm_master_bits=16 to make them equal\n"
                     : "widths that divide 16 are equal\n");
}

std::string text_of(const FreezeVerbOptions& verb, const Result& result) {
  const runtime::IntModel& model = result.frozen.model;
  size_t weights = 0;
  for (const runtime::IntLayer& layer : model.layers) weights += layer.codes.size();
  return fmt::format("{}: {} at {} bits, {} weights in {}\n{}", verb.out, model.spec.name,
                     fmt::join(model.bits, ", "), si(static_cast<double>(weights)),
                     bytes_text(result.bytes), differences_text(result.frozen.codes, result.sbm));
}

Tree tree_of(const FreezeVerbOptions& verb, const Result& result) {
  Tree bits = Tree::list(), codes = Tree::list();
  for (const int one : result.frozen.model.bits) bits.items.push_back(Tree::of(one));
  for (const freeze::CodeDifference& one : result.frozen.codes)
    codes.items.push_back(Tree::map()
                              .set("bits", Tree::of(one.bits))
                              .set("weights", Tree::of(one.weights))
                              .set("differ", Tree::of(one.differ))
                              .set("most", Tree::of(one.most)));
  return Tree::map()
      .set("model", Tree::of(verb.out))
      .set("bytes", Tree::of(result.bytes))
      .set("bits", std::move(bits))
      .set("codes", std::move(codes));
}

}  // namespace

void add_freeze(CLI::App& app) {
  const auto options = std::make_shared<FreezeVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "freeze", "Turn a checkpoint into one file of integers that runs at each of its bit-widths");
  verb->add_option("CHECKPOINT", options->checkpoint,
                   "Folder of a checkpoint, or of a run (its best/, else its last/)")
      ->required();
  verb->add_option("-o,--out", options->out, "File to write, for example model.spnet")->required();
  verb->add_option("--calibrate", options->calibrate,
                   "Training images that show how large the inputs of layers get that stay at 32 "
                   "bits")
      ->check(whole_number(1))
      ->capture_default_str();
  verb->add_option("--headroom", options->freeze.headroom,
                   "Those layers' ranges in multiples of the largest input seen")
      ->check(CLI::Range(1.0, 16.0))
      ->capture_default_str();
  verb->add_flag("--no-float", options->no_float,
                 "Leave out the float32 weights, and with them the 32-bit width");
  verb->add_option("--data", options->data, "Data set to calibrate on")
      ->default_str("the run's own");
  verb->add_option("--threads", options->threads, "Threads to calibrate with; 0 = one per core")
      ->check(whole_number(0, 1024))
      ->capture_default_str();
  verb->add_flag("--force", options->force, "Replace the file if it is there");
  verb->add_flag("--json", options->json, "Print JSON");
  verb->callback([options] {
    const Result result = freeze_verb(*options);
    print_text(options->json ? print_json(tree_of(*options, result), 2)
                             : text_of(*options, result));
  });
}

}  // namespace instantnet::cli
