#include "instantnet/mapper/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "instantnet/mapper/allocation.h"
#include "instantnet/mapper/share.h"
#include "instantnet/mapper/threads.h"

namespace instantnet::mapper {
namespace {

/// The fastest mapping first: its cycles bound the other one's.
constexpr std::array<Objective, 2> kObjectives = {Objective::Latency, Objective::Energy};

Precision precision_of(const Workload& layer, int bits) {
  const int own = layer.bits > 0 ? layer.bits : bits;
  return {own, own};
}

/// Inputs that a layer reads, at the least: p positions and r filter rows make p + r - 1 different
/// rows or more, whatever stride and dilation are.
double least_inputs(const LayerShape& layer) {
  return static_cast<double>(layer.n * layer.groups * layer.c) *
         static_cast<double>(layer.p + layer.r - 1) * static_cast<double>(layer.q + layer.s - 1);
}

/// A kind of layer on one share with one objective.
struct Candidate {
  size_t array = 0;         // index of the share
  int64_t buffer = 0;       // units
  size_t objective = 0;     // of kObjectives
  double least_cycles = 0;  // proven
  double least_memory_cycles = 0;
  bool searched = false;
  std::optional<Found> found;  // none after the search: it does not fit
};

/// Layers of equal shape and width have the same candidates.
struct Kind {
  LayerShape shape;
  Precision precision;
  std::vector<Candidate> candidates;
};

class Planner {
 public:
  Planner(const std::vector<Workload>& layers, int bits, const Accelerator& device,
          const StageSearch& search, int threads)
      : layers_(layers),
        device_(device),
        search_(search),
        threads_(threads),
        arrays_(array_shares(device)) {
    buffer_units_ = 64;
    while (buffer_units_ < 2 * static_cast<int64_t>(layers.size())) buffer_units_ *= 2;
    for (const Workload& layer : layers) kind_of_.push_back(find_kind(layer, bits));
  }

  std::variant<Pipeline, Misfit> plan() {
    if (arrays_.units < static_cast<int64_t>(layers_.size()))
      return Misfit{fmt::format("The network has {} layers, the array of {} has {} parts at most.",
                                layers_.size(), device_.name, arrays_.units)};
    double at_least = 0;  // bounds only rise
    while (true) {
      const auto bound = fastest(options(false), arrays_.units, buffer_units_, at_least);
      if (!bound) return no_room();
      at_least = bound->interval;
      const std::vector<std::pair<size_t, size_t>> open = unsearched(*bound);
      const auto proven = most_frugal(options(true), arrays_.units, buffer_units_, bound->interval);
      if (proven) return pipeline_of(*proven);
      search_all_of(open);
    }
  }

 private:
  size_t find_kind(const Workload& layer, int bits) {
    const Precision precision = precision_of(layer, bits);
    for (size_t k = 0; k < kinds_.size(); ++k)
      if (kinds_[k].shape == layer.shape && kinds_[k].precision == precision) return k;
    Kind kind{layer.shape, precision, {}};
    for (size_t a = 0; a < arrays_.shares.size(); ++a)
      for (int64_t buffer = buffer_units_; buffer >= 1; buffer /= 2)
        for (size_t o = 0; o < kObjectives.size(); ++o)
          kind.candidates.push_back(candidate(kind, a, buffer, o));
    kinds_.push_back(std::move(kind));
    return kinds_.size() - 1;
  }

  /// Bounds from the multipliers alone, and from every tensor crossing the outermost level once.
  Candidate candidate(const Kind& kind, size_t array, int64_t buffer, size_t objective) const {
    Candidate made;
    made.array = array, made.buffer = buffer, made.objective = objective;
    const double rate = macs_per_cycle(device_.mac, kind.precision) *
                        static_cast<double>(arrays_.shares[array].multipliers);
    const StorageLevel& memory = device_.levels.front();
    const double in =
        static_cast<double>(kind.shape.weights()) *
            words_per_element(memory, kind.precision.weight) +
        least_inputs(kind.shape) * words_per_element(memory, kind.precision.activation);
    const double out = static_cast<double>(kind.shape.n * kind.shape.k * kind.shape.p) *
                       static_cast<double>(kind.shape.q) *
                       words_per_element(memory, kind.precision.activation);
    const auto cycles = [](double words, double a_cycle) {
      return a_cycle > 0 ? words / a_cycle : 0;
    };
    made.least_memory_cycles =
        std::floor(std::max({cycles(in, memory.bandwidth.read), cycles(out, memory.bandwidth.write),
                             cycles(in + out, memory.bandwidth.total)}));
    made.least_cycles = std::max(std::floor(static_cast<double>(kind.shape.macs()) / rate),
                                 made.least_memory_cycles);
    return made;
  }

  /// What is chosen from: results and bounds, or results alone; `sources_` says which candidate
  /// each option is.
  std::vector<std::vector<StageOption>> options(bool results_only) {
    sources_.assign(kinds_.size(), {});
    std::vector<std::vector<StageOption>> of_kind(kinds_.size());
    for (size_t k = 0; k < kinds_.size(); ++k)
      for (size_t c = 0; c < kinds_[k].candidates.size(); ++c) {
        const Candidate& candidate = kinds_[k].candidates[c];
        if (candidate.searched ? !candidate.found : results_only) continue;
        of_kind[k].push_back(option(candidate));
        sources_[k].push_back(c);
      }
    std::vector<std::vector<StageOption>> all;
    for (const size_t k : kind_of_) all.push_back(of_kind[k]);
    return all;
  }

