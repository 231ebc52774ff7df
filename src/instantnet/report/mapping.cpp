// Mappings: the energy of each layer by level and tensor, what bounds it, its loops, its proof.
#include <fmt/format.h>

#include <algorithm>

#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/cost.h"
#include "instantnet/report/pick.h"
#include "instantnet/report/sections.h"

namespace instantnet::report {
namespace {

using mapper::Accelerator;
using mapper::Cost;
using mapper::kAllTensors;
using mapper::LayerPlan;
using mapper::Loop;
using mapper::MappingPlan;
using mapper::Tensor;

template <class E>
const std::string& text_of(E value) {
  const auto& names = names_of(value);
  return std::find_if(names.begin(), names.end(),
                      [&](const auto& one) { return one.first == value; })
      ->second;
}

// ---- The device

/// Bytes a cycle of the outermost level: of all it does, else of reads; 0 = no limit.
double bytes_a_cycle(const mapper::StorageLevel& level) {
  const double words = level.bandwidth.total > 0 ? level.bandwidth.total : level.bandwidth.read;
  return words * level.word_bits / 8;
}

Tree level_tree(const mapper::StorageLevel& level) {
  return Tree::map()
      .set("name", Tree::of(level.name))
      .set("fanout", Tree::list({Tree::of(level.fanout_x), Tree::of(level.fanout_y)}));
}

Tree device_tree(const Accelerator& device) {
  Tree levels = Tree::list();
  for (const mapper::StorageLevel& level : device.levels) levels.items.push_back(level_tree(level));
  return Tree::map()
      .set("name", Tree::of(device.name))
      .set("description", Tree::of(device.description))
      .set("clock_mhz", Tree::of(device.clock_mhz))
      .set("multipliers", Tree::of(mapper::multipliers(device)))
      .set("bytes_a_cycle", Tree::of(bytes_a_cycle(device.levels.front())))
      .set("levels", std::move(levels));
}

// ---- A layer

/// Bytes that the outermost level moves of what its bandwidth limits: all, or reads where there is
/// no limit for both. Finished outputs leave as activations (docs/cost-model.md, 15).
double outermost_bytes(const LayerPlan& layer, const Accelerator& device) {
  const mapper::StorageLevel& level = device.levels.front();
  const bool writes = level.bandwidth.total > 0 || level.bandwidth.read == 0;
  const auto words = [&](int bits) { return mapper::words_per_element(level, bits); };
  double sum = 0;
  for (const Tensor t : kAllTensors) {
    const mapper::Accesses& moved = layer.found.cost.counts.levels.front()[t];
    const int64_t elements = moved.reads + (writes ? moved.updates + moved.fills : 0);
    sum +=
        static_cast<double>(elements) * words(mapper::element_bits(device, layer.precision(), t));
  }
  const LayerShape& shape = layer.shape;
  if (writes)
    sum -= static_cast<double>(shape.n * shape.k * shape.p * shape.q) *
           (words(mapper::element_bits(device, layer.precision(), Tensor::Outputs)) -
            words(layer.precision().activation));
  return sum * level.word_bits / 8;
}

/// [weights, inputs, outputs, network] of each level.
Tree energies_tree(const Cost& cost) {
  Tree levels = Tree::list();
  for (const mapper::LevelCost& level : cost.levels) {
    Tree row = Tree::list();
    for (const Tensor t : kAllTensors) row.items.push_back(Tree::of(level.energy_pj[t]));
    row.items.push_back(Tree::of(level.network_pj));
    levels.items.push_back(std::move(row));
  }
  return levels;
}

void add_loops(Tree& list, const std::vector<Loop>& loops, const char* kind) {
  for (const Loop& loop : loops)
    list.items.push_back(
        Tree::list({Tree::of(mapper::to_string(loop.dim)), Tree::of(loop.bound), Tree::of(kind)}));
}

/// For each level what it keeps, and its loops [dim, bound, kind], outermost first.
Tree loops_tree(const mapper::Mapping& mapping) {
  Tree levels = Tree::list();
  for (const mapper::LevelLoops& level : mapping.levels) {
    Tree keeps = Tree::list(), loops = Tree::list();
    for (const Tensor t : kAllTensors)
      if (level.keeps[t]) keeps.items.push_back(Tree::of(mapper::to_string(t)));
    add_loops(loops, level.temporal, "temporal");
    add_loops(loops, level.spatial_y, "spatial-y");
    add_loops(loops, level.spatial_x, "spatial-x");
    levels.items.push_back(
        Tree::map().set("keeps", std::move(keeps)).set("loops", std::move(loops)));
  }
  return levels;
}

Tree shape_tree(const LayerShape& shape) {
  return Tree::map()
      .set("n", Tree::of(shape.n))
      .set("k", Tree::of(shape.k))
      .set("c", Tree::of(shape.c))
      .set("p", Tree::of(shape.p))
      .set("q", Tree::of(shape.q))
      .set("r", Tree::of(shape.r))
      .set("s", Tree::of(shape.s))
      .set("stride", Tree::of(shape.stride))
      .set("dilation", Tree::of(shape.dilation))
      .set("groups", Tree::of(shape.groups));
}

Tree layer_tree(const LayerPlan& layer, const MappingPlan& plan) {
  const Accelerator& device = plan.accelerator;
  const Cost& cost = layer.found.cost;
  const double peak = static_cast<double>(mapper::multipliers(device)) *
                      mapper::macs_per_cycle(device.mac, layer.precision());
  const double value =
      mapper::value_of(plan.options.search.objective, {cost.energy_pj, cost.cycles}).first;
  return Tree::map()
      .set("name", Tree::of(layer.name))
      .set("bits", Tree::of(layer.bits))
      .set("own_bits", Tree::of(layer.own_bits))
      .set("count", Tree::of(layer.count))
      .set("shape", shape_tree(layer.shape))
      .set("macs", Tree::of(layer.shape.macs()))
      .set("energy_pj", Tree::of(cost.energy_pj))
      .set("cycles", Tree::of(cost.cycles))
      .set("utilization", Tree::of(cost.utilization))
      .set("bound_by", Tree::of(cost.bound_by))
      .set("peak", Tree::of(peak))
      .set("bytes", Tree::of(outermost_bytes(layer, device)))
      .set("mac_pj", Tree::of(cost.mac_pj))
      .set("static_pj", Tree::of(cost.static_pj))
      .set("levels", energies_tree(cost))
      .set("certified", Tree::of(layer.found.certified))
      .set("value", Tree::of(value))
      .set("lower_bound", Tree::of(layer.found.lower_bound))
      .set("evaluations", Tree::of(layer.found.evaluations))
      .set("note", Tree::of(layer.found.note))
      .set("mapping", loops_tree(layer.found.mapping));
}

// ---- The network

Tree total_tree(const mapper::Total& total, const Accelerator& device) {
  return Tree::map()
      .set("bits", Tree::of(total.bits))
      .set("mode", Tree::of(text_of(total.mode)))
      .set("energy_pj", Tree::of(total.energy_pj))
      .set("cycles", Tree::of(total.cycles))
      .set("latency_ms", Tree::of(total.cycles / (device.clock_mhz * 1e3)))
      .set("interval_ms", Tree::of(total.interval_cycles / (device.clock_mhz * 1e3)))
      .set("edp_pj_cycles", Tree::of(total.edp()))
      .set("proven", Tree::of(total.proven));
}

Tree totals_tree(const std::vector<mapper::Total>& totals, const Accelerator& device) {
  Tree list = Tree::list();
  for (const mapper::Total& total : totals) list.items.push_back(total_tree(total, device));
  return list;
}

Tree switches_tree(const MappingPlan& plan) {
  Tree list = Tree::list();
  for (const mapper::Switch& one : plan.switches)
    list.items.push_back(Tree::map()
                             .set("from", Tree::of(one.from))
                             .set("to", Tree::of(one.to))
                             .set("layers", Tree::of(one.layers))
                             .set("cycles", Tree::of(one.cycles))
                             .set("us", Tree::of(one.cycles / plan.accelerator.clock_mhz))
                             .set("energy_pj", Tree::of(one.energy_pj))
                             .set("reconfiguration_ms", Tree::of(one.reconfiguration_ms)));
  return list;
}

/// One list a bit-width, empty where layers run one after the other.
Tree stages_tree(const MappingPlan& plan) {
  Tree lists = Tree::list();
  for (const auto& stages : plan.stages) {
    Tree list = Tree::list();
    for (const mapper::Stage& stage : stages)
      list.items.push_back(Tree::map()
                               .set("layer", Tree::of(stage.layer))
                               .set("multipliers", Tree::of(stage.multipliers))
                               .set("buffer_words", Tree::of(stage.buffer_words))
                               .set("cycles", Tree::of(stage.cycles))
                               .set("memory_cycles", Tree::of(stage.memory_cycles))
                               .set("energy_pj", Tree::of(stage.energy_pj)));
    lists.items.push_back(std::move(list));
  }
  return lists;
}

Tree search_tree(const mapper::SearchOptions& search) {
  return Tree::map()
      .set("engine", Tree::of(text_of(search.engine)))
      .set("template", Tree::of(search.template_name))
      .set("objective", Tree::of(text_of(search.objective)))
      .set("factors", Tree::of(text_of(search.factors)))
      .set("seed", Tree::of(search.seed));
}

Tree shared_tree(const MappingPlan& plan) {
  Tree list = Tree::list();
  for (const double ratio : plan.shared_mapping_edp_ratio) list.items.push_back(Tree::of(ratio));
  return list;
}

}  // namespace

DevicePlan device_plan(const MappingPlan& plan, const std::string& place,
                       const std::string& device) {
  DevicePlan made{place, device, plan.network, plan.options.bits, {}, {}};
  Tree layers = Tree::list();
  for (const LayerPlan& layer : plan.layers) layers.items.push_back(layer_tree(layer, plan));
  made.totals = Tree::map()
                    .set("device", Tree::of(device))
                    .set("network", Tree::of(plan.network))
                    .set("search", search_tree(plan.options.search))
                    .set("totals", totals_tree(plan.totals, plan.accelerator));
  made.tree = Tree::map()
                  .set("name", Tree::of(device))
                  .set("device", device_tree(plan.accelerator))
                  .set("network", Tree::of(plan.network))
                  .set("batch", Tree::of(plan.options.batch))
                  .set("search", search_tree(plan.options.search))
                  .set("totals", totals_tree(plan.totals, plan.accelerator))
                  .set("multi_cycle", totals_tree(plan.multi_cycle, plan.accelerator))
                  .set("pipeline", totals_tree(plan.pipeline, plan.accelerator))
                  .set("stages", stages_tree(plan))
                  .set("why", text_list(plan.why))
                  .set("unmapped", text_list(plan.unmapped))
                  .set("shared_mapping_edp_ratio", shared_tree(plan))
                  .set("switches", switches_tree(plan))
                  .set("layers", std::move(layers));
  return made;
}

std::vector<DevicePlan> read_plans(Source& source, const std::string& folder) {
  std::vector<DevicePlan> plans;
  for (const std::string& name : source.files(folder, ".yaml")) {
    const std::string path = joined(folder, name + ".yaml");
    plans.push_back(
        device_plan(mapper::plan_from_tree(source.map(path)), source.place(path), name));
  }
  return plans;
}

}  // namespace instantnet::report
