#include "instantnet/mapper/cost.h"

#include <algorithm>

#include "instantnet/core/error.h"

namespace instantnet::mapper {

const std::vector<std::pair<Objective, std::string>>& names_of(Objective) {
  static const std::vector<std::pair<Objective, std::string>> names = {
      {Objective::Edp, "edp"},
      {Objective::Energy, "energy"},
      {Objective::Latency, "latency"},
      {Objective::Throughput, "throughput"}};
  return names;
}

Value value_of(Objective objective, const Score& score) {
  switch (objective) {
    case Objective::Edp:
      return {score.edp(), score.cycles};
    case Objective::Energy:
      return {score.energy_pj, score.cycles};
    case Objective::Latency:
    case Objective::Throughput:
      return {score.cycles, score.energy_pj};
  }
  bug("unknown objective.");
}

std::variant<Cost, Misfit> evaluate(const LayerShape& layer, Precision precision,
                                    const Accelerator& device, const Mapping& mapping) {
  return Evaluator(layer, precision, device).evaluate(mapping);
}

}  // namespace instantnet::mapper
