#include "instantnet/flow/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "instantnet/core/error.h"

namespace instantnet::flow {
namespace {

/// Keys that stand once, for the whole flow.
const std::vector<std::string>& shared_keys() {
  static const std::vector<std::string> all = {"bits", "seed", "threads"};
  return all;
}

void refuse_shared_keys(const Tree& config, const std::string& name) {
  for (const std::string& key : shared_keys())
    if (const Tree* value = config.find(key))
      fail(value->where(),
           fmt::format("{} has a key '{}'; it holds for all stages: write it at the top instead.",
                       name, key));
}

/// `base` with the entries of `over` in place of its own, maps merged.
Tree merged(Tree base, const Tree& over) {
  for (const auto& [key, value] : over.entries) {
    const Tree* old = base.find(key);
    const bool both = old != nullptr && old->kind == Tree::Kind::Map;
    base.set(key, both && value.kind == Tree::Kind::Map ? merged(*old, value) : value);
  }
  return base;
}

/// What every training and the search share.
Tree shared_config(const PipelineOptions& options) {
  Tree bits = Tree::list();
  for (const int one : options.bits) bits.items.push_back(Tree::of(one));
  Tree tree = Tree::map().set("bits", bits);
  if (!options.data.entries.empty()) tree.set("data", options.data);
  return tree.set("seed", Tree::of(options.seed));
}

Rival rival_of(const std::string& name, const Tree& tree) {
  Rival rival;
  rival.name = name;
  rival.train = Tree::map();
  Fields f;
  f.add_keys("train", rival.train, "How it is trained.", "keys of train.yaml");
  f.add("dataflows", rival.dataflows, "One an accelerator.");
  try {
    read_fields(f, tree);
  } catch (const Error& error) {
    throw Error(fmt::format("{} (in rivals.{})", error.what(), name));
  }
  return rival;
}

/// Letters, digits, '-', '_' and '.': what is fit for the name of a file and a stage.
bool plain_name(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.front() != '.' && std::all_of(name.begin(), name.end(), fits);
}

std::string data_path(const Tree& config) {
  const Tree* data = config.find("data");
  const Tree* path = data == nullptr ? nullptr : data->find("path");
  if (path == nullptr)
    fail("data", "has no path; give the folder of a data set, as 'data: {path: ...}'.");
  return path->as_string();
}

void check_devices(const PipelineOptions& options) {
  if (options.map.accelerators.empty())
    fail("map.accelerators", "is empty; give at least one, for example [eyeriss, zc706].");
  std::set<std::string> names;
  for (const std::string& one : options.map.accelerators) {
    if (!plain_name(device_name(one)))
      fail("map.accelerators",
           fmt::format("'{}' has no name fit for a file; use letters, digits, '-' and '_'.", one));
    if (!names.insert(device_name(one)).second)
      fail("map.accelerators", fmt::format("'{}' is there twice.", device_name(one)));
  }
}

}  // namespace

Fields fields(FreezeOptions& options) {
  Fields f;
  f.add("calibrate", options.calibrate,
        "Training images that show how large the inputs of layers get that stay at 32 bits.",
        {1, 1e9, "images"});
  f.add("headroom", options.headroom,
        "Those layers' ranges in multiples of the largest input seen.", {1, 16, ""});
  f.add("keep_float", options.keep_float, "Keep the float32 weights, and with them 32 bits.");
  return f;
}

Fields fields(EvaluateOptions& options) {
  Fields f;
  f.add("data", options.data, "Data set to evaluate on; empty: the test part of data.path.");
  f.add("check", options.check,
        "Images whose every logit is compared with the slow reference at each width.",
        {0, 1e9, "images"});
  return f;
}

Fields fields(MapOptions& options) {
  Fields f;
  f.add("accelerators", options.accelerators, "Devices: presets or accelerator.yaml files.");
  f.add("objective", options.objective, "edp, energy, latency or throughput.");
  f.add("search", options.search, "exact, evolution, random or template:NAME.");
  f.add("factors", options.factors, "perfect or any.");
  f.add("mode", options.mode, "auto, multi-cycle or pipeline.");
  f.add("time_limit", options.time_limit, "Of one layer at one width; 0: none.", {0, 1e6, "s"});
  return f;
}

Fields fields(BudgetOptions& options) {
  Fields f;
  f.add("policy", options.policy, "policy.yaml; with trace, each bundle is run by it.");
  f.add("trace", options.trace, "CSV with budgets along time.");
  return f;
}

Fields fields(PipelineOptions& options) {
  Fields f;
  f.add("title", options.title, "Of the report; empty: the network's name.");
  f.add("bits", options.bits, "Bit-widths, ascending.", {1, 32, "bits"});
  f.add_keys("data", options.data, "Images of the search and of every training.",
             "keys of data in train.yaml");
  f.add("seed", options.seed, "Everything random comes from it.");
  f.add("threads", options.threads, "0: one a core.", {0, 1024, ""});
  f.add("network", options.network,
        "Trained without a search: a zoo name or a network.yaml; empty: search.");
  f.add_keys("search", options.search, "The search, but for bits, seed and threads.",
             "keys of search.yaml");
  f.add_keys("train", options.train, "The training, but for bits, seed, threads and network.",
             "keys of train.yaml");
  f.add_group("freeze", fields(options.freeze), "From the checkpoint to integers.");
  f.add_group("evaluate", fields(options.evaluate), "Accuracy of the integers.");
  f.add_group("map", fields(options.map), "How every layer runs on each device.");
  f.add_group("budget", fields(options.budget), "Bit-widths chosen by a budget along time.");
  f.add_keys("rivals", options.rivals, "Systems to compare with.",
             "names, each with 'train' (keys of train.yaml) and 'dataflows' (one template an "
             "accelerator)");
  return f;
}

PipelineOptions load_pipeline_options(const std::string& path,
                                      const std::vector<std::string>& sets) {
  PipelineOptions options;
  const Fields f = fields(options);
  if (!path.empty()) read_fields(f, read_yaml(path));
  for (const std::string& one : sets) set_field(f, one);
  check(options);
  return options;
}

void check(const PipelineOptions& options) {
  if (options.bits.empty()) fail("bits", "is empty; give at least one, for example [4, 8].");
  if (std::adjacent_find(options.bits.begin(), options.bits.end(), std::greater_equal<>()) !=
      options.bits.end())
    fail("bits",
         fmt::format("are [{}]; give them ascending, each once.", fmt::join(options.bits, ", ")));
  check_devices(options);
  if (options.budget.policy.empty() != options.budget.trace.empty())
    fail("budget", fmt::format("has a {} and no {}; give both or none.",
                               options.budget.policy.empty() ? "trace" : "policy",
                               options.budget.policy.empty() ? "policy" : "trace"));
  training_data(options);
  refuse_shared_keys(options.search, "search");
  refuse_shared_keys(options.train, "train");
  if (const Tree* network = options.train.find("network"))
    fail(network->where(), "train has a key 'network'; write it at the top instead.");
  for (const Rival& rival : rivals_of(options)) refuse_shared_keys(rival.train, "train");
}

std::vector<Rival> rivals_of(const PipelineOptions& options) {
  std::vector<Rival> rivals;
  const size_t devices = options.map.accelerators.size();
  for (const auto& [name, tree] : options.rivals.entries) {
    if (!plain_name(name))
      fail(tree.where(), fmt::format("the rival's name '{}' is not fit for a file; use letters, "
                                     "digits, '-' and '_'.",
                                     name));
    rivals.push_back(rival_of(name, tree));
    const size_t given = rivals.back().dataflows.size();
    if (given != devices)
      fail(tree.where(),
           fmt::format("rivals.{} has {} dataflow{} for {} accelerator{}; give one "
                       "for each.",
                       name, given, given == 1 ? "" : "s", devices, devices == 1 ? "" : "s"));
  }
  return rivals;
}

Tree search_config(const PipelineOptions& options) {
  return merged(shared_config(options), options.search);
}

Tree train_config(const PipelineOptions& options) {
  Tree shared = shared_config(options);
  if (!options.network.empty()) shared.set("network", Tree::of(options.network));
  return merged(std::move(shared), options.train);
}

Tree rival_config(const PipelineOptions& options, const Rival& rival) {
  return merged(shared_config(options), rival.train);
}

std::string device_name(const std::string& accelerator) {
  const std::filesystem::path path(accelerator);
  const bool file = path.extension() == ".yaml" || path.extension() == ".yml";
  return file ? path.stem().string() : accelerator;
}

std::string training_data(const PipelineOptions& options) {
  return data_path(train_config(options));
}

std::string evaluation_data(const PipelineOptions& options) {
  return options.evaluate.data.empty() ? training_data(options) : options.evaluate.data;
}

}  // namespace instantnet::flow
