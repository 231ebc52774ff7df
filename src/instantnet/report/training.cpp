// Training curves: run.jsonl of `instantnet train`.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "instantnet/core/error.h"
#include "instantnet/net/spec.h"
#include "instantnet/report/pick.h"
#include "instantnet/report/sections.h"

namespace instantnet::report {
namespace {

constexpr const char* kNoTraining = "it is no record of 'instantnet train'";

Tree epoch_tree(const Tree& record) {
  Tree tree = Tree::map();
  tree.set("phase", Tree::of(need(record, "phase", kNoTraining).as_string()));
  tree.set("epoch", Tree::of(need(record, "epoch", kNoTraining).as_int()));
  tree.set("steps", Tree::of(need(record, "total_steps", kNoTraining).as_int()));
  tree.set("lr", number(need(record, "lr", kNoTraining)));
  for (const char* key : {"loss", "distill", "accuracy", "evaluation_loss"})
    copy_numbers(tree, record, key);
  copy_number(tree, record, "images_per_second");
  copy_number(tree, record, "seconds");
  return tree;
}

Accuracies accuracies_of(const Tree& map) {
  Accuracies all;
  for (const auto& [key, value] : map.entries)
    if (const Tree checked = number(value); checked.kind == Tree::Kind::Scalar)
      all.emplace_back(bits_of(key, value), checked.as_double());
  return all;
}

/// The last part of a path as it stands in a configuration.
std::string last_part(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return std::filesystem::path(path).filename().string();
}

void read_start(Training& training, const Tree& record) {
  training.network = need(record, "network", kNoTraining).as_string();
  training.loss = text_at(record, {"options", "loss", "kind"});
  training.measured.data = last_part(text_at(record, {"options", "data", "path"}));
  training.tree.set("network", Tree::of(training.network))
      .set("data", Tree::of(training.measured.data))
      .set("images", Tree::of(need(record, "images", kNoTraining).as_int()))
      .set("loss_kind", Tree::of(training.loss))
      .set("quantizer", Tree::of(text_at(record, {"options", "model", "quant", "kind"})))
      .set("seed", Tree::of(int_at(record, {"options", "seed"})));
}

void read_result(Training& training, const Tree& record) {
  training.measured.part = need(record, "evaluated_on", kNoTraining).as_string();
  training.measured.images = need(record, "images", kNoTraining).as_int();
  training.accuracy = accuracies_of(need(record, "accuracy", kNoTraining));
  training.tree.set("result", Tree::map()
                                  .set("part", Tree::of(training.measured.part))
                                  .set("images", Tree::of(training.measured.images))
                                  .set("accuracy", tree_of(training.accuracy)));
}

void read_shapes(Source& source, const std::string& folder, Measured& measured) {
  for (const char* checkpoint : {"best/network.yaml", "last/network.yaml"}) {
    const std::string path = joined(folder, checkpoint);
    if (!source.has(path)) continue;
    const NetworkSpec spec = network_from_tree(source.map(path));
    measured.input = {spec.channels, spec.height, spec.width};
    measured.classes = spec.classes;
    return;
  }
}

}  // namespace

const char* name_of(Role role) {
  return role == Role::Ours ? "ours" : role == Role::Rival ? "rival" : "independent";
}

Tree tree_of(const Accuracies& accuracy) {
  Tree tree = Tree::map();
  for (const auto& [bits, share] : accuracy) tree.set(std::to_string(bits), Tree::of(share));
  return tree;
}

Training read_training(Source& source, const std::string& folder, const std::string& name,
                       Role role) {
  const std::string path = joined(folder, "run.jsonl");
  Training training;
  training.name = name;
  training.role = role;
  training.measured.place = source.place(path);
  training.tree = Tree::map().set("name", Tree::of(name)).set("role", Tree::of(name_of(role)));
  Tree epochs = Tree::list();
  for (const Tree& record : source.records(path)) {
    const std::string event = text_at(record, {"event"});
    if (event == "start") read_start(training, record);
    if (event == "epoch") epochs.items.push_back(epoch_tree(record));
    if (event == "result") read_result(training, record);
  }
  if (training.network.empty())
    fail(source.place(path), "has no record 'start'; the file's beginning is missing.");
  training.tree.set("epochs", std::move(epochs));
  read_shapes(source, folder, training.measured);
  return training;
}

std::vector<Training> read_independent(Source& source, const std::string& folder) {
  constexpr std::string_view kPrefix = "bits-";
  std::vector<std::string> names = source.folders(folder);
  // By bit-width: bits-4 before bits-32.
  std::stable_sort(names.begin(), names.end(),
                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
  std::vector<Training> all;
  for (const std::string& name : names)
    if (name.starts_with(kPrefix) && source.has(joined(folder, name + "/run.jsonl")))
      all.push_back(read_training(source, joined(folder, name),
                                  fmt::format("{} bits alone", name.substr(kPrefix.size())),
                                  Role::Independent));
  return all;
}

}  // namespace instantnet::report
