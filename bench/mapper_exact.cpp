// Processor time of the exact mapper for every layer shape of networks of the zoo: median and worst
// of a layer and bit-width, each searched on its own.
//
//   bench_mapper_exact [NETWORKS] [DEVICES] [OBJECTIVES] [FACTORS] [BITS] [layers]
//   bench_mapper_exact alexnet,vgg16,resnet50,mobilenetv2 simple3,eyeriss edp,energy,latency
//   perfect,any 16
//
// With `layers` each layer's optimum is printed too. "sweep" for BITS runs 4, 8, 12, 16 and 32 bits
// of each layer in one go, as `map` does, and tells the time of the whole network.
#include <fmt/core.h>
#include <time.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/mapper/exact.h"
#include "instantnet/net/zoo.h"

namespace {

using namespace instantnet;
using namespace instantnet::mapper;

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

template <class E>
E named(const std::string& name) {
  for (const auto& [value, text] : names_of(E{}))
    if (text == name) return value;
  fail("bench_mapper_exact", fmt::format("'{}' is not known.", name));
}

struct Times {
  std::vector<double> seconds;
  int64_t evaluations = 0;
  bool proven = true;
};

void print_layer(const Workload& workload, int bits, const Found& found, double seconds) {
  fmt::print(
      "  {:28} {:2} bits {:10.3f} ms  edp {:.5e}  energy {:.6e} pJ  {:.0f} cycles  {} "
      "multipliers  {} evaluations\n",
      workload.name, bits, 1e3 * seconds, found.cost.edp(), found.cost.energy_pj, found.cost.cycles,
      found.cost.counts.instances, found.evaluations);
}

Times run(const std::string& network, const Accelerator& device, const SearchOptions& options,
          const std::vector<int>& bits, bool together, bool verbose) {
  Times times;
  for (const Workload& workload : workloads_of(zoo_network(network))) {
    std::vector<Precision> precisions;
    for (const int b : bits) precisions.push_back({b, b});
    std::vector<std::vector<Precision>> jobs;
    if (together)
      jobs.push_back(precisions);
    else
      for (const Precision& one : precisions) jobs.push_back({one});
    for (const auto& job : jobs) {
      const double start = processor_seconds();
      const auto results = search_exact_all(workload.shape, job, device, {}, options);
      const double seconds = processor_seconds() - start;
      times.seconds.push_back(seconds);
      for (size_t i = 0; i < job.size(); ++i) {
        const Found* found = std::get_if<Found>(&results[i]);
        if (!found) continue;
        times.evaluations += found->evaluations;
        times.proven = times.proven && found->certified;
        if (verbose) print_layer(workload, job[i].weight, *found, seconds);
      }
    }
  }
  return times;
}

int run_all(int argc, char** argv) {
  const auto argument = [&](int i, const char* otherwise) {
    return std::string(argc > i ? argv[i] : otherwise);
  };
  const std::string bits_text = argument(5, "16");
  const bool together = bits_text == "sweep", verbose = argument(6, "") == "layers";
  std::vector<int> bits;
  for (const std::string& part : split(together ? "4,8,12,16,32" : bits_text))
    bits.push_back(std::stoi(part));
  fmt::print("{:12} {:8} {:8} {:8} {:>7} {:>10} {:>10} {:>10} {:>12}\n", "network", "device",
             "goal", "factors", "layers", "median ms", "worst ms", "sum ms", "evaluations");
  for (const std::string& factors : split(argument(4, "perfect,any")))
    for (const std::string& objective : split(argument(3, "edp,energy,latency")))
      for (const std::string& device : split(argument(2, "simple3,eyeriss")))
        for (const std::string& network :
             split(argument(1, "alexnet,vgg16,resnet50,mobilenetv2"))) {
          SearchOptions options;
          options.objective = named<Objective>(objective);
          options.factors = factors == "perfect" ? Factors::Perfect : Factors::Any;
          Times times = run(network, find_accelerator(device), options, bits, together, verbose);
          std::sort(times.seconds.begin(), times.seconds.end());
          double sum = 0;
          for (const double one : times.seconds) sum += one;
          fmt::print("{:12} {:8} {:8} {:8} {:7} {:10.2f} {:10.2f} {:10.2f} {:12}{}\n", network,
                     device, objective, factors, times.seconds.size(),
                     1e3 * times.seconds[times.seconds.size() / 2], 1e3 * times.seconds.back(),
                     1e3 * sum, times.evaluations, times.proven ? "" : "  not proven");
          std::fflush(stdout);
        }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_all(argc, argv);
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
