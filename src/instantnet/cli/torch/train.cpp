// `instantnet train -c train.yaml`: a network from a config.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/cli/paths.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/torch/scores.h"
#include "instantnet/cli/torch/verbs.h"
#include "instantnet/core/config.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/progress.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"
#include "instantnet/data/loader.h"
#include "instantnet/train/checkpoint.h"
#include "instantnet/train/device.h"
#include "instantnet/train/loop.h"
#include "instantnet/train/options.h"

namespace instantnet::cli {
namespace {

namespace fs = std::filesystem;
using train::TrainOptions;
using train::TrainResult;

constexpr int kInterrupted = 130;  // 128 + SIGINT, what shells expect

struct TrainVerbOptions {
  std::string config;
  std::vector<std::string> sets;
  std::string preset;
  std::string network;
  std::string folder;  // empty: runs/ and the name of the config
  bool resume = false, force = false, json = false, dry_run = false;
};

// ---- Ctrl-C: the first asks the run to stop, the second kills.

std::atomic<bool> stop_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

extern "C" void on_interrupt(int signal_number) {
  constexpr std::string_view kSays =
      "\ninstantnet: stopping after this minibatch; once more to stop at once\n";
  stop_asked.store(true);
  std::signal(signal_number, SIG_DFL);
  [[maybe_unused]] const auto ignored = ::write(STDERR_FILENO, kSays.data(), kSays.size());
}

void listen_for_interrupts() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
}

// ---- Options

bool is_folder(const std::string& folder) {
  std::error_code ignored;
  return fs::is_directory(folder, ignored);
}

std::string folder_of(const TrainVerbOptions& verb) {
  if (!verb.folder.empty()) return plain_path(verb.folder);
  const std::string stem = fs::path(verb.config).stem().string();
  return plain_path("runs/" + (stem.empty() ? "train" : stem));
}

TrainOptions options_of(const TrainVerbOptions& verb, const std::string& folder) {
  std::vector<std::string> sets = verb.sets;
  if (!verb.preset.empty()) sets.insert(sets.begin(), "preset=" + verb.preset);
  if (!verb.network.empty()) sets.push_back("network=" + verb.network);
  const bool as_before = verb.resume && verb.config.empty() && verb.preset.empty();
  if (as_before && is_folder(folder)) recover_folder(folder + "/last");
  if (as_before && fs::exists(folder + "/last/checkpoint.yaml"))
    return train::load_train_options(train::load_checkpoint(folder + "/last").run_options, sets);
  return train::load_train_options(verb.config, sets);
}

// ---- The folder

/// Everything that train() writes, and nothing else.
std::vector<fs::path> parts_of_run(const std::string& folder) {
  std::vector<fs::path> parts;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name == "last" || name == "best" || name == "float" || name == "kept" ||
                      name == "run.jsonl" || name == train::kEventFile || name.starts_with("bits-");
    if (ours) parts.push_back(entry.path());
  }
  return parts;
}

/// Error for data or a network that training would refuse: before a run is removed for it.
void check_startable(const TrainOptions& options) {
  train::check_device(options.device, "device");
  const data::Sources sources = data::open_sources(options.data, options.seed);
  train::resolve_network(options, sources.train->classes(), sources.train->shape());
}

/// A run in the folder is continued with --resume, removed with --force, and otherwise kept.
void make_room(const std::string& folder, const TrainVerbOptions& verb,
               const TrainOptions& options) {
  if (fs::exists(folder) && !is_folder(folder))
    fail(folder, "is a file; give -o the path of a folder.");
  if (verb.resume || !is_folder(folder)) return;
  const std::vector<fs::path> parts = parts_of_run(folder);
  if (!parts.empty() && !verb.force)
    fail(folder,
         "holds a run already; continue it with --resume, replace it with --force, or give another "
         "folder with -o.");
  if (!parts.empty()) check_startable(options);
  for (const fs::path& part : parts) fs::remove_all(part);
}

// ---- What is printed

std::string percent(double share) { return fmt::format("{:.2f}", 100 * share); }

std::vector<std::string> row_of(const std::string& name, const train::Evaluation& evaluation) {
  std::vector<std::string> row = {name};
  for (const train::Score& score : evaluation.scores) row.push_back(percent(score.accuracy));
  return row;
}

std::string loss_name(const TrainOptions& options) {
  for (const auto& [kind, name] : names_of(train::LossKind{}))
    if (kind == options.loss.kind) return name;
  return "network";
}

