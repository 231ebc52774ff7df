#include "instantnet/cli/plan_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "instantnet/cli/mapping_report.h"
#include "instantnet/core/units.h"

namespace instantnet::cli {
namespace {

using mapper::Found;
using mapper::LayerPlan;
using mapper::MappingPlan;
using mapper::Mode;
using mapper::Objective;
using mapper::Total;

constexpr size_t kColumns = 80;

template <class E>
const std::string& name_of(E value) {
  const auto& names = names_of(value);
  return std::find_if(names.begin(), names.end(),
                      [&](const auto& one) { return one.first == value; })
      ->second;
}

double objective_of(const Found& found, Objective objective) {
  return mapper::value_of(objective, {found.cost.energy_pj, found.cost.cycles}).first;
}

std::string bits_text(const LayerPlan& layer) {
  return layer.own_bits > 0 && layer.own_bits != layer.bits
             ? fmt::format("{} (own {})", layer.bits, layer.own_bits)
             : std::to_string(layer.bits);
}

// ---- Totals

std::string images_a_second(const Total& total, double clock_mhz) {
  if (total.interval_cycles <= 0) return "-";
  return fmt::format("{:.4g}", clock_mhz * 1e6 / total.interval_cycles);
}

std::vector<std::string> total_row(const Total& total, const MappingPlan& plan) {
  return {std::to_string(total.bits),   name_of(total.mode),
          energy_text(total.energy_pj), si(total.cycles),
          si(total.interval_cycles),    images_a_second(total, plan.accelerator.clock_mhz),
          edp_text(total.edp()),        total.proven ? "proven" : "-"};
}

/// The mode that was not chosen stands below the one that was.
std::string totals_table(const MappingPlan& plan) {
  std::vector<std::vector<std::string>> rows;
  for (const Total& chosen : plan.totals) {
    rows.push_back(total_row(chosen, plan));
    for (const auto* others : {&plan.multi_cycle, &plan.pipeline})
      for (const Total& other : *others)
        if (other.bits == chosen.bits && other.mode != chosen.mode) {
          rows.push_back(total_row(other, plan));
          rows.back()[1] = "(" + rows.back()[1] + ")";
        }
  }
  return table_text({"bits", "mode", "energy", "cycles", "interval", "images/s", "EDP", "optimum"},
                    rows);
}

/// The sentences, each once: bit-widths often share them.
std::string sentences_text(const std::vector<std::string>& sentences) {
  std::string text;
  std::set<std::string> said;
  for (const std::string& one : sentences)
    if (!one.empty() && said.insert(one).second) text += wrap_text(one, kColumns) + "\n";
  return text;
}

std::string notes_text(const MappingPlan& plan) {
  std::vector<std::string> notes;
  for (const LayerPlan& layer : plan.layers)
    if (!layer.found.note.empty())
      notes.push_back(fmt::format("{}: {}", layer.name, layer.found.note));
  return sentences_text(notes);
}

std::string sharing_text(const MappingPlan& plan) {
  if (plan.totals.size() < 2) return {};
  std::vector<std::string> ratios;
  for (size_t i = 0; i < plan.shared_mapping_edp_ratio.size() && i < plan.totals.size(); ++i)
    ratios.push_back(fmt::format("{:+.1f} % at {}", 100 * (plan.shared_mapping_edp_ratio[i] - 1),
                                 plan.totals[i].bits));
  std::string text;
  if (!ratios.empty())
    text += wrap_text(fmt::format("One mapping a layer for all bit-widths costs in EDP: {} bits.",
                                  fmt::join(ratios, ", ")),
                      kColumns) +
            "\n";
  const auto worst =
      std::max_element(plan.switches.begin(), plan.switches.end(),
                       [](const auto& a, const auto& b) { return a.cycles < b.cycles; });
  if (worst != plan.switches.end())
    text +=
        wrap_text(fmt::format("Switching costs at most {} cycles and {} ({} to {} bits, {} layers "
                              "change){}.",
                              si(worst->cycles), energy_text(worst->energy_pj), worst->from,
                              worst->to, worst->layers,
                              worst->reconfiguration_ms > 0
                                  ? fmt::format(", or {:.0f} ms for another design",
                                                worst->reconfiguration_ms)
                                  : ""),
                  kColumns) +
        "\n";
  return text;
}

std::string unmapped_text(const MappingPlan& plan) {
  if (plan.unmapped.empty()) return {};
  return wrap_text(fmt::format("Not mapped: {}.", fmt::join(plan.unmapped, ", ")), kColumns) + "\n";
}

/// What was searched, and what an optimum means there.
std::string search_text(const mapper::SearchOptions& search) {
  if (search.engine == mapper::Engine::Template)
    return fmt::format("template:{} (optimal: among the mappings of this dataflow)",
                       search.template_name);
  return fmt::format("{}, {} factors", name_of(search.engine), name_of(search.factors));
}

// ---- JSON

Tree layer_json(const LayerPlan& layer, const MappingPlan& plan) {
  Tree tree = Tree::map()
                  .set("name", Tree::of(layer.name))
                  .set("bits", Tree::of(layer.bits))
                  .set("count", Tree::of(layer.count))
                  .set("shape", layer_tree(layer.shape));
  for (const auto& [key, value] : cost_tree(layer.found.cost).entries) tree.set(key, value);
  return tree.set("lower_bound", Tree::of(layer.found.lower_bound))
      .set("certified", Tree::of(layer.found.certified))
      .set("evaluations", Tree::of(layer.found.evaluations))
      .set("seconds", Tree::of(layer.found.seconds))
      .set("mapping", loops_tree(layer.found.mapping, plan.accelerator));
}

Tree texts(const std::vector<std::string>& all) {
  Tree list = Tree::list();
  for (const std::string& one : all) list.items.push_back(Tree::of(one));
  return list;
}

}  // namespace

std::string gap_text(const Found& found, Objective objective) {
  if (found.certified) return "optimal";
  const double value = objective_of(found, objective);
  if (found.lower_bound <= 0 || value <= 0) return "-";
  return fmt::format("<= {:.1f} %", 100 * (value / found.lower_bound - 1));
}

std::vector<std::string> layer_header() {
  return {"layer", "bits", "count", "energy", "cycles", "EDP", "util", "bound by", "gap"};
}

std::vector<std::string> layer_row(const LayerPlan& layer, Objective objective) {
  const mapper::Cost& cost = layer.found.cost;
  return {layer.name,
          bits_text(layer),
          std::to_string(layer.count),
          energy_text(cost.energy_pj),
          si(cost.cycles),
          edp_text(cost.edp()),
          percent_text(cost.utilization),
          cost.bound_by,
          gap_text(layer.found, objective)};
}

std::string plan_text(const MappingPlan& plan) {
  const mapper::SearchOptions& search = plan.options.search;
  std::vector<std::vector<std::string>> rows;
  for (const LayerPlan& layer : plan.layers) rows.push_back(layer_row(layer, search.objective));
  return fmt::format("{} on {}, objective {}, search {}\n\n{}\n{}\n{}{}{}{}", plan.network,
                     plan.accelerator.name, name_of(search.objective), search_text(search),
                     table_text(layer_header(), rows), totals_table(plan), sentences_text(plan.why),
                     sharing_text(plan), notes_text(plan), unmapped_text(plan));
}

Tree plan_json(const MappingPlan& plan) {
  Tree layers = Tree::list(), totals = Tree::map();
  for (const LayerPlan& layer : plan.layers) layers.items.push_back(layer_json(layer, plan));
  for (const Total& total : plan.totals)
    totals.set(std::to_string(total.bits), Tree::map()
                                               .set("energy_pj", Tree::of(total.energy_pj))
                                               .set("cycles", Tree::of(total.cycles))
                                               .set("edp_pj_cycles", Tree::of(total.edp()))
                                               .set("mode", Tree::of(name_of(total.mode))));
  return Tree::map()
      .set("accelerator", Tree::of(plan.accelerator.name))
      .set("objective", Tree::of(name_of(plan.options.search.objective)))
      .set("layers", std::move(layers))
      .set("totals", std::move(totals))
      .set("network", Tree::of(plan.network))
      .set("unmapped", texts(plan.unmapped))
      .set("why", texts(plan.why));
}

}  // namespace instantnet::cli
