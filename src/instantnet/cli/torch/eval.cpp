// `instantnet eval CHECKPOINT`: a checkpoint on a data set, at every bit-width.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/torch.h>

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
#include "instantnet/cli/frozen_scores.h"
#include "instantnet/cli/paths.h"
#include "instantnet/cli/precisions.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/torch/npy.h"
#include "instantnet/cli/torch/scores.h"
#include "instantnet/cli/torch/trained.h"
#include "instantnet/cli/torch/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/progress.h"
#include "instantnet/core/units.h"
#include "instantnet/data/loader.h"
#include "instantnet/images/input.h"
#include "instantnet/net/precision.h"
#include "instantnet/nn/executor.h"
#include "instantnet/train/calibrate.h"
#include "instantnet/train/checkpoint.h"
#include "instantnet/train/device.h"
#include "instantnet/train/evaluate.h"

namespace instantnet::cli {
namespace {

namespace fs = std::filesystem;

struct EvalVerbOptions {
  std::string checkpoint;
  std::string bits = "all";
  std::string data;
  std::string part = "test";
  int64_t limit = 0;
  int64_t recalibrate = 0;
  std::string semantics = "float";
  int64_t calibrate = 512;  // integer semantics: see freeze
  std::string kernels = "auto";
  std::string precisions;  // empty: every layer at the same width
  std::string logits_file;
  std::string device = "cpu";
  int threads = 0;
  bool json = false;
};

nn::Kernels kernels_named(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& [kernels, text] : names_of(nn::Kernels{})) {
    if (text == name) return kernels;
    known.push_back(text);
  }
  fail("--kernels", fmt::format("'{}' is unknown{}", name, suggestion(name, known)));
}

// ---- Settings: what to evaluate

struct Setting {
  std::string name;  // "8", "mixed"
  std::vector<Precision> precisions;
};

std::vector<int> widths_of(const EvalVerbOptions& verb, const nn::SwitchableModel& model) {
  return parse_bits(verb.bits, model.bits(), [&](int one) { model.index_of(one); });
}

std::vector<Setting> settings_of(const EvalVerbOptions& verb, const nn::SwitchableModel& model) {
  const std::vector<int> bits = widths_of(verb, model);
  if (!verb.precisions.empty())
    return {{"mixed", parse_precisions(verb.precisions, model.spec(), bits.back(),
                                       [&](int one) { model.index_of(one); })}};
  std::vector<Setting> settings;
  for (const int one : bits) settings.push_back({std::to_string(one), model.uniform(one)});
  return settings;
}

// ---- The verb

struct Result {
  std::vector<std::string> names;
  train::Evaluation evaluation;
  at::Tensor logits;  // (settings, images, classes) when asked for
};

/// Error before the work rather than after it.
void check_writable(const std::string& path) {
  if (path.empty()) return;
  const fs::path folder = fs::path(plain_path(path)).parent_path();
  if (!fs::is_directory(folder))
    fail(path,
         fmt::format("there is no folder '{}' to write into; make it first.", folder.string()));
  if (fs::is_directory(path)) fail(path, "is a folder; give the path of a file.");
}

/// Whether to compute as the deployed network does.
bool in_integers(const EvalVerbOptions& verb) {
  if (verb.semantics == "integer") return true;
  if (verb.semantics == "float") return false;
  fail("--semantics", fmt::format("'{}' is unknown{}", verb.semantics,
                                  suggestion(verb.semantics, {"float", "integer"})));
}

/// The checkpoint as the integers it is frozen to, run by the runtime's sessions.
void evaluate_integers(const EvalVerbOptions& verb, const train::Checkpoint& checkpoint,
                       const nn::SwitchableModel& model, const std::vector<Setting>& settings,
                       const data::Sources& sources, const PlainImages& images, Progress& progress,
                       Result& result) {
  freeze::FreezeOptions options;
  options.threads = threads_or_all(verb.threads);
  const auto frozen = std::make_shared<const runtime::Model>(
      freeze_checkpoint(checkpoint, model, sources, verb.calibrate, options).model);
  const NetworkSpec& spec = model.spec();
  const images::Fit fit = images::fit_of(images.dataset->defaults());
  const std::vector<int64_t>& indices = images.source->indices();
  const auto index = [&](int64_t i) { return indices[static_cast<size_t>(i)]; };
  const FrozenImages pixels{images.source->size(),
                            [&](int64_t i) {
                              return images::input_pixels(*images.dataset, index(i), spec.height,
                                                          spec.width, fit);
                            },
                            [&](int64_t i) { return images.dataset->label(index(i)); }};
  std::vector<FrozenSetting> ways;
  for (const Setting& one : settings)
    ways.push_back({one.name, verb.precisions.empty()
                                  ? std::vector<Precision>{parse_precision(one.name, "--bits")}
                                  : one.precisions});
  const bool keep = !verb.logits_file.empty();
  FrozenScores scores = score_frozen(frozen, pixels, ways, options.threads, keep, progress);
  result.evaluation.images = pixels.count;
  for (const FrozenScore& one : scores.scores)
    result.evaluation.scores.push_back({one.accuracy, one.loss});
  if (keep)
    result.logits = torch::from_blob(scores.logits.data(),
                                     {static_cast<int64_t>(ways.size()), pixels.count,
                                      static_cast<int64_t>(spec.classes)},
                                     at::kFloat)
                        .clone();
}

Result evaluate(const EvalVerbOptions& verb) {
  check_writable(verb.logits_file);
  const bool integers = in_integers(verb);
  train::check_device(verb.device, "--device");
  at::set_num_threads(threads_or_all(verb.threads));
  train::Checkpoint checkpoint = train::load_checkpoint(checkpoint_folder(verb.checkpoint));
  checkpoint.model_options.kernels = kernels_named(verb.kernels);
  nn::SwitchableModel model = train::make_model(checkpoint);
  const std::vector<Setting> settings = settings_of(verb, model);
  const data::Sources sources = open_data(checkpoint, verb.data, verb.checkpoint);
  const PlainImages images = plain_images(sources, verb.part, verb.limit);

  PrintedProgress progress(stderr);
  model.to(verb.device);
  const auto executor = nn::make_executor(model, threads_or_all(verb.threads));
  if (verb.recalibrate > 0)
    train::recalibrate(model, *executor, *sources.train, widths_of(verb, model), verb.recalibrate,
                       seed_of(checkpoint), &progress);
  Result result;
  std::vector<std::vector<Precision>> precisions;
  for (const Setting& one : settings) {
    result.names.push_back(one.name);
    precisions.push_back(one.precisions);
  }
  progress.begin(fmt::format("{} images", verb.part), images.source->size(), "images");
  if (integers) {
    evaluate_integers(verb, checkpoint, model, settings, sources, images, progress, result);
    progress.end();
    return result;
  }
  result.evaluation =
      train::evaluate(*executor, *images.source, precisions,
                      {&progress, nullptr, verb.logits_file.empty() ? nullptr : &result.logits});
  progress.end();
  return result;
}

std::string result_text(const Result& result) {
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < result.names.size(); ++i) {
    const train::Score& score = result.evaluation.scores.at(i);
    rows.push_back({result.names[i], fmt::format("{:.2f}", 100 * score.accuracy),
                    fmt::format("{:.4f}", score.loss)});
  }
  return table_text({"bits", "accuracy %", "loss"}, rows) +
         fmt::format("{} images", result.evaluation.images);
}

