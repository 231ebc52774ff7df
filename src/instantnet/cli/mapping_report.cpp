#include "instantnet/cli/mapping_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/core/units.h"

namespace instantnet::cli {
namespace {

using mapper::Accelerator;
using mapper::Cost;
using mapper::kAllTensors;
using mapper::Loop;
using mapper::Mapping;
using mapper::Tensor;

/// The numbers of a layer by name, in the order they are written.
struct Size {
  const char* name;
  int64_t LayerShape::*value;
  bool always;  // written even when it is 1
};
constexpr Size kSizes[] = {{"n", &LayerShape::n, false},
                           {"k", &LayerShape::k, true},
                           {"c", &LayerShape::c, true},
                           {"p", &LayerShape::p, true},
                           {"q", &LayerShape::q, true},
                           {"r", &LayerShape::r, false},
                           {"s", &LayerShape::s, false},
                           {"stride", &LayerShape::stride, false},
                           {"dilation", &LayerShape::dilation, false},
                           {"groups", &LayerShape::groups, false}};

std::vector<std::string> size_names() {
  std::vector<std::string> names;
  for (const Size& size : kSizes) names.push_back(size.name);
  return names;
}

/// "k=64" into the layer.
void read_size(const std::string& word, LayerShape& layer, std::vector<std::string>& seen,
               const std::string& where) {
  const size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  const auto size = std::find_if(std::begin(kSizes), std::end(kSizes),
                                 [&](const Size& one) { return one.name == name; });
  if (size == std::end(kSizes))
    fail(where, fmt::format("'{}' is no size of a layer{}", name, suggestion(name, size_names())));
  if (std::find(seen.begin(), seen.end(), name) != seen.end())
    fail(where, fmt::format("{} is given twice; give each size once.", name));
  seen.push_back(name);
  int64_t value = 0;
  const char* const end = word.data() + word.size();
  const char* const from = equals == std::string::npos ? end : word.data() + equals + 1;
  const auto [after, error] = std::from_chars(from, end, value);
  if (error != std::errc() || after != end || value < 1)
    fail(where, fmt::format("'{}' is not a size; give a name and a whole number from 1 on, for "
                            "example {}=64.",
                            word, name));
  layer.*(size->value) = value;
}

Tree loop_tree(const Loop& loop, const char* kind) {
  return Tree::map()
      .set("dim", Tree::of(mapper::to_string(loop.dim)))
      .set("bound", Tree::of(loop.bound))
      .set("kind", Tree::of(kind));
}

std::string count_text(int64_t count) { return si(static_cast<double>(count)); }

std::string cycles_text(const mapper::LevelCost& level) {
  return level.limit.empty() ? "-" : si(level.cycles) + " " + level.limit;
}

}  // namespace

std::string energy_text(double pj) { return pj == 0 ? "0 J" : si(pj * 1e-12) + "J"; }

std::string percent_text(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string edp_text(double pj_cycles) { return fmt::format("{:.3e}", pj_cycles); }

std::string layer_text(const LayerShape& layer) {
  std::vector<std::string> words;
  for (const Size& size : kSizes)
    if (size.always || layer.*(size.value) != 1)
      words.push_back(fmt::format("{}={}", size.name, layer.*(size.value)));
  return fmt::format("{}", fmt::join(words, " "));
}

LayerShape parse_layer(const std::string& text, const std::string& where) {
  LayerShape layer;
  std::vector<std::string> seen;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    read_size(text.substr(at, end - at), layer, seen, where);
    at = end + 1;
  }
  mapper::check(layer, where);
  return layer;
}

Tree layer_tree(const LayerShape& layer) {
  Tree tree = Tree::map();
  for (const Size& size : kSizes)
    if (size.value != &LayerShape::dilation || layer.dilation != 1)
      tree.set(size.name, Tree::of(layer.*(size.value)));
  return tree;
}

Tree loops_tree(const Mapping& mapping, const Accelerator& device) {
  Tree levels = Tree::list();
  for (size_t l = 0; l < mapping.levels.size(); ++l) {
    const mapper::LevelLoops& level = mapping.levels[l];
    Tree keep = Tree::list(), loops = Tree::list();
    for (const Tensor t : kAllTensors)
      if (level.keeps[t]) keep.items.push_back(Tree::of(mapper::to_string(t)));
    for (const Loop& loop : level.temporal) loops.items.push_back(loop_tree(loop, "temporal"));
    for (const Loop& loop : level.spatial_y) loops.items.push_back(loop_tree(loop, "spatial-y"));
    for (const Loop& loop : level.spatial_x) loops.items.push_back(loop_tree(loop, "spatial-x"));
    levels.items.push_back(Tree::map()
                               .set("level", Tree::of(device.levels[l].name))
                               .set("keep", std::move(keep))
                               .set("loops", std::move(loops)));
  }
  return levels;
}

std::string cost_table(const Cost& cost, const Mapping& mapping, const Accelerator& device) {
  std::vector<std::vector<std::string>> rows;
  for (size_t l = 0; l < device.levels.size(); ++l) {
    std::string name = device.levels[l].name, cycles = cycles_text(cost.levels[l]);
    for (const Tensor t : kAllTensors) {
      if (!mapping.levels[l].keeps[t]) continue;
      const mapper::Accesses& moved = cost.counts.levels[l][t];
      rows.push_back({std::exchange(name, ""), mapper::to_string(t), count_text(moved.reads),
                      count_text(moved.updates), count_text(moved.fills),
                      energy_text(cost.levels[l].energy_pj[t]), std::exchange(cycles, "")});
    }
    if (cost.levels[l].network_pj != 0)
      rows.push_back({name, "network", "", "", "", energy_text(cost.levels[l].network_pj), cycles});
  }
  rows.push_back({"MAC", "", count_text(cost.counts.macs), "", "", energy_text(cost.mac_pj),
                  si(cost.compute_cycles) + " compute"});
  if (cost.static_pj != 0)
    rows.push_back({"static", "", "", "", "", energy_text(cost.static_pj), ""});
  return table_text({"level", "tensor", "reads", "updates", "fills", "energy", "cycles"}, rows);
}

std::string cost_line(const Cost& cost) {
  return fmt::format("{}, {} cycles ({}), EDP {} pJ cycles, utilisation {}",
                     energy_text(cost.energy_pj), si(cost.cycles), cost.bound_by,
                     edp_text(cost.edp()), percent_text(cost.utilization));
}

Tree cost_tree(const Cost& cost) {
  return Tree::map()
      .set("energy_pj", Tree::of(cost.energy_pj))
      .set("cycles", Tree::of(cost.cycles))
      .set("edp_pj_cycles", Tree::of(cost.edp()))
      .set("utilization", Tree::of(cost.utilization))
      .set("bound_by", Tree::of(cost.bound_by));
}

Tree level_costs_tree(const Cost& cost, const Accelerator& device) {
  Tree levels = Tree::list();
  for (size_t l = 0; l < device.levels.size(); ++l) {
    Tree level = Tree::map()
                     .set("level", Tree::of(device.levels[l].name))
                     .set("cycles", Tree::of(cost.levels[l].cycles))
                     .set("limit", Tree::of(cost.levels[l].limit))
                     .set("network_pj", Tree::of(cost.levels[l].network_pj));
    for (const Tensor t : kAllTensors) {
      const mapper::Accesses& moved = cost.counts.levels[l][t];
      level.set(mapper::to_string(t), Tree::map()
                                          .set("reads", Tree::of(moved.reads))
                                          .set("updates", Tree::of(moved.updates))
                                          .set("fills", Tree::of(moved.fills))
                                          .set("energy_pj", Tree::of(cost.levels[l].energy_pj[t])));
    }
    levels.items.push_back(std::move(level));
  }
  return levels;
}

}  // namespace instantnet::cli