std::vector<std::string> difference_row(const TrainResult& result) {
  std::vector<std::string> row = {"difference"};
  for (size_t i = 0; i < result.evaluation.scores.size(); ++i)
    row.push_back(fmt::format("{:+.2f}", 100 * (result.evaluation.scores[i].accuracy -
                                                result.independent.scores.at(i).accuracy)));
  return row;
}

std::string result_text(const TrainOptions& options, const TrainResult& result,
                        const std::string& folder) {
  std::vector<std::string> header = {"accuracy %"};
  for (const int bits : result.bits) header.push_back(fmt::format("{} bits", bits));
  std::vector<std::vector<std::string>> rows = {row_of(loss_name(options), result.evaluation)};
  if (!result.independent.scores.empty()) {
    rows.push_back(row_of("independent", result.independent));
    rows.push_back(difference_row(result));
  }
  return table_text(header, rows) + fmt::format("{} test images; {} this time; checkpoints in {}",
                                                result.evaluation.images,
                                                duration_text(result.seconds), folder);
}

Tree result_tree(const TrainResult& result, const std::string& folder) {
  const std::vector<std::string> names = width_names(result.bits);
  Tree tree = scores_tree(names, result.evaluation);
  if (!result.independent.scores.empty())
    tree.set("independent", scores_tree(names, result.independent));
  return tree.set("folder", Tree::of(folder)).set("seconds", Tree::of(result.seconds));
}

std::string resume_command(const TrainVerbOptions& verb, const std::string& folder) {
  std::string command = "instantnet train";
  if (!verb.config.empty()) command += " -c " + verb.config;
  if (!verb.preset.empty()) command += " --preset " + verb.preset;
  if (!verb.network.empty()) command += " --network " + verb.network;
  for (const std::string& one : verb.sets) command += " --set '" + one + "'";
  return command + " -o " + folder + " --resume";
}

std::string help_text() {
  TrainOptions options;
  std::string text = "Presets:\n";
  for (const std::string& name : train::preset_names())
    text += fmt::format("  {}\n{}\n", name, wrap_text(train::describe_preset(name), 80, 6));
  return text + "\nKeys of train.yaml and --set, with their defaults:\n" + explain(fields(options));
}

void train_verb(const TrainVerbOptions& verb) {
  const std::string folder = folder_of(verb);
  TrainOptions options = options_of(verb, folder);
  if (verb.dry_run) return print_text(print_yaml(to_tree(fields(options))));
  make_room(folder, verb, options);
  listen_for_interrupts();
  PrintedProgress progress(stderr);
  const TrainResult result = train::train(options, folder, verb.resume, progress, &stop_asked);
  if (result.stopped) {
    std::fprintf(stderr, "instantnet: stopped after %lld minibatches, saved; continue with: %s\n",
                 static_cast<long long>(result.state.total_steps),
                 resume_command(verb, folder).c_str());
    throw CLI::RuntimeError(kInterrupted);
  }
  print_text(verb.json ? print_json(result_tree(result, folder), 2)
                       : result_text(options, result, folder));
}

}  // namespace

void add_train(CLI::App& app) {
  const auto options = std::make_shared<TrainVerbOptions>();
  CLI::App* verb = app.add_subcommand("train", "Train one set of weights for several bit-widths");
  verb->add_option("-c,--config", options->config, "train.yaml; without it, the preset's values");
  verb->add_option(
          "--set", options->sets,
          "key=value on top of the config, for example --set bits=2,4,8,32; may be repeated")
      ->take_all()
      ->expected(1);
  verb->add_option("--preset", options->preset,
                   "Where keys that are not given come from; see below")
      ->default_str("default");
  verb->add_option("--network", options->network,
                   "Name in the zoo, or a network.yaml, in place of the config's");
  verb->add_option("-o,--out", options->folder, "Folder for checkpoints and logs")
      ->default_str("runs/ and the name of the config");
  CLI::Option* resume = verb->add_flag(
      "--resume", options->resume,
      "Continue the run in the folder where it stopped; with no -c, with the options it had");
  verb->add_flag("--force", options->force, "Replace a run that is in the folder")
      ->excludes(resume);
  verb->add_flag("--json", options->json, "Print the result as JSON");
  verb->add_flag("--dry-run", options->dry_run, "Print the resolved options and stop");
  verb->footer([] { return help_text(); });
  verb->callback([options] { train_verb(*options); });
}

}  // namespace instantnet::cli
