// One folder: which parts it has, and all of them together.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/net/spec.h"
#include "instantnet/report/pick.h"
#include "instantnet/report/sections.h"

namespace instantnet::report {
namespace {

namespace fs = std::filesystem;

/// Where the training and the search lie, if there are any; "" is the folder itself.
struct Places {
  std::optional<std::string> train, search;
};

Places places_of(Source& source) {
  Places places;
  if (source.has("train/run.jsonl")) places.train = "train";
  if (source.has("search/search.json") || source.has("search/run.jsonl")) places.search = "search";
  if (source.has("search.json")) {
    places.search = "";
  } else if (source.has("run.jsonl")) {
    (is_search(source.records("run.jsonl")) ? places.search : places.train) = "";
  }
  return places;
}

Tree list_of(const std::vector<Training>& trainings) {
  Tree list = Tree::list();
  for (const Training& one : trainings) list.items.push_back(one.tree);
  return list;
}

/// In the order in which a pipeline's configuration names the devices; others behind.
void sort_as_asked(std::vector<DevicePlan>& plans, const Tree& pipeline) {
  const Tree* asked = find_at(pipeline, {"map", "accelerators"});
  if (asked == nullptr) return;
  const auto rank = [&](const DevicePlan& plan) {
    size_t at = 0;
    while (at < asked->items.size() && fs::path(asked->items[at].scalar).stem() != plan.device)
      ++at;
    return at;
  };
  std::stable_sort(plans.begin(), plans.end(),
                   [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

/// The plans of the folder; those of bundles only for other devices.
std::vector<DevicePlan> plans_of(Source& source, const Deployment& deployment,
                                 const Tree& pipeline) {
  std::vector<DevicePlan> plans = read_plans(source, "plans");
  for (const DevicePlan& one : deployment.plans)
    if (std::none_of(plans.begin(), plans.end(),
                     [&](const DevicePlan& other) { return other.device == one.device; }))
      plans.push_back(one);
  sort_as_asked(plans, pipeline);
  return plans;
}

System our_system(const Training* training, const Deployment& deployment,
                  std::vector<DevicePlan> plans) {
  System ours;
  ours.name = "ours";
  if (training != nullptr) {
    ours.network = training->network;
    ours.loss = training->loss;
    ours.accuracy = training->accuracy;
    ours.measured = training->measured;
    ours.accuracy_from = "training";
  }
  if (!deployment.network.empty()) ours.network = deployment.network;
  if (!deployment.accuracy.empty()) {
    ours.accuracy = deployment.accuracy;
    ours.accuracy_from = "the frozen network";
    if (!deployment.measured.place.empty()) {
      ours.measured.place = deployment.measured.place;
      ours.measured.images = deployment.measured.images;
    }
  }
  if (!deployment.measured.input.empty()) {
    ours.measured.input = deployment.measured.input;
    ours.measured.classes = deployment.measured.classes;
  }
  if (ours.measured.place.empty()) ours.measured.place = deployment.place;
  ours.plans = std::move(plans);
  if (ours.network.empty() && !ours.plans.empty()) ours.network = ours.plans.front().network;
  check_plans(ours);
  return ours;
}

/// The networks trained alone, together: each at its own bit-width.
void add_independent(std::vector<System>& systems, const std::vector<Training>& trainings) {
  System system;
  system.name = "independent";
  system.role = Role::Independent;
  for (const Training& one : trainings) {
    if (one.role != Role::Independent) continue;
    system.network = one.network;
    system.loss = one.loss;
    system.measured = one.measured;
    system.accuracy.insert(system.accuracy.end(), one.accuracy.begin(), one.accuracy.end());
  }
  std::sort(system.accuracy.begin(), system.accuracy.end());
  system.accuracy_from = "training";
  if (!system.accuracy.empty()) systems.push_back(std::move(system));
}

Tree network_tree(const NetworkSpec& spec) {
  return Tree::map()
      .set("name", Tree::of(spec.name))
      .set("input",
           Tree::list({Tree::of(spec.channels), Tree::of(spec.height), Tree::of(spec.width)}))
      .set("classes", Tree::of(spec.classes))
      .set("layers", Tree::of(static_cast<int64_t>(layers(spec).size())))
      .set("macs", Tree::of(count_macs(spec)))
      .set("parameters", Tree::of(count_parameters(spec)));
}

/// The network's facts, from the first network.yaml that there is.
Tree read_network_tree(Source& source, const Places& places) {
  std::vector<std::string> paths;
  if (places.train)
    for (const char* checkpoint : {"best/network.yaml", "last/network.yaml"})
      paths.push_back(joined(*places.train, checkpoint));
  if (places.search) paths.push_back(joined(*places.search, "network.yaml"));
  for (const std::string& path : paths)
    if (source.has(path)) return network_tree(network_from_tree(source.map(path)));
  return {};
}

[[noreturn]] void refuse_empty(const std::string& folder) {
  fail(folder,
       "holds nothing to report; give a folder that 'instantnet pipeline', 'train', 'search' or "
       "'bundle' wrote.");
}

std::vector<Training> read_trainings(Source& source, const Places& places) {
  std::vector<Training> all;
  if (!places.train) return all;
  all.push_back(read_training(source, *places.train, "ours", Role::Ours));
  for (Training& one : read_independent(source, *places.train)) all.push_back(std::move(one));
  return all;
}

/// The folders of trainings whose configurations are shown.
std::vector<std::string> configured(Source& source, const Places& places) {
  std::vector<std::string> folders;
  if (places.train) folders.push_back(*places.train);
  for (const std::string& rival : source.folders("rivals"))
    folders.push_back(joined("rivals", rival + "/train"));
  return folders;
}

Tree systems_tree(const std::vector<System>& systems) {
  Tree list = Tree::list();
  for (const System& one : systems) list.items.push_back(tree_of(one));
  return list;
}

Tree plans_tree(const std::vector<DevicePlan>& plans) {
  Tree list = Tree::list();
  for (const DevicePlan& plan : plans) list.items.push_back(plan.tree);
  return list;
}

/// Sets the part unless there is nothing in it.
void set_part(Tree& tree, const char* key, Tree part) {
  if (!part.items.empty() || !part.entries.empty()) tree.set(key, std::move(part));
}

}  // namespace

Run read_run(const std::string& folder, const std::string& name) {
  Source source(folder);
  const Places places = places_of(source);
  const Tree pipeline = source.has("pipeline.yaml") ? source.map("pipeline.yaml") : Tree::map();
  std::vector<Training> trainings = read_trainings(source, places);
  const Deployment deployment = read_deployment(source);
  const std::vector<DevicePlan> plans = plans_of(source, deployment, pipeline);
  if (!places.train && !places.search && !deployment.any && plans.empty()) refuse_empty(folder);

  Run run;
  run.name = name;
  run.title = text_at(pipeline, {"title"});
  System ours = our_system(places.train ? &trainings.front() : nullptr, deployment, plans);
  run.network = ours.network;
  if (!ours.accuracy.empty() || !ours.plans.empty()) run.systems.push_back(std::move(ours));
  add_independent(run.systems, trainings);
  for (System& rival : read_rivals(source, trainings)) run.systems.push_back(std::move(rival));

  run.tree = Tree::map().set("name", Tree::of(name)).set("network", Tree::of(run.network));
  set_part(run.tree, "facts", read_network_tree(source, places));
  run.tree.set("systems", systems_tree(run.systems));
  set_part(run.tree, "training", list_of(trainings));
  if (places.search) run.tree.set("search", read_search(source, *places.search));
  set_part(run.tree, "mapping", plans_tree(plans));
  set_part(run.tree, "deployment", deployment.tree);
  set_part(run.tree, "budget", read_budgets(source));
  run.tree.set("provenance", provenance(source, configured(source, places)));
  return run;
}

}  // namespace instantnet::report
