// How close evolution comes to the certified optimum of every layer of AlexNet, VGG16, ResNet-50
// and MobileNetV2, and how often it is within 1 % of it.
//
//   bench_mapper_evolution [SEEDS] [BUDGET] [DEVICES] [OBJECTIVE] [FACTORS]
//   bench_mapper_evolution 20 1000000 simple3,eyeriss edp any
#include <fmt/core.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/mapper/search.h"
#include "mapper_layers.h"

namespace {

using namespace instantnet;
using namespace instantnet::mapper;

constexpr Precision kPrecision = {16, 16};

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <class E>
E named(const std::string& name) {
  for (const auto& [value, text] : names_of(E{}))
    if (text == name) return value;
  fail("bench_mapper_evolution", fmt::format("'{}' is not known.", name));
}

double objective_of(const Found& found, Objective objective) {
  return value_of(objective, {found.cost.energy_pj, found.cost.cycles}).first;
}

struct Tally {
  int runs = 0, close = 0, layers = 0, always_close = 0, uncertified = 0;
  double log_ratio = 0, worst = 1, log_gap = 0, seconds = 0, longest = 0;
  int64_t evaluations = 0;
};

/// All seeds of one layer; a line for a layer that some seed misses by more than 1 %.
void run_layer(const std::string& name, const LayerShape& shape, const Accelerator& device,
               int seeds, SearchOptions options, Tally& tally) {
  options.engine = Engine::Exact;
  const auto exact = std::get<Found>(search(shape, kPrecision, device, {}, options));
  const double optimum = objective_of(exact, options.objective);
  tally.uncertified += exact.certified ? 0 : 1;
  ++tally.layers;
  options.engine = Engine::Evolution;
  std::string misses;
  for (int seed = 1; seed <= seeds; ++seed) {
    options.seed = static_cast<uint64_t>(seed);
    const double began = processor_seconds();
    const auto found = std::get<Found>(search(shape, kPrecision, device, {}, options));
    const double spent = processor_seconds() - began;
    const double ratio = objective_of(found, options.objective) / optimum;
    if (ratio < 1 - 1e-9 && exact.certified)
      bug(fmt::format("{}: evolution is below the certified optimum", name));
    ++tally.runs;
    if (ratio <= 1.01)
      ++tally.close;
    else
      misses += fmt::format(" {:.3f}", ratio);
    tally.log_ratio += std::log(ratio);
    tally.worst = std::max(tally.worst, ratio);
    tally.log_gap += std::log(optimum / found.lower_bound);
    tally.seconds += spent;
    tally.longest = std::max(tally.longest, spent);
    tally.evaluations += found.evaluations;
  }
  tally.always_close += misses.empty() ? 1 : 0;
  if (!misses.empty()) fmt::print("  {}:{}\n", name, misses);
}

void run_device(const Accelerator& device, int seeds, const SearchOptions& options) {
  Tally tally;
  for (const auto& [network, workload] : four_networks())
    run_layer(network + "/" + workload.name, workload.shape, device, seeds, options, tally);
  fmt::print(
      "{}: {} layers x {} seeds: {:.2f} % of runs within 1 % of the optimum, {} layers with all "
      "seeds; ratio {:.5f} in geometric mean, {:.3f} at worst; {:.2f} s a run, {:.2f} s the "
      "longest, {:.2f} million evaluations a second; optimum / lower bound {:.3f}{}\n",
      device.name, tally.layers, seeds, 100.0 * tally.close / tally.runs, tally.always_close,
      std::exp(tally.log_ratio / tally.runs), tally.worst, tally.seconds / tally.runs,
      tally.longest, 1e-6 * static_cast<double>(tally.evaluations) / tally.seconds,
      std::exp(tally.log_gap / tally.runs),
      tally.uncertified == 0 ? "" : fmt::format("; {} optima not certified", tally.uncertified));
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, const char* otherwise) {
    return std::string(argc > i ? argv[i] : otherwise);
  };
  try {
    SearchOptions options;
    options.budget = std::stoll(argument(2, "1000000"));
    options.objective = named<Objective>(argument(4, "edp"));
    options.factors = named<Factors>(argument(5, "any"));
    std::istringstream devices(argument(3, "simple3,eyeriss"));
    for (std::string device; std::getline(devices, device, ',');)
      run_device(find_accelerator(device), std::stoi(argument(1, "3")), options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
