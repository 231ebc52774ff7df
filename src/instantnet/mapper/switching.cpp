// One mapping for all bit-widths, and what it costs to change between mappings.
#include <algorithm>
#include <limits>

#include "instantnet/core/error.h"
#include "instantnet/mapper/plan_parts.h"

namespace instantnet::mapper {
namespace {

constexpr int64_t kLoopBits = 24, kLevelBits = 3;

int64_t configuration_bits(const Mapping& mapping) {
  int64_t bits = 0;
  for (const LevelLoops& level : mapping.levels)
    bits += kLevelBits +
            kLoopBits * static_cast<int64_t>(level.temporal.size() + level.spatial_x.size() +
                                             level.spatial_y.size());
  return bits;
}

/// The costs of a layer with one mapping at every bit-width; empty when it does not fit at all of
/// them. `layer` is the first of the layer's plans.
std::vector<Score> scores_with(const Mapping& mapping, const LayerPlan* layer, size_t widths,
                               const Accelerator& device) {
  std::vector<Score> scores;
  for (size_t b = 0; b < widths; ++b) {
    const auto answer = evaluate(layer[b].shape, layer[b].precision(), device, mapping);
    const Cost* cost = std::get_if<Cost>(&answer);
    if (cost == nullptr) return {};
    scores.push_back({cost->energy_pj, cost->cycles});
  }
  return scores;
}

/// Sum over bit-widths of the objective relative to the best there.
double regret(Objective objective, const std::vector<Score>& scores, const LayerPlan* layer) {
  double sum = 0;
  for (size_t b = 0; b < scores.size(); ++b) {
    const Cost& best = layer[b].found.cost;
    sum += value_of(objective, scores[b]).first /
           value_of(objective, {best.energy_pj, best.cycles}).first;
  }
  return sum;
}

/// What is loaded when a network changes from one list of mappings to another.
struct Loaded {
  int64_t layers = 0, bits = 0;
};

Loaded loaded_layers(const MappingPlan& plan, size_t from, size_t to) {
  const size_t widths = plan.options.bits.size();
  Loaded loaded;
  for (size_t l = 0; l + widths <= plan.layers.size(); l += widths) {
    const Mapping& next = plan.layers[l + to].found.mapping;
    if (plan.layers[l + from].found.mapping == next) continue;
    loaded.layers += plan.layers[l].count;
    loaded.bits += plan.layers[l].count * configuration_bits(next);
  }
  return loaded;
}

Loaded loaded_stages(const std::vector<Stage>& from, const std::vector<Stage>& to) {
  Loaded loaded;
  for (size_t s = 0; s < to.size(); ++s) {
    if (s < from.size() && from[s].mapping == to[s].mapping) continue;
    ++loaded.layers;
    loaded.bits += configuration_bits(to[s].mapping);
  }
  return loaded;
}

bool same_parts(const std::vector<Stage>& a, const std::vector<Stage>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Stage& x, const Stage& y) {
    return x.multipliers == y.multipliers && x.buffer_words == y.buffer_words;
  });
}

Switch switch_between(const MappingPlan& plan, size_t from, size_t to) {
  const auto &before = plan.stages[from], &after = plan.stages[to];
  const Loaded loaded =
      after.empty() ? loaded_layers(plan, from, to) : loaded_stages(before, after);
  Switch price{plan.options.bits[from], plan.options.bits[to], loaded.layers, loaded.bits};
  const StorageLevel& memory = plan.accelerator.levels.front();
  const double words = static_cast<double>(loaded.bits) / memory.word_bits;
  const double a_cycle = memory.bandwidth.read > 0 ? memory.bandwidth.read : memory.bandwidth.total;
  price.cycles = a_cycle > 0 ? words / a_cycle : 0;
  price.energy_pj = words * memory.read_pj.weights;
  const auto& fpga = plan.accelerator.fpga;
  if (fpga && fpga->configuration_mb_s > 0 && !same_parts(before, after))
    price.reconfiguration_ms =
        static_cast<double>(fpga->bitstream_bytes) / (fpga->configuration_mb_s * 1000);
  return price;
}

}  // namespace

void share_mappings(MappingPlan& plan) {
  const size_t widths = plan.options.bits.size();
  std::vector<Score> totals(widths);
  plan.shared_mapping_bits.clear();
  for (size_t l = 0; l < plan.layers.size(); l += widths) {
    const LayerPlan* layer = &plan.layers[l];
    std::vector<Score> best;
    double least = std::numeric_limits<double>::infinity();
    for (size_t b = 0; b < widths; ++b) {
      auto scores = scores_with(layer[b].found.mapping, layer, widths, plan.accelerator);
      const double now =
          scores.empty() ? least : regret(plan.options.search.objective, scores, layer);
      if (!(now < least)) continue;
      least = now;
      best = std::move(scores);
      if (plan.shared_mapping_bits.size() * widths == l) plan.shared_mapping_bits.push_back(0);
      plan.shared_mapping_bits.back() = plan.options.bits[b];
    }
    if (best.empty()) bug("the mapping of the widest bit-width does not fit at the narrower ones.");
    for (size_t b = 0; b < widths; ++b) {
      totals[b].energy_pj += best[b].energy_pj * static_cast<double>(layer->count);
      totals[b].cycles += best[b].cycles * static_cast<double>(layer->count);
    }
  }
  plan.shared_mapping_edp_ratio.clear();
  for (size_t b = 0; b < widths; ++b)
    plan.shared_mapping_edp_ratio.push_back(
        totals[b].edp() / static_cast<double>(plan.options.batch) / plan.multi_cycle[b].edp());
}

void price_switches(MappingPlan& plan) {
  plan.switches.clear();
  for (size_t from = 0; from < plan.options.bits.size(); ++from)
    for (size_t to = 0; to < plan.options.bits.size(); ++to)
      if (from != to) plan.switches.push_back(switch_between(plan, from, to));
}

}  // namespace instantnet::mapper
