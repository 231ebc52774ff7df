// `instantnet eval CHECKPOINT`: a checkpoint on a data set, at every bit-width.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "instantnet/cli/arguments.h"
#include "instantnet/cli/paths.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/torch/npy.h"
#include "instantnet/cli/torch/scores.h"
#include "instantnet/cli/torch/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/progress.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"
#include "instantnet/data/loader.h"
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
  std::string kernels = "auto";
  std::string precisions;  // empty: every layer at the same width
  std::string logits_file;
  std::string device = "cpu";
  int threads = 0;
  bool json = false;
};

// ---- The checkpoint

bool is_checkpoint(const std::string& folder) {
  std::error_code ignored;
  return fs::exists(folder + "/digests.txt", ignored);
}

/// The folder itself, or best/ or last/ of a run.
std::string checkpoint_folder(const std::string& given) {
  const std::string folder = plain_path(given);
  if (is_checkpoint(folder)) return folder;
  std::error_code ignored;
  if (fs::is_directory(folder, ignored))
    for (const char* name : {"/best", "/last"}) {
      recover_folder(folder + name);
      if (is_checkpoint(folder + name)) return folder + name;
    }
  return folder;  // loading says what is wrong with it
}

nn::Kernels kernels_named(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& [kernels, text] : names_of(nn::Kernels{})) {
    if (text == name) return kernels;
    known.push_back(text);
  }
  fail("--kernels", fmt::format("'{}' is unknown{}", name, suggestion(name, known)));
}

// ---- The data

/// As the run had it, from another place when one is given. Images are not augmented.
data::DataOptions data_options(const EvalVerbOptions& verb, const train::Checkpoint& checkpoint) {
  data::DataOptions options;
  const Tree* given = checkpoint.run_options.find("data");
  if (given != nullptr) read_fields(data::fields(options), *given);
  if (given == nullptr && verb.data.empty())
    fail(verb.checkpoint, "does not say which data it was trained on; give --data PATH.");
  if (verb.data.empty()) return options;
  options.path = verb.data;
  options.format = "auto";
  return options;
}

uint64_t seed_of(const train::Checkpoint& checkpoint) {
  const Tree* seed = checkpoint.run_options.find("seed");
  return seed == nullptr ? 1 : seed->as_uint();
}

/// The first `limit` images of a source, in its order, not augmented.
std::shared_ptr<data::Source> part_of(const data::Source& source, images::Part part,
                                      int64_t limit) {
  data::DataOptions options = source.options();
  options.augment = "none";
  options.crop_padding = options.shift = 0;
  options.flip = options.random_resized_crop = false;
  options.limit = 0;
  options.validation = 0;
  std::vector<int64_t> indices = source.indices();
  if (limit > 0 && limit < static_cast<int64_t>(indices.size()))
    indices.resize(static_cast<size_t>(limit));
  return std::make_shared<data::Source>(
      std::shared_ptr<const images::Dataset>(
          images::open_dataset({source.options().path, source.options().format}, part)),
      std::move(indices), options);
}

std::shared_ptr<data::Source> source_of(const EvalVerbOptions& verb, const data::Sources& sources) {
  if (verb.part == "test") return part_of(*sources.test, images::Part::Test, verb.limit);
  if (verb.part == "train") return part_of(*sources.train, images::Part::Train, verb.limit);
  if (verb.part != "validation")
    fail("--part", fmt::format("'{}' is unknown{}", verb.part,
                               suggestion(verb.part, {"test", "train", "validation"})));
  if (!sources.validation)
    fail("--part",
         "the run kept no validation images aside (data.validation is 0); give test or train.");
  return part_of(*sources.validation, images::Part::Train, verb.limit);
}

void check_data(const data::Source& source, const NetworkSpec& spec, const std::string& path) {
  if (source.classes() != spec.classes)
    fail(path, fmt::format("has {} classes, but the network '{}' tells {} apart; give the data it "
                           "was trained for.",
                           source.classes(), spec.name, spec.classes));
  const std::vector<int64_t> needed = {spec.channels, spec.height, spec.width};
  if (source.shape() != needed)
    fail(path, fmt::format("has images of {}, but the network '{}' takes {}; give the data it was "
                           "trained for.",
                           fmt::join(source.shape(), "x"), spec.name, fmt::join(needed, "x")));
}

// ---- Settings: what to evaluate

struct Setting {
  std::string name;  // "8", "mixed"
  std::vector<Precision> precisions;
};

