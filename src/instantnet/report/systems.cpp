// Accuracy against what it costs: one system for us, one for each rival.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "instantnet/core/error.h"
#include "instantnet/report/pick.h"
#include "instantnet/report/sections.h"

namespace instantnet::report {
namespace {

std::vector<int> bits_of(const Accuracies& accuracy) {
  std::vector<int> bits;
  for (const auto& [one, share] : accuracy) bits.push_back(one);
  std::sort(bits.begin(), bits.end());
  return bits;
}

/// One that is said to be known by both and differs, as a sentence about `b`; else nothing.
std::string difference(const Measured& a, const Measured& b) {
  const auto differ = [&](const std::string& verb, const auto& ours, const auto& theirs) {
    return fmt::format("{} {}, but {} {} {}", verb, theirs, a.place, verb, ours);
  };
  if (!a.data.empty() && !b.data.empty() && a.data != b.data)
    return differ("was trained on", a.data, b.data);
  if (!a.input.empty() && !b.input.empty() && a.input != b.input)
    return differ("takes images of", fmt::format("{}", fmt::join(a.input, "x")),
                  fmt::format("{}", fmt::join(b.input, "x")));
  if (a.classes != 0 && b.classes != 0 && a.classes != b.classes)
    return differ("tells apart", fmt::format("{} classes", a.classes),
                  fmt::format("{} classes", b.classes));
  if (!a.part.empty() && !b.part.empty() && a.part != b.part)
    return differ("was measured on the images of", a.part, b.part);
  if (a.images != 0 && b.images != 0 && a.images != b.images)
    return differ("was measured on", fmt::format("{} images", a.images),
                  fmt::format("{} images", b.images));
  return {};
}

void check_pair(const System& a, const System& b) {
  const std::string what = difference(a.measured, b.measured);
  if (what.empty()) return;
  fail(b.measured.place,
       fmt::format("{} ({} and {}); report them separately.", what, b.name, a.name));
}

System read_rival(Source& source, const std::string& name, std::vector<Training>& trainings) {
  const std::string folder = joined("rivals", name);
  System system;
  system.name = name;
  system.role = Role::Rival;
  if (source.has(joined(folder, "train/run.jsonl"))) {
    trainings.push_back(read_training(source, joined(folder, "train"), name, Role::Rival));
    const Training& training = trainings.back();
    system.network = training.network;
    system.loss = training.loss;
    system.accuracy = training.accuracy;
    system.measured = training.measured;
    system.accuracy_from = "training";
  }
  if (read_accuracy(source, folder, system.accuracy, system.measured))
    system.accuracy_from = "accuracy.json";
  system.plans = read_plans(source, joined(folder, "plans"));
  check_plans(system);
  return system;
}

}  // namespace

Tree tree_of(const System& system) {
  Tree costs = Tree::list();
  for (const DevicePlan& plan : system.plans) costs.items.push_back(plan.totals);
  return Tree::map()
      .set("name", Tree::of(system.name))
      .set("role", Tree::of(name_of(system.role)))
      .set("network", Tree::of(system.network))
      .set("loss", Tree::of(system.loss))
      .set("accuracy", tree_of(system.accuracy))
      .set("accuracy_from", Tree::of(system.accuracy_from))
      .set("data", Tree::of(system.measured.data))
      .set("images", Tree::of(system.measured.images))
      .set("part", Tree::of(system.measured.part))
      .set("costs", std::move(costs));
}

std::vector<System> read_rivals(Source& source, std::vector<Training>& trainings) {
  std::vector<System> rivals;
  for (const std::string& name : source.folders("rivals"))
    if (System one = read_rival(source, name, trainings);
        !one.accuracy.empty() || !one.plans.empty())
      rivals.push_back(std::move(one));
  return rivals;
}

void check_plans(const System& system) {
  for (const DevicePlan& plan : system.plans) {
    if (!system.network.empty() && plan.network != system.network)
      fail(plan.place, fmt::format("maps the network '{}', but '{}' was trained; map that one.",
                                   plan.network, system.network));
    std::vector<int> bits = plan.bits;
    std::sort(bits.begin(), bits.end());
    if (!system.accuracy.empty() && bits != bits_of(system.accuracy))
      fail(plan.place,
           fmt::format("maps {} bits, but {} has {}; map the bit-widths of the network.",
                       fmt::join(bits, ", "), system.measured.place,
                       fmt::join(bits_of(system.accuracy), ", ")));
  }
}

void check_together(const std::vector<Run>& runs) {
  std::vector<const System*> all;
  for (const Run& run : runs)
    for (const System& system : run.systems) {
      for (const System* before : all) check_pair(*before, system);
      all.push_back(&system);
    }
}

}  // namespace instantnet::report
