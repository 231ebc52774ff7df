// Everything a user can set about the whole flow: pipeline.yaml and `--set`.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/core/config.h"
#include "instantnet/core/tree.h"

namespace instantnet::flow {

/// The keys of `freeze`.
struct FreezeOptions {
  int64_t calibrate = 512;
  double headroom = 1.25;
  bool keep_float = true;
};
Fields fields(FreezeOptions& options);

/// The keys of `evaluate`.
struct EvaluateOptions {
  std::string data;  // empty: the training data's own test part
  int64_t check = 0;
};
Fields fields(EvaluateOptions& options);

/// The keys of `map`.
struct MapOptions {
  std::vector<std::string> accelerators = {"eyeriss", "zc706"};
  std::string objective = "edp";
  std::string search = "exact";
  std::string factors = "any";
  std::string mode = "auto";
  double time_limit = 0;  // seconds a layer and width; 0: none
};
Fields fields(MapOptions& options);

/// The keys of `budget`.
struct BudgetOptions {
  std::string policy, trace;  // both empty: no such stage
};
Fields fields(BudgetOptions& options);

/// A system to compare with: trained its own way, mapped by an expert dataflow on each device.
struct Rival {
  std::string name;
  Tree train;                          // keys of train.yaml
  std::vector<std::string> dataflows;  // one an accelerator, as `map --search template:NAME`
};

/// pipeline.yaml.
struct PipelineOptions {
  std::string title;
  std::vector<int> bits = {4, 8, 12, 16, 32};
  Tree data = Tree::map();  // keys of `data` in train.yaml, for all trainings
  uint64_t seed = 1;
  int threads = 0;            // 0: one a core
  std::string network;        // trained as it is; empty: searched
  Tree search = Tree::map();  // keys of search.yaml
  Tree train = Tree::map();   // keys of train.yaml
  FreezeOptions freeze;
  EvaluateOptions evaluate;
  MapOptions map;
  BudgetOptions budget;
  Tree rivals = Tree::map();  // name -> {train: ..., dataflows: [...]}
};

/// All keys of pipeline.yaml. References into `options`.
Fields fields(PipelineOptions& options);

/// The keys of the file, then the `key=value` pairs, then check. An empty path means no file. Error
/// with file and line.
PipelineOptions load_pipeline_options(const std::string& path,
                                      const std::vector<std::string>& sets = {});

/// Error, one sentence, for anything the flow could not start with.
void check(const PipelineOptions& options);

/// The rivals in the order of the file. Error for a key that is none, or another number of
/// dataflows than of accelerators.
std::vector<Rival> rivals_of(const PipelineOptions& options);

/// What the search, the training and a rival's training are run with: the flow's bits, data and
/// seed, with the keys of their own over them. Keys keep the places they came from.
Tree search_config(const PipelineOptions& options);
Tree train_config(const PipelineOptions& options);
Tree rival_config(const PipelineOptions& options, const Rival& rival);

/// The name of a device in files and stages: a preset's own, or the file's without folder and
/// ending.
std::string device_name(const std::string& accelerator);

/// Where the images come from that the flow is evaluated on, and those it is trained on.
std::string evaluation_data(const PipelineOptions& options);
std::string training_data(const PipelineOptions& options);

}  // namespace instantnet::flow
