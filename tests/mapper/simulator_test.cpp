#include "instantnet/mapper/simulator.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "instantnet/core/error.h"
#include "mapper/random_cases.h"

namespace instantnet::mapper {
namespace {

constexpr Precision k16 = {16, 16};

std::string text_of(const AccessCounts& counts) {
  std::string text =
      fmt::format("macs {} steps {} instances {}\n", counts.macs, counts.steps, counts.instances);
  for (size_t l = 0; l < counts.levels.size(); ++l)
    for (const Tensor t : kAllTensors) {
      const Accesses& one = counts.levels[l][t];
      text += fmt::format("level {} {}: reads {} updates {} fills {} network {}\n", l, to_string(t),
                          one.reads, one.updates, one.fills, counts.network[l][t]);
    }
  return text;
}

/// One case: the closed forms equal the simulator's counts, and its output is the convolution's.
bool agrees(const LayerShape& layer, const Accelerator& device, const Mapping& mapping,
            uint64_t seed) {
  const auto result = evaluate(layer, k16, device, mapping);
  if (const Misfit* misfit = std::get_if<Misfit>(&result)) {
    ADD_FAILURE() << misfit->why << "\n" << describe(layer, device, mapping);
    return false;
  }
  Simulation simulation;
  try {
    simulation = simulate(layer, device, mapping, seed);
  } catch (const Bug& bug) {
    ADD_FAILURE() << bug.what() << " seed " << seed << "\n" << describe(layer, device, mapping);
    return false;
  }
  const AccessCounts& counts = std::get<Cost>(result).counts;
  const bool same = counts == simulation.counts && simulation.output == simulation.expected;
  EXPECT_TRUE(same) << "seed " << seed << "\n"
                    << describe(layer, device, mapping) << "closed forms:\n"
                    << text_of(counts) << "simulated:\n"
                    << text_of(simulation.counts) << "output "
                    << (simulation.output == simulation.expected ? "right" : "wrong");
  return same;
}

TEST(Simulator, EqualsTheClosedFormsOnRandomDevices) {
  for (uint64_t seed = 1; seed <= 6000; ++seed) {
    Rng rng(seed, 0);
    const LayerShape layer = random_layer(rng);
    const Accelerator device = random_device(rng);
    if (!agrees(layer, device, random_mapping(rng, layer, device), seed)) break;
  }
}

TEST(Simulator, EqualsTheClosedFormsWhereWindowsAreSpread) {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    Rng rng(seed, 7);
    const LayerShape layer = random_window_layer(rng);
    Accelerator device = random_device(rng, 3);
    const Mapping mapping = random_window_mapping(rng, layer, device);
    if (!agrees(layer, device, mapping, seed)) break;
  }
}

TEST(Simulator, EqualsTheClosedFormsOnEveryPreset) {
  for (const Accelerator& preset : accelerator_presets()) {
    const Accelerator device = unlimited(preset);
    for (uint64_t seed = 1; seed <= 200; ++seed) {
      Rng rng(seed, 1);
      const LayerShape layer = random_layer(rng);
      if (!agrees(layer, device, random_mapping(rng, layer, device), seed)) break;
    }
  }
}

}  // namespace
}  // namespace instantnet::mapper