void eval_verb(const EvalVerbOptions& verb) {
  const Result result = evaluate(verb);
  if (!verb.logits_file.empty())
    write_file_atomic(plain_path(verb.logits_file), npy_bytes(result.logits));
  print_text(verb.json ? print_json(scores_tree(result.names, result.evaluation), 2)
                       : result_text(result));
}

}  // namespace

void add_eval(CLI::App& app) {
  const auto options = std::make_shared<EvalVerbOptions>();
  CLI::App* verb =
      app.add_subcommand("eval", "Measure the accuracy of a checkpoint at each bit-width");
  verb->add_option("CHECKPOINT", options->checkpoint,
                   "Folder of a checkpoint, or of a run (its best/, else its last/)")
      ->required();
  verb->add_option("--bits", options->bits, "all, or some of its bit-widths: 4,8")
      ->capture_default_str();
  verb->add_option("--data", options->data, "Data set to use")->default_str("the run's own");
  verb->add_option("--part", options->part, "test, train or validation")->capture_default_str();
  verb->add_option("--limit", options->limit, "Use only the first so many images; 0 = all")
      ->check(whole_number(0))
      ->capture_default_str();
  verb->add_option("--recalibrate", options->recalibrate,
                   "Average batch norm's statistics anew over so many training images first, for "
                   "each bit-width; 0 = no")
      ->check(whole_number(0))
      ->capture_default_str();
  verb->add_option("--precisions", options->precisions,
                   "Bits of single layers: LAYER=BITS,... (8 or w4a8), or a YAML file with LAYER: "
                   "BITS; other layers run at the last of --bits");
  verb->add_option("--semantics", options->semantics,
                   "float: as trained; integer: as the frozen network computes")
      ->capture_default_str();
  verb->add_option("--calibrate", options->calibrate,
                   "Training images that give ranges to layers kept at 32 bits (integer only)")
      ->check(whole_number(1))
      ->capture_default_str();
  verb->add_option("--dump-logits", options->logits_file,
                   "Write logits to this .npy file: float32, (bit-widths, images, classes)");
  verb->add_option("--kernels", options->kernels, "auto, fused or plain")->capture_default_str();
  verb->add_option("--device", options->device, "cpu, or cuda where libtorch has it")
      ->capture_default_str();
  verb->add_option("--threads", options->threads, "Threads to compute with; 0 = one per core")
      ->check(whole_number(0, 1024))
      ->capture_default_str();
  verb->add_flag("--json", options->json, "Print JSON");
  verb->callback([options] { eval_verb(*options); });
}

}  // namespace instantnet::cli
