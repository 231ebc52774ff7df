// The parts of a report, one file each: read, checked, and turned into a part of the document.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/core/tree.h"
#include "instantnet/mapper/plan.h"
#include "instantnet/report/source.h"

namespace instantnet::report {

using Accuracies = std::vector<std::pair<int, double>>;  // by bit-width, 0..1

/// What a network was trained and measured on; empty or 0: not known.
struct Measured {
  std::string place;  // where it says so, for messages
  std::string data;   // the data set's folder or file, without the way there
  std::string part;   // "test"
  int64_t images = 0;
  std::vector<int64_t> input;  // channels, height, width
  int64_t classes = 0;
};

/// Who made a network.
enum class Role { Ours, Independent, Rival };
const char* name_of(Role role);

/// A run of `instantnet train`.
struct Training {
  std::string name, network, loss;
  Role role = Role::Ours;
  Measured measured;
  Accuracies accuracy;  // at its end; empty while it runs
  Tree tree;
};
/// `folder` has a run.jsonl.
Training read_training(Source& source, const std::string& folder, const std::string& name,
                       Role role);
/// The networks trained beside it, one a bit-width: `folder`/bits-N.
std::vector<Training> read_independent(Source& source, const std::string& folder);

/// A run of `instantnet search`: `folder` has a search.json or the run.jsonl of a search.
Tree read_search(Source& source, const std::string& folder);
/// Whether a run.jsonl is a search's.
bool is_search(const std::vector<Tree>& records);

/// A network on a device.
struct DevicePlan {
  std::string place, device, network;
  std::vector<int> bits;
  Tree totals;  // what the figure of accuracy against cost needs
  Tree tree;    // all of it
};
/// `device`: what the report calls it.
DevicePlan device_plan(const mapper::MappingPlan& plan, const std::string& place,
                       const std::string& device);
/// The plans in `folder`, by name of the file.
std::vector<DevicePlan> read_plans(Source& source, const std::string& folder);

/// The frozen network: sizes, measured times, exactness.
struct Deployment {
  std::string network, place;
  std::vector<int> bits;
  Accuracies accuracy;
  Measured measured;
  std::vector<DevicePlan> plans;  // of bundles
  bool any = false;
  Tree tree = Tree::map();
};
/// model.json, accuracy.json, bench.json, bundles/ or manifest.yaml of the source's folder.
Deployment read_deployment(Source& source);
/// accuracy.json of `folder` into `accuracy` and `measured`, when there is one.
bool read_accuracy(Source& source, const std::string& folder, Accuracies& accuracy,
                   Measured& measured);

/// budget/NAME.json and NAME.csv.
Tree read_budgets(Source& source);

/// Configurations, stages, digests, files. Last, since it lists what was read.
Tree provenance(Source& source, const std::vector<std::string>& trainings);

/// A line of the figure of accuracy against cost.
struct System {
  std::string name, network, loss, accuracy_from;
  Role role = Role::Ours;
  Accuracies accuracy;
  Measured measured;
  std::vector<DevicePlan> plans;
};
Tree tree_of(const System& system);
/// rivals/NAME.
std::vector<System> read_rivals(Source& source, std::vector<Training>& trainings);

/// All that one folder holds.
struct Run {
  std::string name, network;
  std::string title;  // its pipeline.yaml's; empty: none
  std::vector<System> systems;
  Tree tree;
};
Run read_run(const std::string& folder, const std::string& name);

/// Error naming two systems of the report that were measured on different things, and what differs.
void check_together(const std::vector<Run>& runs);
/// Error when a plan is another network's or of other bit-widths than the system.
void check_plans(const System& system);

/// {"4": 0.86}
Tree tree_of(const Accuracies& accuracy);

}  // namespace instantnet::report
