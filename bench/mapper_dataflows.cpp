// Energy-delay product of each expert dataflow, at its best tiles, against the certified optimum:
// four networks at five bit-widths.
//
//   bench_mapper_dataflows [DEVICES] [BITS]
//   bench_mapper_dataflows simple3,eyeriss 4,8,12,16,32
//
// A network's energy and cycles are sums over its layers, one after the other. Layers that a
// dataflow cannot run are left out of both sides of its ratio and counted.
#include <fmt/core.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "instantnet/core/units.h"
#include "instantnet/mapper/search.h"
#include "mapper_layers.h"

namespace {

using namespace instantnet;
using namespace instantnet::mapper;

struct Sum {
  double energy_pj = 0, cycles = 0;
  void add(const Cost& cost, int64_t count) {
    energy_pj += cost.energy_pj * static_cast<double>(count);
    cycles += cost.cycles * static_cast<double>(count);
  }
  double edp() const { return energy_pj * cycles; }
};

/// A dataflow (or the optimum) on one network at one bit-width.
struct Total {
  Sum own, optimum;  // over the layers that it can run
  int64_t missing = 0, uncertified = 0;
};

using Answers = std::vector<std::variant<Found, Misfit>>;

Answers answers(const LayerShape& shape, const std::vector<Precision>& precisions,
                const Accelerator& device, const std::string& dataflow) {
  SearchOptions options;
  options.budget = 200000;  // where the exact search does not apply
  options.engine = dataflow.empty() ? Engine::Exact : Engine::Template;
  options.template_name = dataflow;
  return search_all(shape, precisions, device, {}, options);
}

void run(const Accelerator& device, const std::string& network,
         const std::vector<Precision>& precisions) {
  std::vector<std::vector<Total>> totals(templates().size(), std::vector<Total>(precisions.size()));
  for (const auto& [name, workload] : four_networks()) {
    if (name != network) continue;
    const Answers best = answers(workload.shape, precisions, device, "");
    for (size_t t = 0; t < templates().size(); ++t) {
      const Answers expert = answers(workload.shape, precisions, device, templates()[t].first);
      for (size_t b = 0; b < precisions.size(); ++b) {
        const Found* own = std::get_if<Found>(&expert[b]);
        const Found* optimum = std::get_if<Found>(&best[b]);
        Total& total = totals[t][b];
        if (!own || !optimum) {
          total.missing += workload.count;
          continue;
        }
        total.own.add(own->cost, workload.count);
        total.optimum.add(optimum->cost, workload.count);
        total.uncertified += own->certified && optimum->certified ? 0 : 1;
      }
    }
  }
  std::vector<std::vector<std::string>> rows;
  for (size_t t = 0; t < templates().size(); ++t) {
    std::vector<std::string> row = {templates()[t].first};
    for (const Total& total : totals[t]) {
      const double ratio = total.own.edp() / total.optimum.edp();
      row.push_back(total.own.cycles == 0
                        ? "fits nothing"
                        : fmt::format("{:.2f} (-{:.1f} %){}{}", ratio, 100 * (1 - 1 / ratio),
                                      total.missing > 0 ? fmt::format(" [{}]", total.missing) : "",
                                      total.uncertified > 0 ? " *" : ""));
    }
    rows.push_back(row);
  }
  std::vector<std::string> header = {fmt::format("{}, {}", device.name, network)};
  for (const Precision& precision : precisions) header.push_back(to_string(precision) + " bits");
  fmt::print("{}\n", table_text(header, rows));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::istringstream devices(argc > 1 ? argv[1] : "simple3,eyeriss");
    std::istringstream bits(argc > 2 ? argv[2] : "4,8,12,16,32");
    std::vector<Precision> precisions;
    for (std::string one; std::getline(bits, one, ',');)
      precisions.push_back({std::stoi(one), std::stoi(one)});
    fmt::print(
        "EDP of the dataflow / EDP of the optimum (reduction by the optimum) [layers it cannot "
        "run]; * not certified\n\n");
    for (std::string device; std::getline(devices, device, ',');)
      for (const char* network : {"alexnet", "vgg16", "resnet50", "mobilenetv2"})
        run(find_accelerator(device), network, precisions);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
