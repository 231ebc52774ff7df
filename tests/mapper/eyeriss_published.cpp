#include "mapper/eyeriss_published.h"

#include <algorithm>

#include "instantnet/core/error.h"

namespace instantnet::mapper {
namespace {

LayerShape conv(int64_t n, int64_t k, int64_t c, int64_t side, int64_t kernel, int64_t stride = 1,
                int64_t groups = 1) {
  LayerShape layer;
  layer.n = n, layer.k = k, layer.c = c, layer.p = layer.q = side, layer.r = layer.s = kernel;
  layer.stride = stride, layer.groups = groups;
  return layer;
}

/// m, n, e, p, q, r, t of the paper.
RowStationary parameters(int64_t m, int64_t n, int64_t e, int64_t p, int64_t q, int64_t r,
                         int64_t t) {
  RowStationary mapping;
  mapping.m = m, mapping.n = n, mapping.e = e, mapping.p = p;
  mapping.q = q, mapping.r = r, mapping.t = t;
  return mapping;
}

Cost cost_of(const LayerShape& layer, const Accelerator& device, const RowStationary& mapping) {
  auto answer =
      evaluate(layer, {16, 16}, device, to_mapping(nest_of(layer, device, mapping), device));
  if (const Misfit* misfit = std::get_if<Misfit>(&answer)) bug(misfit->why);
  return std::move(std::get<Cost>(answer));
}

double moved(const Accesses& accesses) {
  return static_cast<double>(accesses.reads + accesses.updates + accesses.fills);
}

double total(const PerTensor<double>& values) {
  return values.weights + values.inputs + values.outputs;
}

constexpr double kFilterWordsACycle = 4;
constexpr double kCyclesAMs = 200e3;

}  // namespace

const std::vector<ChipLayer>& chip_alexnet() {
  static const std::vector<ChipLayer> layers = {
      {"conv1", conv(4, 96, 3, 55, 11, 4), parameters(96, 1, 7, 16, 1, 1, 2), 16.5, 154, 18.5},
      {"conv2", conv(4, 256, 48, 27, 5, 1, 2), parameters(64, 1, 27, 16, 2, 1, 1), 39.2, 135, 77.6},
      {"conv3", conv(4, 384, 256, 13, 3), parameters(64, 4, 13, 16, 3, 2, 2), 21.8, 156, 50.2},
      {"conv4", conv(4, 384, 192, 13, 3, 1, 2), parameters(64, 4, 13, 16, 3, 2, 2), 16.0, 156,
       37.4},
      {"conv5", conv(4, 256, 192, 13, 3, 1, 2), parameters(64, 4, 13, 16, 3, 2, 2), 10.0, 156,
       24.9}};
  return layers;
}

const std::vector<ChipLayer>& chip_vgg16() {
  const auto of_224 = parameters(16, 1, 13, 4, 1, 1, 4), of_112 = parameters(32, 1, 13, 8, 1, 1, 4),
             of_56 = parameters(64, 1, 13, 16, 2, 1, 4), of_28 = parameters(64, 1, 14, 16, 4, 1, 4),
             of_14 = parameters(64, 3, 14, 16, 4, 2, 2);
  static const std::vector<ChipLayer> layers = {
      {"conv1-1", conv(3, 64, 3, 224, 3), of_224, 38.0, 156, 112.6},
      {"conv1-2", conv(3, 64, 64, 224, 3), of_224, 810.6, 156, 2402.8},
      {"conv2-1", conv(3, 128, 64, 112, 3), of_112, 405.3, 156, 1201.4},
      {"conv2-2", conv(3, 128, 128, 112, 3), of_112, 810.8, 156, 2402.8},
      {"conv3-1", conv(3, 256, 128, 56, 3), of_56, 204.0, 156, 607.4},
      {"conv3-2", conv(3, 256, 256, 56, 3), of_56, 408.1, 156, 1214.8},
      {"conv3-3", conv(3, 256, 256, 56, 3), of_56, 408.1, 156, 1214.8},
      {"conv4-1", conv(3, 512, 256, 28, 3), of_28, 105.1, 168, 321.8},
      {"conv4-2", conv(3, 512, 512, 28, 3), of_28, 210.0, 168, 643.7},
      {"conv4-3", conv(3, 512, 512, 28, 3), of_28, 210.0, 168, 643.7},
      {"conv5-1", conv(3, 512, 512, 14, 3), of_14, 48.3, 168, 90.0},
      {"conv5-2", conv(3, 512, 512, 14, 3), of_14, 48.5, 168, 90.0},
      {"conv5-3", conv(3, 512, 512, 14, 3), of_14, 48.5, 168, 90.0}};
  return layers;
}

ChipReplay replay(const ChipLayer& layer) {
  static const Accelerator chip = find_accelerator("eyeriss-chip");
  const Cost cost = cost_of(layer.shape, chip, layer.mapping);
  const auto &dram = cost.counts.levels[0], &buffer = cost.counts.levels[1];
  ChipReplay result;
  result.active_pes = cost.counts.instances;
  result.array_cycles = cost.compute_cycles;
  result.filter_cycles = static_cast<double>(dram.weights.reads) / kFilterWordsACycle;
  result.port_cycles = cost.levels[1].cycles;
  result.passes = static_cast<double>(passes(layer.shape, layer.mapping));
  const double words =
      moved(buffer.inputs) + moved(buffer.outputs) + static_cast<double>(dram.outputs.updates);
  result.buffer_mib = words * 2 / (1 << 20);
  return result;
}

double processing_ms(const ChipReplay& replay, Overlap overlap, double pass_cycles) {
  const double cycles =
      overlap == Overlap::None
          ? std::max(replay.array_cycles, replay.port_cycles) + replay.filter_cycles
          : std::max(replay.array_cycles + replay.filter_cycles, replay.port_cycles);
  return (cycles + replay.passes * pass_cycles) / kCyclesAMs;
}

double fitted_pass_cycles(Overlap overlap) {
  double above = 0, below = 0;
  for (const ChipLayer& layer : chip_alexnet()) {
    const ChipReplay result = replay(layer);
    const double slope = result.passes / kCyclesAMs / layer.processing_ms;
    above += slope * (1 - processing_ms(result, overlap, 0) / layer.processing_ms);
    below += slope * slope;
  }
  return above / below;
}

const std::vector<EnergyLayer>& isca16_alexnet() {
  static const std::vector<EnergyLayer> layers = {
      {"conv1", conv(16, 96, 3, 55, 11, 4), 1.69, 2.46, 6.75},
      {"conv2", conv(16, 256, 48, 27, 5, 1, 2), 3.58, 2.27, 14.33},
      {"conv3", conv(16, 384, 256, 13, 3), 2.39, 2.02, 9.57},
      {"conv4", conv(16, 384, 192, 13, 3, 1, 2), 1.79, 1.57, 7.18},
      {"conv5", conv(16, 256, 192, 13, 3, 1, 2), 1.20, 1.05, 4.78},
      {"fc1", conv(16, 4096, 256, 1, 6), 0.60, 7.78, 2.42},
      {"fc2", conv(16, 4096, 4096, 1, 1), 0.27, 3.39, 1.07},
      {"fc3", conv(16, 1000, 4096, 1, 1), 0.07, 0.84, 0.26}};
  return layers;
}

EnergyReplay least_energy(const EnergyLayer& layer) {
  static const Accelerator device = find_accelerator("eyeriss-isca16");
  const auto mapping = best_row_stationary(layer.shape, device);
  if (!mapping) bug("no row-stationary mapping fits.");
  const Cost cost = cost_of(layer.shape, device, *mapping);
  const auto& file = cost.counts.levels[2];
  EnergyReplay result;
  result.mapping = *mapping;
  result.alu = cost.mac_pj / 1e9;
  result.dram = total(cost.levels[0].energy_pj) / 1e9;
  result.buffer = total(cost.levels[1].energy_pj) / 1e9;
  result.array = cost.levels[1].network_pj / 1e9;
  result.registers = static_cast<double>(file.weights.reads + file.inputs.reads +
                                         file.outputs.reads + file.outputs.updates) /
                     1e9;
  result.register_fills = total(cost.levels[2].energy_pj) / 1e9 - result.registers;
  return result;
}

}  // namespace instantnet::mapper
