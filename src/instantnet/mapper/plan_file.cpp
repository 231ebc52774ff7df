// plan.yaml: a MappingPlan as values and back.
#include <fmt/format.h>

#include <cmath>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/format.h"
#include "instantnet/mapper/plan.h"

namespace instantnet::mapper {
namespace {

constexpr Format kPlanFormat = {"plan.yaml", "map the network again"};

/// Costs of the file and of its mappings may differ so much: the order of sums in other builds.
constexpr double kTolerance = 1e-9;

const Range kCount = {0};

Fields fields(LayerShape& shape) {
  Fields all;
  const Range positive = {1};
  all.add("n", shape.n, "Batch.", positive);
  all.add("k", shape.k, "Output channels.", positive);
  all.add("c", shape.c, "Input channels per group.", positive);
  all.add("p", shape.p, "Output height.", positive);
  all.add("q", shape.q, "Output width.", positive);
  all.add("r", shape.r, "Kernel height.", positive);
  all.add("s", shape.s, "Kernel width.", positive);
  all.add("stride", shape.stride, "Stride.", positive);
  all.add("dilation", shape.dilation, "Dilation.", positive);
  all.add("groups", shape.groups, "Groups.", positive);
  return all;
}

/// All of a LayerPlan but shape and mapping; `energy_pj` and `cycles` stand for its cost.
Fields fields(LayerPlan& layer) {
  Fields all;
  all.add("name", layer.name, "First layer of this shape.");
  all.add("bits", layer.bits, "Bit-width of the network.");
  all.add("own_bits", layer.own_bits, "Bit-width of the layer if always the same; else 0.");
  all.add("count", layer.count, "Layers of this shape.", {1});
  all.add("energy_pj", layer.found.cost.energy_pj, "Energy.");
  all.add("cycles", layer.found.cost.cycles, "Cycles.");
  all.add("lower_bound", layer.found.lower_bound, "No mapping has a smaller objective.");
  all.add("certified", layer.found.certified, "The mapping is optimal in the space searched.");
  all.add("evaluations", layer.found.evaluations, "Mappings evaluated.", kCount);
  all.add("note", layer.found.note, "What the engine has to say.");
  return all;
}

Fields fields(Stage& stage) {
  Fields all;
  all.add("layer", stage.layer, "Layer.");
  all.add("multipliers", stage.multipliers, "Multipliers of its part.", kCount);
  all.add("buffer_words", stage.buffer_words, "Words of its part of the buffer.", kCount);
  all.add("energy_pj", stage.energy_pj, "Energy.");
  all.add("cycles", stage.cycles, "Cycles.");
  all.add("memory_cycles", stage.memory_cycles, "Cycles that the outermost level serves it.");
  return all;
}

Fields fields(Total& total) {
  Fields all;
  all.add("bits", total.bits, "Bit-width of the network.");
  all.add("mode", total.mode, "How layers share the device.");
  all.add("energy_pj", total.energy_pj, "Energy of one image.");
  all.add("cycles", total.cycles, "Cycles from an image in to its result out.");
  all.add("interval_cycles", total.interval_cycles, "Cycles between two images.");
  all.add("proven", total.proven, "Nothing better is in the space searched.");
  return all;
}

Fields fields(Switch& change) {
  Fields all;
  all.add("from", change.from, "Bit-width before.");
  all.add("to", change.to, "Bit-width after.");
  all.add("layers", change.layers, "Layers whose mapping changes.", kCount);
  all.add("configuration_bits", change.configuration_bits, "Bits of their mappings.", kCount);
  all.add("cycles", change.cycles, "Cycles to load them.");
  all.add("energy_pj", change.energy_pj, "Energy to load them.");
  all.add("reconfiguration_ms", change.reconfiguration_ms, "Loading another FPGA design.");
  return all;
}

/// What is in a list but its mappings.
template <class T>
Tree list_to_tree(std::vector<T> values) {
  Tree list = Tree::list();
  for (T& value : values) list.items.push_back(to_tree(fields(value)));
  return list;
}

/// An absent list is empty.
std::vector<Tree> items_of(const Tree& plan, const char* key) {
  const Tree* list = plan.find(key);
  if (list == nullptr || list->kind == Tree::Kind::Null) return {};
  if (list->kind != Tree::Kind::List)
    fail(list->where(), fmt::format("{} is {}; give a list.", key, list->given()));
  return list->items;
}

template <class T>
std::vector<T> list_from_tree(const Tree& plan, const char* key) {
  std::vector<T> values;
  for (const Tree& item : items_of(plan, key)) read_fields(fields(values.emplace_back()), item);
  return values;
}

const Tree& need(const Tree& map, const char* key) {
  const Tree* found = map.find(key);
  if (found == nullptr) fail(map.where(), fmt::format("'{}' is missing in the plan.", key));
  return *found;
}

/// Removes an entry of a map and returns it.
Tree take(Tree& map, const char* key) {
  Tree taken = need(map, key);
  std::erase_if(map.entries, [&](const auto& entry) { return entry.first == key; });
  return taken;
}

Tree layer_to_tree(LayerPlan layer, const Accelerator& device) {
  Tree tree = to_tree(fields(layer));
  tree.set("shape", to_tree(fields(layer.shape)));
  tree.set("mapping", to_tree(layer.found.mapping, device));
  return tree;
}

/// Derives the cost again, and compares.
void price(LayerPlan& layer, const Accelerator& device, const std::string& where) {
  const Cost stated = layer.found.cost;
  auto answer = evaluate(layer.shape, layer.precision(), device, layer.found.mapping);
  if (const Misfit* misfit = std::get_if<Misfit>(&answer))
    fail(where, fmt::format("the mapping of layer '{}' at {} bits does not run: {}", layer.name,
                            layer.bits, misfit->why));
  layer.found.cost = std::move(std::get<Cost>(answer));
  const auto differ = [](double a, double b) { return std::abs(a - b) > kTolerance * std::abs(b); };
  if (differ(stated.energy_pj, layer.found.cost.energy_pj) ||
      differ(stated.cycles, layer.found.cost.cycles))
    fail(where,
         fmt::format("layer '{}' at {} bits is said to take {} pJ and {} cycles, its mapping "
                     "takes {} and {}; map the network again.",
                     layer.name, layer.bits, stated.energy_pj, stated.cycles,
                     layer.found.cost.energy_pj, layer.found.cost.cycles));
  // As written, so that a plan that is read and written again stays the same.
  layer.found.cost.energy_pj = stated.energy_pj;
  layer.found.cost.cycles = stated.cycles;
}

LayerPlan layer_from_tree(Tree tree, const Accelerator& device) {
  LayerPlan layer;
  read_fields(fields(layer.shape), take(tree, "shape"));
  layer.found.mapping = mapping_from_tree(take(tree, "mapping"), device);
  read_fields(fields(layer), tree);
  check(layer.shape, tree.where());
  price(layer, device, tree.where());
  return layer;
}

Tree stages_to_tree(const std::vector<std::vector<Stage>>& all, const Accelerator& device) {
  Tree lists = Tree::list();
  for (const auto& stages : all) {
    Tree list = Tree::list();
    for (Stage stage : stages) {
      Tree tree = to_tree(fields(stage));
      tree.set("mapping", to_tree(stage.mapping, device));
      list.items.push_back(std::move(tree));
    }
    lists.items.push_back(std::move(list));
  }
  return lists;
}

std::vector<std::vector<Stage>> stages_from_tree(const Tree& plan, const Accelerator& device) {
  std::vector<std::vector<Stage>> all;
  for (const Tree& list : items_of(plan, "stages")) {
    all.emplace_back();
    for (Tree item : list.items) {
      Stage& stage = all.back().emplace_back();
      stage.mapping = mapping_from_tree(take(item, "mapping"), device);
      read_fields(fields(stage), item);
    }
  }
  return all;
}

/// The members that are plain lists.
Fields list_fields(MappingPlan& plan) {
  Fields all;
  all.add("network", plan.network, "Network.");
  all.add("why", plan.why, "Why this mode, one sentence a bit-width.");
  all.add("unmapped", plan.unmapped, "Layers that are not mapped.");
  all.add("shared_mapping_edp_ratio", plan.shared_mapping_edp_ratio,
          "Energy-delay product with one mapping for all bit-widths.");
  all.add("shared_mapping_bits", plan.shared_mapping_bits, "Whose mapping that is, by layer.");
  return all;
}

/// Error unless every list has as many entries as there are bit-widths.
void check_lengths(const MappingPlan& plan, const std::string& where) {
  const size_t widths = plan.options.bits.size();
  const auto expect = [&](const char* name, size_t length) {
    if (length != widths)
      fail(where, fmt::format("{} has {} entries for {} bit-widths.", name, length, widths));
  };
  expect("totals", plan.totals.size());
  expect("multi_cycle", plan.multi_cycle.size());
  expect("stages", plan.stages.size());
  expect("why", plan.why.size());
  expect("shared_mapping_edp_ratio", plan.shared_mapping_edp_ratio.size());
  if (plan.layers.empty() || plan.layers.size() % widths != 0)
    fail(where, fmt::format("layers has {} entries, which are not some layers at {} bit-widths.",
                            plan.layers.size(), widths));
  for (size_t l = 0; l < plan.layers.size(); ++l)
    if (plan.layers[l].bits != plan.options.bits[l % widths])
      fail(where,
           fmt::format("layer '{}' is at {} bits where {} bits are expected.", plan.layers[l].name,
                       plan.layers[l].bits, plan.options.bits[l % widths]));
}

}  // namespace

Tree to_tree(const MappingPlan& plan) {
  MappingPlan copy = plan;
  copy.options.search.threads = 1;  // nothing depends on it: the same bytes for any number
  Tree tree = Tree::map().set("version", Tree::of(kPlanFormat.newest));
  for (auto& [key, value] : to_tree(list_fields(copy)).entries) tree.set(key, std::move(value));
  tree.set("totals", list_to_tree(copy.totals));
  tree.set("multi_cycle", list_to_tree(copy.multi_cycle));
  tree.set("pipeline", list_to_tree(copy.pipeline));
  tree.set("switches", list_to_tree(copy.switches));
  tree.set("options", to_tree(fields(copy.options)));
  tree.set("accelerator", to_tree(copy.accelerator));
  Tree layers = Tree::list();
  for (const LayerPlan& layer : copy.layers)
    layers.items.push_back(layer_to_tree(layer, plan.accelerator));
  tree.set("layers", std::move(layers));
  tree.set("stages", stages_to_tree(plan.stages, plan.accelerator));
  return tree;
}

MappingPlan plan_from_tree(const Tree& tree) {
  if (tree.kind != Tree::Kind::Map)
    fail(tree.where(), fmt::format("the plan is {}; give a plan.yaml.", tree.given()));
  Tree rest = tree;
  take_version(kPlanFormat, rest);
  MappingPlan plan;
  plan.accelerator = accelerator_from_tree(need(tree, "accelerator"));
  read_fields(fields(plan.options), need(tree, "options"));
  plan.totals = list_from_tree<Total>(tree, "totals");
  plan.multi_cycle = list_from_tree<Total>(tree, "multi_cycle");
  plan.pipeline = list_from_tree<Total>(tree, "pipeline");
  plan.switches = list_from_tree<Switch>(tree, "switches");
  for (const Tree& item : items_of(tree, "layers"))
    plan.layers.push_back(layer_from_tree(item, plan.accelerator));
  plan.stages = stages_from_tree(tree, plan.accelerator);
  for (const char* key : {"accelerator", "options", "totals", "multi_cycle", "pipeline", "switches",
                          "layers", "stages"})
    if (rest.find(key) != nullptr) take(rest, key);
  read_fields(list_fields(plan), rest);
  check_bits(plan.options.bits, tree.where());
  check_lengths(plan, tree.where());
  return plan;
}

MappingPlan read_plan(const std::string& path) { return plan_from_tree(read_yaml(path)); }

void write_plan(const MappingPlan& plan, const std::string& path) {
  write_file_atomic(path, print_yaml(to_tree(plan)));
}

}  // namespace instantnet::mapper
