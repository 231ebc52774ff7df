#include "instantnet/flow/stages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>

#include "instantnet/core/error.h"
#include "instantnet/images/memory.h"

namespace instantnet::flow {
namespace {

using Words = std::vector<std::string>;

std::string at(const std::string& name) { return fmt::format("{}/{}", kFolderMark, name); }

void append(Words& words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
}

/// A preset needs no file; a description of one's own is read.
void add_file_if_one(Words& inputs, const std::string& name) {
  if (name.ends_with(".yaml") || name.ends_with(".yml")) inputs.push_back(name);
}

/// Generated images are in the command already.
void add_data(Words& inputs, const std::string& path) {
  if (!images::is_synthetic(path)) inputs.push_back(path);
}

Stage search_stage(const PipelineOptions& options) {
  Stage stage;
  stage.name = "search";
  stage.command = {"search", "-c", at("search.yaml"), "-o", at("search")};
  stage.resume = {"--resume"};
  stage.afresh = {"--force"};
  stage.configs = {{at("search.yaml"), print_yaml(search_config(options))}};
  add_data(stage.inputs, training_data(options));
  stage.outputs = {at("search/network.yaml"), at("search/search.json")};
  return stage;
}

Stage train_stage(const PipelineOptions& options) {
  Stage stage;
  stage.name = "train";
  stage.command = {"train", "-c", at("train.yaml"), "-o", at("train")};
  stage.resume = {"--resume"};
  stage.afresh = {"--force"};
  stage.configs = {{at("train.yaml"), print_yaml(train_config(options))}};
  add_data(stage.inputs, training_data(options));
  if (options.network.empty()) {
    append(stage.command, {"--network", at("search/network.yaml")});
    stage.inputs.push_back(at("search/network.yaml"));
  } else {
    add_file_if_one(stage.inputs, options.network);
  }
  stage.outputs = {at("train/best"), at("train/config.yaml")};
  return stage;
}

Stage freeze_stage(const PipelineOptions& options) {
  Stage stage;
  stage.name = "freeze";
  stage.command = {"freeze",      at("train"),
                   "-o",          at("model.spnet"),
                   "--calibrate", std::to_string(options.freeze.calibrate),
                   "--headroom",  fmt::format("{}", options.freeze.headroom),
                   "--force"};
  if (!options.freeze.keep_float) stage.command.push_back("--no-float");
  stage.inputs = {at("train/best")};
  add_data(stage.inputs, training_data(options));
  stage.outputs = {at("model.spnet")};
  return stage;
}

Stage accuracy_stage(const PipelineOptions& options) {
  Stage stage;
  stage.name = "evaluate.accuracy";
  stage.command = {"infer", at("model.spnet"), "--data", evaluation_data(options), "--json"};
  if (options.evaluate.check > 0)
    append(stage.command, {"--check", std::to_string(options.evaluate.check)});
  stage.captured = at("accuracy.json");
  stage.inputs = {at("model.spnet")};
  add_data(stage.inputs, evaluation_data(options));
  stage.outputs = {at("accuracy.json")};
  return stage;
}

/// A verb that looks at the model and prints JSON.
Stage model_stage(const std::string& name, const std::string& verb, const std::string& file) {
  Stage stage;
  stage.name = name;
  stage.command = {verb, at("model.spnet"), "--json"};
  stage.captured = at(file);
  stage.inputs = {at("model.spnet")};
  stage.outputs = {at(file)};
  return stage;
}

/// `plans` is the folder for both forms of the plan, `network` the network.yaml.
Stage map_stage(const PipelineOptions& options, const std::string& accelerator,
                const std::string& search, const std::string& network, const std::string& plans) {
  const std::string plan = at(fmt::format("{}/{}", plans, device_name(accelerator)));
  Stage stage;
  stage.command = {"map",
                   "-n",
                   network,
                   "-a",
                   accelerator,
                   "--bits",
                   fmt::format("{}", fmt::join(options.bits, ",")),
                   "--objective",
                   options.map.objective,
                   "--search",
                   search,
                   "--factors",
                   options.map.factors,
                   "--mode",
                   options.map.mode,
                   "--seed",
                   std::to_string(options.seed),
                   "-o",
                   plan + ".yaml",
                   "--json"};
  if (options.map.time_limit > 0)
    append(stage.command, {"--time-limit", fmt::format("{}", options.map.time_limit)});
  stage.captured = plan + ".json";
  stage.inputs = {network};
  add_file_if_one(stage.inputs, accelerator);
  stage.outputs = {plan + ".yaml", plan + ".json"};
  return stage;
}

Stage bundle_stage(const std::string& device) {
  Stage stage;
  stage.name = "bundle." + device;
  const std::string plan = at(fmt::format("plans/{}.yaml", device));
  stage.command = {"bundle",     at("model.spnet"),  plan, "-o", at("bundles/" + device),
                   "--accuracy", at("accuracy.json")};
  stage.inputs = {at("model.spnet"), plan, at("accuracy.json")};
  stage.outputs = {at("bundles/" + device)};
  return stage;
}

Stage run_stage(const PipelineOptions& options, const std::string& device) {
  const std::string file = at("budget/" + device);
  Stage stage;
  stage.name = "run." + device;
  stage.command = {"run",     at("bundles/" + device), "--policy", options.budget.policy,
                   "--trace", options.budget.trace,    "--data",   evaluation_data(options),
                   "-o",      file + ".csv",           "--json"};
  stage.captured = file + ".json";
  stage.inputs = {at("bundles/" + device), options.budget.policy, options.budget.trace};
  add_data(stage.inputs, evaluation_data(options));
  stage.outputs = {file + ".json", file + ".csv"};
  return stage;
}

Stage rival_train_stage(const PipelineOptions& options, const Rival& rival) {
  const std::string folder = "rivals/" + rival.name;
  Stage stage;
  stage.name = fmt::format("rivals.{}.train", rival.name);
  stage.command = {"train", "-c", at(folder + "/train.yaml"), "-o", at(folder + "/train")};
  stage.resume = {"--resume"};
  stage.afresh = {"--force"};
  const Tree config = rival_config(options, rival);
  stage.configs = {{at(folder + "/train.yaml"), print_yaml(config)}};
  add_data(stage.inputs, training_data(options));
  if (const Tree* network = config.find("network"))
    add_file_if_one(stage.inputs, network->as_string());
  stage.outputs = {at(folder + "/train/best"), at(folder + "/train/config.yaml")};
  return stage;
}

Stage rival_accuracy_stage(const PipelineOptions& options, const Rival& rival) {
  const std::string folder = "rivals/" + rival.name;
  Stage stage;
  stage.name = fmt::format("rivals.{}.accuracy", rival.name);
  stage.command = {"eval", at(folder + "/train"), "--data", evaluation_data(options), "--json"};
  stage.captured = at(folder + "/accuracy.json");
  stage.inputs = {at(folder + "/train/best")};
  add_data(stage.inputs, evaluation_data(options));
  stage.outputs = {at(folder + "/accuracy.json")};
  return stage;
}

void add_rival(std::vector<Stage>& stages, const PipelineOptions& options, const Rival& rival) {
  const std::string folder = "rivals/" + rival.name;
  stages.push_back(rival_train_stage(options, rival));
  stages.push_back(rival_accuracy_stage(options, rival));
  for (size_t i = 0; i < rival.dataflows.size(); ++i) {
    const std::string& accelerator = options.map.accelerators[i];
    stages.push_back(map_stage(options, accelerator, "template:" + rival.dataflows[i],
                               at(folder + "/train/best/network.yaml"), folder + "/plans"));
    stages.back().name = fmt::format("rivals.{}.map.{}", rival.name, device_name(accelerator));
  }
}

/// Reads what all others made, and the logs of trainings and searches beside it.
Stage report_stage(const PipelineOptions& options, const std::vector<Stage>& before) {
  Stage stage;
  stage.name = "report";
  stage.command = {"report", kFolderMark, "-o", at("report.html")};
  if (!options.title.empty()) append(stage.command, {"--title", options.title});
  for (const Stage& one : before) {
    append(stage.inputs, one.outputs);
    if (one.command[0] == "train" || one.command[0] == "search")
      stage.inputs.push_back(one.command[4] + "/run.jsonl");
  }
  stage.outputs = {at("report.html")};
  return stage;
}

/// How a verb is told of its number of threads.
Words threads_of(const std::string& verb, int threads) {
  if (verb == "search" || verb == "train") return {"--set", fmt::format("threads={}", threads)};
  if (verb == "bundle" || verb == "inspect" || verb == "bench" || verb == "report") return {};
  return {"--threads", std::to_string(threads)};
}

}  // namespace

std::vector<Stage> stages_of(const PipelineOptions& options, int threads) {
  std::vector<Stage> stages;
  if (options.network.empty()) stages.push_back(search_stage(options));
  stages.push_back(train_stage(options));
  stages.push_back(freeze_stage(options));
  stages.push_back(accuracy_stage(options));
  stages.push_back(model_stage("evaluate.layers", "inspect", "model.json"));
  stages.push_back(model_stage("evaluate.latency", "bench", "bench.json"));
  for (const std::string& one : options.map.accelerators) {
    stages.push_back(
        map_stage(options, one, options.map.search, at("train/best/network.yaml"), "plans"));
    stages.back().name = "map." + device_name(one);
  }
  for (const std::string& one : options.map.accelerators)
    stages.push_back(bundle_stage(device_name(one)));
  if (!options.budget.policy.empty())
    for (const std::string& one : options.map.accelerators)
      stages.push_back(run_stage(options, device_name(one)));
  for (const Rival& rival : rivals_of(options)) add_rival(stages, options, rival);
  stages.push_back(report_stage(options, stages));
  for (Stage& stage : stages) stage.speed = threads_of(stage.command[0], threads);
  return stages;
}

std::string group_of(const std::string& name) { return name.substr(0, name.find('.')); }

std::pair<size_t, size_t> find_stages(const std::vector<Stage>& stages, const std::string& name,
                                      const std::string& where) {
  size_t first = stages.size(), last = 0;
  std::vector<std::string> known;
  for (size_t i = 0; i < stages.size(); ++i) {
    const std::string group = group_of(stages[i].name);
    if (known.empty() || known.back() != group) known.push_back(group);
    if (stages[i].name != name && !stages[i].name.starts_with(name + ".")) continue;
    first = std::min(first, i);
    last = i + 1;
  }
  if (first >= last)
    fail(where, fmt::format(
                    "there is no stage '{}'; there are {}{}.", name, fmt::join(known, ", "),
                    known.size() < stages.size() ? ", and theirs, such as " + stages[4].name : ""));
  return {first, last};
}

std::string in_folder(const std::string& path, const std::string& folder) {
  const std::string_view mark(kFolderMark);
  return path.starts_with(mark) ? folder + path.substr(mark.size()) : path;
}

}  // namespace instantnet::flow
