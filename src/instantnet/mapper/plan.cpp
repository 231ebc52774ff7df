#include "instantnet/mapper/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "instantnet/core/error.h"
#include "instantnet/mapper/plan_parts.h"
#include "instantnet/mapper/threads.h"

namespace instantnet::mapper {
namespace {

void check(const MapOptions& options) {
  check_bits(options.bits, "map");
  if (options.batch < 1)
    fail("map", fmt::format("batch is {}; give a whole number from 1 on.", options.batch));
}

/// The precisions a layer runs at, one a bit-width of the network.
std::vector<Precision> precisions_of(const Workload& layer, const std::vector<int>& bits) {
  std::vector<Precision> all;
  for (const int b : bits) {
    const int width = layer.bits > 0 ? layer.bits : b;
    all.push_back({width, width});
  }
  return all;
}

/// Each precision once, in the order given.
std::vector<Precision> distinct(const std::vector<Precision>& all) {
  std::vector<Precision> once;
  for (const Precision precision : all)
    if (std::find(once.begin(), once.end(), precision) == once.end()) once.push_back(precision);
  return once;
}

Found found_or_error(std::variant<Found, Misfit>&& answer, const Workload& layer,
                     Precision precision, const Accelerator& device) {
  if (const Misfit* misfit = std::get_if<Misfit>(&answer))
    fail(fmt::format("layer '{}' at {} bits on {}", layer.name, to_string(precision), device.name),
         misfit->why);
  return std::move(std::get<Found>(answer));
}

/// Tells the watch of each layer and bit-width, one at a time.
class Teller {
 public:
  Teller(const MapWatch& watch, size_t of) : watch_(watch), of_(of) {}
  void tell(const LayerPlan* first, size_t count) {
    if (!watch_) return;
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < count; ++i) watch_(first[i], done_++, of_);
  }

 private:
  const MapWatch& watch_;
  size_t done_ = 0, of_;
  std::mutex mutex_;
};

/// All layers at all bit-widths on the whole device: equal layers once, several at a time.
std::vector<LayerPlan> plan_layers(const std::vector<Workload>& layers, const Accelerator& device,
                                   const Constraints& constraints, const MapOptions& options,
                                   const MapWatch& watch) {
  const size_t widths = options.bits.size();
  std::vector<LayerPlan> plans(layers.size() * widths);
  Teller teller(watch, plans.size());
  SearchOptions one = options.search;
  if (layers.size() > 1) one.threads = 1;
  for_each_index(layers.size(), options.search.threads, [&](size_t l) {
    const Workload& layer = layers[l];
    const std::vector<Precision> wanted = precisions_of(layer, options.bits);
    const std::vector<Precision> once = distinct(wanted);
    auto answers = search_all(layer.shape, once, device, constraints, one);
    std::vector<Found> found;
    for (size_t i = 0; i < once.size(); ++i)
      found.push_back(found_or_error(std::move(answers[i]), layer, once[i], device));
    for (size_t b = 0; b < widths; ++b) {
      const auto at = std::find(once.begin(), once.end(), wanted[b]) - once.begin();
      plans[l * widths + b] = {layer.name,  options.bits[b], layer.bits,
                               layer.count, layer.shape,     found[static_cast<size_t>(at)]};
    }
    teller.tell(&plans[l * widths], widths);
  });
  return plans;
}

/// search() of one layer with one thread and another objective.
StageSearch stage_search(const Constraints& constraints, const SearchOptions& options) {
  return [&constraints, options](const LayerShape& layer, Precision precision,
                                 const Accelerator& device, Objective objective) {
    if (options.engine == Engine::Template && multipliers(device) == 1)
      return std::variant<Found, Misfit>(Misfit{"a dataflow spreads loops over an array."});
    SearchOptions one = options;
    one.threads = 1;
    one.objective = objective;
    return search(layer, precision, device, constraints, one);
  };
}

/// Decides how the network runs at one bit-width, and appends it to the plan.
void plan_mode(MappingPlan& plan, size_t index, const std::vector<Workload>& layers,
               const StageSearch& search_stage) {
  const Mode asked = plan.options.mode;
  const int bits = plan.options.bits[index];
  const Total& multi_cycle = plan.multi_cycle[index];
  Choice choice{Mode::MultiCycle, "Multi-cycle was asked for."};
  plan.stages.emplace_back();
  const auto no_need = asked == Mode::Auto ? why_no_pipeline(plan, index, layers) : std::nullopt;
  if (no_need) choice.why = *no_need;
  if (asked != Mode::MultiCycle && !no_need) {
    auto answer =
        plan_pipeline(layers, bits, plan.accelerator, search_stage, plan.options.search.threads);
    if (const Misfit* misfit = std::get_if<Misfit>(&answer)) {
      if (asked == Mode::Pipeline) fail(fmt::format("pipeline at {} bits", bits), misfit->why);
      choice.why = "Multi-cycle, since a pipeline cannot run: " + misfit->why;
    } else {
      Pipeline& pipeline = std::get<Pipeline>(answer);
      const Total total = pipeline_total(pipeline, bits, plan.accelerator, plan.options.batch);
      plan.pipeline.push_back(total);
      choice = asked == Mode::Pipeline
                   ? Choice{Mode::Pipeline, "A pipeline was asked for."}
                   : choose_mode(plan.options.search.objective, multi_cycle, total);
      if (choice.mode == Mode::Pipeline) plan.stages.back() = std::move(pipeline.stages);
    }
  }
  plan.totals.push_back(choice.mode == Mode::Pipeline ? plan.pipeline.back() : multi_cycle);
  plan.why.push_back(choice.why);
}

}  // namespace

