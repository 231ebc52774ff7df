// Whether a plan belongs to a model.
#include <fmt/format.h>

#include <algorithm>

#include "instantnet/bundle/bundle.h"
#include "instantnet/mapper/workload.h"

namespace instantnet::bundle {
namespace {

using mapper::Workload;

std::string shape_text(const LayerShape& s) {
  return fmt::format("n{} k{} c{} p{} q{} r{} s{} stride {} dilation {} groups {}", s.n, s.k, s.c,
                     s.p, s.q, s.r, s.s, s.stride, s.dilation, s.groups);
}

std::vector<int> without(const std::vector<int>& from, const std::vector<int>& these) {
  std::vector<int> rest;
  for (const int one : from)
    if (std::find(these.begin(), these.end(), one) == these.end()) rest.push_back(one);
  return rest;
}

/// One entry a layer of the plan, at its first bit-width.
std::vector<Workload> workloads_of(const mapper::MappingPlan& plan) {
  std::vector<Workload> all;
  for (size_t l = 0; l < plan.layers.size(); l += plan.options.bits.size())
    all.push_back(
        {plan.layers[l].name, plan.layers[l].shape, plan.layers[l].own_bits, plan.layers[l].count});
  return all;
}

/// Layers that always run at 32 bits are 16-bit layers once frozen; a plan may say either.
std::vector<Workload> as_frozen(const NetworkSpec& spec) {
  std::vector<Workload> all = mapper::network_layers(spec).layers;
  for (Workload& one : all)
    if (one.bits == 32) one.bits = 16;
  return mapper::merge_equal(all);
}

/// The first layer that differs; empty when none does.
std::string layer_difference(const std::vector<Workload>& model,
                             const std::vector<Workload>& plan) {
  for (size_t i = 0; i < std::max(model.size(), plan.size()); ++i) {
    if (i >= plan.size()) return fmt::format("the plan has no layer '{}'", model[i].name);
    if (i >= model.size()) return fmt::format("the model has no layer '{}'", plan[i].name);
    const Workload &a = model[i], &b = plan[i];
    if (a.name != b.name)
      return fmt::format("the plan has layer '{}' where the model has '{}'", b.name, a.name);
    if (a.shape != b.shape)
      return fmt::format("layer '{}' is {} in the plan and {} in the model", a.name,
                         shape_text(b.shape), shape_text(a.shape));
    if (a.bits != b.bits)
      return fmt::format(
          "layer '{}' has {} as its own bit-width in the plan and {} in the model "
          "(0: as the network)",
          a.name, b.bits, a.bits);
    if (a.count != b.count)
      return fmt::format(
          "the shape of layer '{}' occurs {} times in the plan and {} times in the "
          "model",
          a.name, b.count, a.count);
  }
  return {};
}

}  // namespace

std::vector<std::string> disagreements(const runtime::IntModel& model,
                                       const mapper::MappingPlan& plan) {
  std::vector<std::string> all;
  const std::vector<int>& mapped = plan.options.bits;
  if (const std::vector<int> missing = without(model.bits, mapped); !missing.empty())
    all.push_back(
        fmt::format("the plan has no mappings at {} bits, where the model runs; map the "
                    "network with --bits {}.",
                    fmt::join(missing, ", "), fmt::join(model.bits, ",")));
  if (const std::vector<int> missing = without(mapped, model.bits); !missing.empty())
    all.push_back(
        fmt::format("the model does not run at {} bits, for which the plan has mappings; "
                    "map the network with --bits {}.",
                    fmt::join(missing, ", "), fmt::join(model.bits, ",")));
  if (plan.options.batch != 1)
    all.push_back(
        fmt::format("the plan is for batches of {} images, a bundle runs one at a time; "
                    "map the network with --batch 1.",
                    plan.options.batch));
  const std::vector<Workload> given = workloads_of(plan);
  const std::string difference =
      layer_difference(mapper::workloads_of(model.spec, plan.options.batch), given);
  if (!difference.empty() && !layer_difference(as_frozen(model.spec), given).empty())
    all.push_back(
        fmt::format("the plan is not of the network '{}': {}; map the network that the "
                    "model was made from.",
                    model.spec.name, difference));
  return all;
}

}  // namespace instantnet::bundle