  StageOption option(const Candidate& candidate) const {
    StageOption made;
    made.array = arrays_.shares[candidate.array].units;
    made.buffer = candidate.buffer;
    made.cycles = candidate.least_cycles;
    made.memory_cycles = candidate.least_memory_cycles;
    if (candidate.found) {
      made.cycles = candidate.found->cost.cycles;
      made.memory_cycles = candidate.found->cost.levels.front().cycles;
      made.energy_pj = candidate.found->cost.energy_pj;
    }
    return made;
  }

  /// (kind, candidate) of the choices that rest on bounds, each once.
  std::vector<std::pair<size_t, size_t>> unsearched(const Allocation& allocation) const {
    std::vector<std::pair<size_t, size_t>> open;
    for (size_t s = 0; s < allocation.chosen.size(); ++s) {
      const size_t kind = kind_of_[s];
      const size_t candidate = sources_[kind][allocation.chosen[s]];
      if (!kinds_[kind].candidates[candidate].searched) open.emplace_back(kind, candidate);
    }
    std::sort(open.begin(), open.end());
    open.erase(std::unique(open.begin(), open.end()), open.end());
    return open;
  }

  void search_all_of(const std::vector<std::pair<size_t, size_t>>& open) {
    for_each_index(open.size(), threads_, [&](size_t i) {
      const Kind& kind = kinds_[open[i].first];
      Candidate& candidate = kinds_[open[i].first].candidates[open[i].second];
      const Accelerator share = with_buffer_share(arrays_.shares[candidate.array].device,
                                                  candidate.buffer, buffer_units_);
      auto answer = search_(kind.shape, kind.precision, share, kObjectives[candidate.objective]);
      if (Found* found = std::get_if<Found>(&answer)) candidate.found = std::move(*found);
      candidate.searched = true;
    });
    searches_ += static_cast<int64_t>(open.size());
    for (const auto& [kind, candidate] : open)
      learn(kinds_[kind], kinds_[kind].candidates[candidate]);
  }

  /// A fastest mapping bounds every mapping on parts that are no larger; what fits nowhere here
  /// fits nowhere in them.
  void learn(Kind& kind, const Candidate& from) {
    const bool fits = from.found.has_value();
    if (fits && from.objective != 0) return;
    for (Candidate& other : kind.candidates) {
      if (other.array < from.array || other.buffer > from.buffer || other.searched) continue;
      if (fits)
        other.least_cycles = std::max(other.least_cycles, from.found->lower_bound);
      else
        other.searched = true;
    }
  }

  /// Whether a layer fits in some part that leaves one to each other layer.
  bool fits(const Kind& kind) const {
    const auto others = static_cast<int64_t>(layers_.size()) - 1;
    return std::any_of(kind.candidates.begin(), kind.candidates.end(), [&](const Candidate& c) {
      return c.found && arrays_.shares[c.array].units + others <= arrays_.units &&
             c.buffer + others <= buffer_units_;
    });
  }

  Misfit no_room() const {
    for (size_t s = 0; s < layers_.size(); ++s)
      if (!fits(kinds_[kind_of_[s]]))
        return {fmt::format("Layer '{}' fits in no part of {} that leaves room for the others.",
                            layers_[s].name, device_.name)};
    return {fmt::format("The parts of {} that {} layers need are more than it has.", device_.name,
                        layers_.size())};
  }

  Pipeline pipeline_of(const Allocation& allocation) const {
    Pipeline result;
    result.interval_cycles = allocation.interval;
    result.proven = true;
    for (size_t s = 0; s < layers_.size(); ++s) {
      const Kind& kind = kinds_[kind_of_[s]];
      const Candidate& candidate = kind.candidates[sources_[kind_of_[s]][allocation.chosen[s]]];
      const ArrayShare& array = arrays_.shares[candidate.array];
      const Cost& cost = candidate.found->cost;
      result.stages.push_back(
          {layers_[s].name, array.multipliers,
           buffer_words(with_buffer_share(array.device, candidate.buffer, buffer_units_)),
           cost.energy_pj, cost.cycles, cost.levels.front().cycles, candidate.found->mapping});
      result.energy_pj += cost.energy_pj;
      result.cycles += cost.cycles;
    }
    for (const Kind& kind : kinds_)
      for (const Candidate& candidate : kind.candidates)
        if (candidate.found) {
          result.evaluations += candidate.found->evaluations;
          result.proven = result.proven && candidate.found->certified;
        }
    result.searches = searches_;
    return result;
  }

  const std::vector<Workload>& layers_;
  const Accelerator& device_;
  const StageSearch& search_;
  int threads_;
  ArrayShares arrays_;
  int64_t buffer_units_ = 0;
  std::vector<Kind> kinds_;
  std::vector<size_t> kind_of_;               // of each layer
  std::vector<std::vector<size_t>> sources_;  // of each kind: candidate of an option
  int64_t searches_ = 0;
};

}  // namespace

std::variant<Pipeline, Misfit> plan_pipeline(const std::vector<Workload>& layers, int bits,
                                             const Accelerator& device, const StageSearch& search,
                                             int threads) {
  return Planner(layers, bits, device, search, threads).plan();
}

double least_pipeline_cycles(const std::vector<Workload>& layers, int bits,
                             const Accelerator& device) {
  double roots = 0;
  for (const Workload& layer : layers)
    roots += std::sqrt(static_cast<double>(layer.shape.macs()) /
                       macs_per_cycle(device.mac, precision_of(layer, bits)));
  return roots * roots / static_cast<double>(multipliers(device));
}

}  // namespace instantnet::mapper
