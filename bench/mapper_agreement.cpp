// The closed forms against the simulator on more random cases than the unit tests try.
//
//   bench_mapper_agreement [cases] [first seed]      100000 1000000
//
// Prints how many cases differ in any count, and how many simulated outputs differ from a direct convolution.
#include <cstdlib>
#include <string>

#include <fmt/core.h>

#include "instantnet/core/error.h"
#include "instantnet/mapper/simulator.h"
#include "mapper/random_cases.h"

namespace {

using namespace instantnet;
using namespace instantnet::mapper;

struct Tally {
  int64_t counts = 0, outputs = 0;  // cases that differ
};

/// Half of the cases are of all kinds, half have windows spread over arrays.
void compare(uint64_t seed, Tally& tally) {
  const bool windows = seed % 2 == 1;
  Rng rng(seed, windows ? 7 : 0);
  const LayerShape layer = windows ? random_window_layer(rng) : random_layer(rng);
  Accelerator device = random_device(rng, windows ? 3 : 5);
  const Mapping mapping = windows ? random_window_mapping(rng, layer, device) : random_mapping(rng, layer, device);
  const auto result = evaluate(layer, {16, 16}, device, mapping);
  const Simulation simulation = simulate(layer, device, mapping, seed);
  const Cost* cost = std::get_if<Cost>(&result);
  if (cost == nullptr || !(cost->counts == simulation.counts)) ++tally.counts;
  if (simulation.output != simulation.expected) ++tally.outputs;
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t cases = argc > 1 ? std::atoll(argv[1]) : 100000;
  const auto first = static_cast<uint64_t>(argc > 2 ? std::atoll(argv[2]) : 1000000);
  Tally tally;
  for (int64_t i = 0; i < cases; ++i) compare(first + static_cast<uint64_t>(i), tally);
  fmt::print("{} cases: counts differ in {}, outputs in {}\n", cases, tally.counts, tally.outputs);
  return tally.counts + tally.outputs == 0 ? 0 : 1;
}