std::vector<int> parse_bits(const std::string& text, const nn::SwitchableModel& model) {
  if (text == "all") return model.bits();
  std::vector<int> bits;
  const char *at = text.data(), *const end = at + text.size();
  while (true) {
    int one = 0;
    const auto [after, error] = std::from_chars(at, end, one);
    if (error != std::errc() || (after != end && *after != ','))
      fail("--bits",
           fmt::format("'{}' is no list of bit-widths; give all, or for example 4,8.", text));
    model.index_of(one);
    if (std::find(bits.begin(), bits.end(), one) != bits.end())
      fail("--bits", fmt::format("{} is given twice in '{}'.", one, text));
    bits.push_back(one);
    if (after == end) return bits;
    at = after + 1;
  }
}

/// "layer=4,other=w4a8" as a map.
Tree parse_pairs(const std::string& text) {
  Tree map = Tree::map();
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    const std::string pair = text.substr(at, comma - at);
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      fail("--precisions",
           fmt::format("'{}' is not LAYER=BITS; give for example stem=8,fc=w4a8.", pair));
    map.set(pair.substr(0, equals), Tree::of(pair.substr(equals + 1)));
    at = comma + 1;
  }
  return map;
}

/// Layers that are not named run at `others` bits.
std::vector<Precision> precisions_of(const std::string& given, const nn::SwitchableModel& model,
                                     int others) {
  const bool inline_pairs = given.find('=') != std::string::npos;
  const Tree map = inline_pairs ? parse_pairs(given) : read_yaml(given);
  const std::string where = inline_pairs ? "--precisions" : given;
  if (map.kind != Tree::Kind::Map)
    fail(where, "is no map; give lines such as 'stem: 8' or 'fc: w4a8'.");
  std::vector<Precision> precisions(model.layers().size(), Precision{others, others});
  for (const auto& [name, value] : map.entries) {
    const nn::Layer& layer = model.layer(name);
    const auto index = static_cast<size_t>(&layer - model.layers().data());
    precisions[index] = parse_precision(value.as_string(), where + ": " + name);
    if (!layer.switchable)
      fail(where, fmt::format("layer '{}' always runs at {} bits; name switchable layers only.",
                              name, layer.fixed_bits));
  }
  model.check_precisions(precisions);
  return precisions;
}

std::vector<Setting> settings_of(const EvalVerbOptions& verb, const nn::SwitchableModel& model) {
  const std::vector<int> bits = parse_bits(verb.bits, model);
  if (!verb.precisions.empty())
    return {{"mixed", precisions_of(verb.precisions, model, bits.back())}};
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

int threads_of(const EvalVerbOptions& verb) {
  return verb.threads > 0 ? verb.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

/// Error before the work rather than after it.
void check_writable(const std::string& path) {
  if (path.empty()) return;
  const fs::path folder = fs::path(plain_path(path)).parent_path();
  if (!fs::is_directory(folder))
    fail(path,
         fmt::format("there is no folder '{}' to write into; make it first.", folder.string()));
  if (fs::is_directory(path)) fail(path, "is a folder; give the path of a file.");
}

Result evaluate(const EvalVerbOptions& verb) {
  check_writable(verb.logits_file);
  train::check_device(verb.device, "--device");
  at::set_num_threads(threads_of(verb));
  train::Checkpoint checkpoint = train::load_checkpoint(checkpoint_folder(verb.checkpoint));
  checkpoint.model_options.kernels = kernels_named(verb.kernels);
  nn::SwitchableModel model = train::make_model(checkpoint);
  const std::vector<Setting> settings = settings_of(verb, model);
  const data::DataOptions options = data_options(verb, checkpoint);
  const data::Sources sources = data::open_sources(options, seed_of(checkpoint));
  const std::shared_ptr<data::Source> source = source_of(verb, sources);
  check_data(*source, model.spec(), options.path);

  PrintedProgress progress(stderr);
  model.to(verb.device);
  const auto executor = nn::make_executor(model, threads_of(verb));
  if (verb.recalibrate > 0)
    train::recalibrate(model, *executor, *sources.train, parse_bits(verb.bits, model),
                       verb.recalibrate, seed_of(checkpoint), &progress);
  Result result;
  std::vector<std::vector<Precision>> precisions;
  for (const Setting& one : settings) {
    result.names.push_back(one.name);
    precisions.push_back(one.precisions);
  }
  progress.begin(fmt::format("{} images", verb.part), source->size(), "images");
  result.evaluation =
      train::evaluate(*executor, *source, precisions,
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