const std::vector<std::pair<Mode, std::string>>& names_of(Mode) {
  static const std::vector<std::pair<Mode, std::string>> names = {
      {Mode::MultiCycle, "multi-cycle"}, {Mode::Pipeline, "pipeline"}, {Mode::Auto, "auto"}};
  return names;
}

Fields fields(MapOptions& options) {
  Fields all;
  all.add("bits", options.bits, "Bit-widths to map for, ascending.", {1, 32, "bits"});
  all.add("batch", options.batch, "Images worked on together.", {1, 1 << 20, "images"});
  all.add("mode", options.mode,
          "Layer after layer on the whole device, each layer on a part of it, or whichever the "
          "objective prefers.");
  all.add_group("search", fields(options.search), "How mappings are searched for.");
  return all;
}

Total multi_cycle_total(const MappingPlan& plan, size_t index) {
  const size_t widths = plan.options.bits.size();
  Total total;
  total.bits = plan.options.bits[index];
  total.proven = true;
  for (size_t l = index; l < plan.layers.size(); l += widths) {
    const LayerPlan& layer = plan.layers[l];
    const auto count = static_cast<double>(layer.count);
    total.energy_pj += count * layer.found.cost.energy_pj;
    total.cycles += count * layer.found.cost.cycles;
    total.proven = total.proven && layer.found.certified;
  }
  const auto batch = static_cast<double>(plan.options.batch);
  total.energy_pj /= batch;
  total.interval_cycles = total.cycles / batch;
  return total;
}

Total pipeline_total(const Pipeline& pipeline, int bits, const Accelerator& device, int64_t batch) {
  const double static_pj_a_cycle = 1000 * device.static_mw / device.clock_mhz;
  Total total;
  total.bits = bits;
  total.mode = Mode::Pipeline;
  total.cycles = pipeline.cycles;
  total.interval_cycles = pipeline.interval_cycles / static_cast<double>(batch);
  total.energy_pj =
      pipeline.energy_pj / static_cast<double>(batch) + static_pj_a_cycle * total.interval_cycles;
  total.proven = pipeline.proven;
  return total;
}

