// `instantnet pipeline -c pipeline.yaml`: from images to a deployed network and its report.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/bundle/budget.h"
#include "instantnet/cli/folder_lock.h"
#include "instantnet/cli/frozen_model.h"
#include "instantnet/cli/paths.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/process.h"
#include "instantnet/cli/torch/verbs.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/config.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/progress.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"
#include "instantnet/flow/options.h"
#include "instantnet/flow/run.h"
#include "instantnet/images/memory.h"
#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/search.h"
#include "instantnet/nas/options.h"
#include "instantnet/train/options.h"

namespace instantnet::cli {
namespace {

namespace fs = std::filesystem;
using flow::FlowRequest;
using flow::FlowResult;
using flow::PipelineOptions;
using flow::Stage;
using flow::Step;
using flow::Verdict;

constexpr int kInterrupted = 130;  // 128 + SIGINT, what shells expect

struct PipelineVerbOptions {
  std::string config;
  std::vector<std::string> sets;
  std::string folder;  // empty: runs/ and the name of the config
  std::string from, to;
  bool resume = false, force = false, dry_run = false, json = false;
};

// ---- Mistakes that would else be found hours later

void check_file(const std::string& path, const std::string& key) {
  if (!images::is_synthetic(path) && !fs::exists(path))
    fail(key, fmt::format("'{}' is not there; give the path of a file or folder.", path));
}

void check_dataflow(const std::string& name, const std::string& rival) {
  std::vector<std::string> known;
  for (const auto& [one, sentence] : mapper::templates()) known.push_back(one);
  if (std::find(known.begin(), known.end(), name) == known.end())
    fail(fmt::format("rivals.{}.dataflows", rival),
         fmt::format("there is no dataflow '{}'{}", name, suggestion(name, known)));
}

/// Error for what any stage would refuse of its options, as far as it can be known now.
void check_all(const PipelineOptions& options) {
  if (options.network.empty()) nas::load_search_options(flow::search_config(options));
  train::load_train_options(flow::train_config(options));
  for (const flow::Rival& rival : flow::rivals_of(options)) {
    train::load_train_options(flow::rival_config(options, rival));
    for (const std::string& one : rival.dataflows) check_dataflow(one, rival.name);
  }
  for (const std::string& one : options.map.accelerators) mapper::find_accelerator(one);
  check_file(flow::training_data(options), "data.path");
  check_file(flow::evaluation_data(options), "evaluate.data");
  if (options.budget.policy.empty()) return;
  bundle::read_policy(options.budget.policy);
  bundle::parse_trace(read_file(options.budget.trace), options.budget.trace);
}

// ---- The folder

std::string folder_of(const PipelineVerbOptions& verb) {
  if (!verb.folder.empty()) {
    const std::string path = fs::path(verb.folder).lexically_normal().string();
    return path.size() > 1 && path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
  }
  const std::string stem = fs::path(verb.config).stem().string();
  return "runs/" + (stem.empty() ? "pipeline" : stem);
}

PipelineOptions options_of(const PipelineVerbOptions& verb, const std::string& folder) {
  const std::string before = folder + "/pipeline.yaml";
  if (!verb.config.empty()) return flow::load_pipeline_options(verb.config, verb.sets);
  if (fs::exists(before)) return flow::load_pipeline_options(before, verb.sets);
  fail("pipeline", "has no config; give one with -c, for example configs/pipeline.yaml.");
}

// ---- What is said

std::string command_text(const std::vector<std::string>& words, const std::string& folder) {
  std::string text = "instantnet";
  for (const std::string& word : words) text += " " + flow::in_folder(word, folder);
  return text;
}

const char* verdict_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::UpToDate:
      return "up to date";
    case Verdict::Run:
      return "run";
    case Verdict::Continued:
      return "continued";
    case Verdict::Perhaps:
      return "perhaps";
    case Verdict::Beyond:
      return "later";
  }
  bug("a verdict without a name.");
}

void say(size_t number, size_t of, const Step& step, const Stage& stage,
         const std::string& folder) {
  const std::string head = fmt::format("[{}/{}] {}", number + 1, of, step.stage);
  if (step.verdict == Verdict::UpToDate)
    return (void)std::fprintf(stderr, "%s: up to date\n", head.c_str());
  if (step.verdict == Verdict::Beyond) return;
  std::fprintf(stderr, "%s (%s): %s\n", head.c_str(), step.why.c_str(),
               command_text(stage.command, folder).c_str());
}

std::string result_text(const FlowResult& result) {
  std::vector<std::vector<std::string>> rows;
  double seconds = 0;
  for (const Step& step : result.steps) {
    const bool ran = step.seconds > 0;
    rows.push_back(
        {step.stage, verdict_text(step.verdict), step.why, ran ? duration_text(step.seconds) : ""});
    seconds += step.seconds;
  }
  return table_text({"stage", "", "why", "time"}, rows) +
         (seconds > 0 ? fmt::format("{} in all\n", duration_text(seconds)) : "");
}

