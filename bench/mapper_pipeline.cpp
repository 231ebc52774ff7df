// Multi-cycle against pipeline: cycles between two images, and what proving the allocation costs.
#include <fmt/format.h>

#include <ctime>
#include <string>
#include <vector>

#include "instantnet/core/units.h"
#include "instantnet/mapper/exact.h"
#include "instantnet/mapper/pipeline.h"
#include "instantnet/net/zoo.h"

namespace instantnet::mapper {
namespace {

constexpr int kBits = 8;

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

std::variant<Found, Misfit> fastest(const LayerShape& layer, Precision precision,
                                    const Accelerator& device, Objective objective) {
  SearchOptions options;
  options.objective = objective;
  options.factors = Factors::Perfect;
  return search_exact(layer, precision, device, {}, options);
}

double multi_cycle(const NetworkLayers& network, const Accelerator& device) {
  double cycles = 0;
  for (const Workload& layer : merge_equal(network.layers)) {
    const auto answer = fastest(layer.shape, {kBits, kBits}, device, Objective::Latency);
    cycles += static_cast<double>(layer.count) * std::get<Found>(answer).cost.cycles;
  }
  return cycles;
}

std::vector<std::string> row(const std::string& network_name, const std::string& device_name) {
  const NetworkLayers network = network_layers(zoo_network(network_name));
  const Accelerator device = find_accelerator(device_name);
  const double start = processor_seconds();
  const auto answer = plan_pipeline(network.layers, kBits, device, fastest, 1);
  const double seconds = processor_seconds() - start;
  const std::string whole = fmt::format("{:.3e}", multi_cycle(network, device));
  if (const Misfit* misfit = std::get_if<Misfit>(&answer))
    return {network_name, device_name, whole, misfit->why, "", "", ""};
  const Pipeline& pipeline = std::get<Pipeline>(answer);
  return {network_name,
          device_name,
          whole,
          fmt::format("{:.3e}", pipeline.interval_cycles),
          pipeline.proven ? "yes" : "no",
          fmt::format("{}", pipeline.searches),
          fmt::format("{:.2f}", seconds)};
}

}  // namespace
}  // namespace instantnet::mapper

int main() {
  std::vector<std::vector<std::string>> rows;
  for (const char* device : {"simple3", "zc706", "zu9", "zu7"})
    for (const char* network : {"alexnet", "vgg16", "resnet50", "mobilenetv2"})
      rows.push_back(instantnet::mapper::row(network, device));
  fmt::print("{}\n", instantnet::table_text({"network", "device", "multi-cycle", "pipeline",
                                             "proven", "searches", "seconds"},
                                            rows));
  return 0;
}