std::optional<std::string> why_no_pipeline(const MappingPlan& plan, size_t index,
                                           const std::vector<Workload>& layers) {
  const Objective objective = plan.options.search.objective;
  if (objective == Objective::Throughput) return std::nullopt;
  const Total& multi_cycle = plan.multi_cycle[index];
  if (layers.size() < 2) return "Multi-cycle: a single layer makes no pipeline.";
  const double slower = least_pipeline_cycles(layers, plan.options.bits[index], plan.accelerator) /
                        multi_cycle.cycles;
  double static_pj = 0;
  for (size_t l = index; l < plan.layers.size(); l += plan.options.bits.size())
    static_pj += static_cast<double>(plan.layers[l].count) * plan.layers[l].found.cost.static_pj;
  const double dynamic =
      1 - static_pj / static_cast<double>(plan.options.batch) / multi_cycle.energy_pj;
  const std::string any =
      "Multi-cycle: on the whole device a layer can run any mapping that its part could, in no "
      "more "
      "cycles and for no more energy of the accesses";
  if (static_pj == 0) return any + "; a pipeline only raises the throughput.";
  if (objective == Objective::Latency)
    return any + "; a pipeline only raises the throughput and saves static energy.";
  if (objective == Objective::Edp && slower * dynamic >= 1)
    return fmt::format(
        "{}; a pipeline's latency is at least {:.2f} times as long, more than static "
        "energy ({:.0f} % of all) can make up for.",
        any, slower, 100 * (1 - dynamic));
  return std::nullopt;
}

Choice choose_mode(Objective objective, const Total& multi_cycle, const Total& pipeline) {
  const auto value = [&](const Total& total) {
    return objective == Objective::Throughput
               ? Value{total.interval_cycles, total.energy_pj}
               : value_of(objective, {total.energy_pj, total.cycles});
  };
  const bool piped = value(pipeline) < value(multi_cycle);
  const Total &better = piped ? pipeline : multi_cycle, &worse = piped ? multi_cycle : pipeline;
  const auto per_cent = [](double a, double b) { return 100 * (a / b - 1); };
  return {piped ? Mode::Pipeline : Mode::MultiCycle,
          fmt::format(
              "{} against {}: cycles between two images {:+.1f} %, latency {:+.1f} %, energy "
              "{:+.1f} %.",
              piped ? "Pipeline" : "Multi-cycle", piped ? "multi-cycle" : "pipeline",
              per_cent(better.interval_cycles, worse.interval_cycles),
              per_cent(better.cycles, worse.cycles), per_cent(better.energy_pj, worse.energy_pj))};
}

MappingPlan map_network(const NetworkLayers& network, const Accelerator& device,
                        const Constraints& constraints, const MapOptions& options,
                        const MapWatch& watch) {
  check(options);
  check(device);
  if (network.layers.empty())
    fail(fmt::format("network '{}'", network.network), "it has no layer to map.");
  for (const Workload& layer : network.layers)
    check(layer.shape, fmt::format("layer '{}'", layer.name));
  MappingPlan plan;
  plan.network = network.network;
  plan.accelerator = device;
  plan.options = options;
  plan.options.batch = network.layers.front().shape.n;
  plan.unmapped = network.unmapped;
  plan.layers = plan_layers(merge_equal(network.layers), device, constraints, options, watch);
  for (size_t b = 0; b < options.bits.size(); ++b)
    plan.multi_cycle.push_back(multi_cycle_total(plan, b));
  const StageSearch search_stage = stage_search(constraints, options.search);
  for (size_t b = 0; b < options.bits.size(); ++b) plan_mode(plan, b, network.layers, search_stage);
  share_mappings(plan);
  price_switches(plan);
  return plan;
}

MappingPlan map_network(const NetworkSpec& network, const Accelerator& device,
                        const Constraints& constraints, const MapOptions& options,
                        const MapWatch& watch) {
  return map_network(network_layers(network, options.batch), device, constraints, options, watch);
}

}  // namespace instantnet::mapper