Tree result_tree(const FlowResult& result, const std::string& folder) {
  Tree steps = Tree::list();
  for (const Step& step : result.steps)
    steps.items.push_back(Tree::map()
                              .set("stage", Tree::of(step.stage))
                              .set("what", Tree::of(verdict_text(step.verdict)))
                              .set("why", Tree::of(step.why))
                              .set("seconds", Tree::of(step.seconds)));
  return Tree::map()
      .set("folder", Tree::of(folder))
      .set("failed", Tree::of(result.failed))
      .set("stages", std::move(steps));
}

std::string resume_command(const PipelineVerbOptions& verb, const std::string& folder) {
  std::string command = "instantnet pipeline";
  if (!verb.config.empty()) command += " -c " + verb.config;
  for (const std::string& one : verb.sets) command += " --set '" + one + "'";
  return command + " -o " + folder + " --resume";
}

[[noreturn]] void end_failed(const FlowResult& result, const PipelineVerbOptions& verb,
                             const std::string& folder) {
  const bool stopped = result.code == kInterrupted || result.code == 128 + 15;
  if (!stopped && result.code != 2)
    std::fprintf(stderr, "instantnet: stage '%s' ended with exit code %d\n", result.failed.c_str(),
                 result.code);
  std::fprintf(stderr, "instantnet: %s in stage '%s'; go on with: %s\n",
               stopped ? "stopped" : "the flow ends", result.failed.c_str(),
               resume_command(verb, folder).c_str());
  throw CLI::RuntimeError(result.code);
}

// ---- The verb

FlowRequest request_of(const PipelineVerbOptions& verb, const std::string& folder) {
  FlowRequest request;
  request.folder = folder;
  const std::string version = version_text();
  request.program = version.substr(0, version.find('\n'));
  request.from = verb.from;
  request.to = verb.to;
  request.resume = verb.resume;
  request.force = verb.force;
  request.dry_run = verb.dry_run;
  return request;
}

void pipeline_verb(const PipelineVerbOptions& verb) {
  const std::string folder = folder_of(verb);
  PipelineOptions options = options_of(verb, folder);
  check_all(options);
  if (fs::exists(folder) && !fs::is_directory(folder))
    fail(folder, "is a file; give -o the path of a folder.");
  const std::vector<Stage> stages = flow::stages_of(options, threads_or_all(options.threads));
  std::unique_ptr<FolderLock> lock;
  if (!verb.dry_run) {
    make_folders(folder);
    lock = std::make_unique<FolderLock>(folder, "a pipeline");
    write_file_atomic(folder + "/pipeline.yaml", print_yaml(to_tree(fields(options))));
  }
  const auto runner = [&](const std::vector<std::string>& command, bool quiet) {
    return run_this_program(command, quiet       ? Output::Captured
                                     : verb.json ? Output::AsNotes
                                                 : Output::Shown);
  };
  const auto listener = [&](size_t number, size_t of, const Step& step, bool ended) {
    if (!ended) say(number, of, step, stages[number], folder);
  };
  const FlowResult result = run_flow(stages, request_of(verb, folder), runner, listener);
  if (!result.failed.empty()) end_failed(result, verb, folder);
  if (verb.json) return print_text(print_json(result_tree(result, folder), 2));
  std::string text = result_text(result);
  const std::string report = folder + "/report.html";
  if (!verb.dry_run && result.steps.back().verdict != Verdict::Beyond)
    text += fmt::format("report: {}\n", fs::absolute(report).lexically_normal().string());
  print_text(text);
}

std::string help_text() {
  PipelineOptions options;
  return "Stages: search, train, freeze, evaluate, map, bundle, run, rivals, report.\n\nKeys of "
         "pipeline.yaml and --set, with their defaults:\n" +
         explain(fields(options));
}

}  // namespace

void add_pipeline(CLI::App& app) {
  const auto options = std::make_shared<PipelineVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "pipeline",
      "The whole flow from one config: search, train, freeze, map, bundle, run, report");
  verb->add_option("-c,--config", options->config,
                   "pipeline.yaml; without it, that of the folder given by -o");
  verb->add_option(
          "--set", options->sets,
          "key=value on top of the config, for example --set train.epochs=3; may be repeated")
      ->take_all()
      ->expected(1);
  verb->add_option("-o,--out", options->folder, "Folder for everything the stages make")
      ->default_str("runs/ and the name of the config");
  verb->add_option("--from", options->from,
                   "Run this stage, up to date or not, and none before it");
  verb->add_option("--to", options->to, "Stop behind this stage");
  CLI::Option* resume =
      verb->add_flag("--resume", options->resume,
                     "Go on with a stage that was interrupted, not from its beginning");
  verb->add_flag("--force", options->force, "Run stages that are up to date, too")
      ->excludes(resume);
  verb->add_flag("--dry-run", options->dry_run, "Tell which stages would run and why, and stop");
  verb->add_flag("--json", options->json, "Print JSON");
  verb->footer([] { return help_text(); });
  verb->callback([options] { pipeline_verb(*options); });
}

}  // namespace instantnet::cli
