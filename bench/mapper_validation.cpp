// Prints what the model says about published chips beside what was measured. Constants are fitted
// on AlexNet alone, but where the table says otherwise.
#include <fmt/format.h>

#include <cmath>

#include "instantnet/core/units.h"
#include "mapper/eyeriss_published.h"
#include "mapper/fpga_published.h"

namespace instantnet::mapper {
namespace {

std::string per_cent(double value, double reference) {
  return fmt::format("{:+.1f} %", 100 * (value / reference - 1));
}

using Rows = std::vector<std::vector<std::string>>;

void print_chip_table(const std::vector<ChipLayer>& layers, const std::string& title) {
  Rows rows;
  double measured = 0, sums[2] = {}, errors[2] = {};
  const double pass_cycles[2] = {fitted_pass_cycles(Overlap::BehindPorts),
                                 fitted_pass_cycles(Overlap::None)};
  for (const ChipLayer& layer : layers) {
    const ChipReplay result = replay(layer);
    const double ms[2] = {processing_ms(result, Overlap::BehindPorts, pass_cycles[0]),
                          processing_ms(result, Overlap::None, pass_cycles[1])};
    rows.push_back(
        {layer.name, fmt::format("{}", result.active_pes), fmt::format("{}", layer.active_pes),
         fmt::format("{:.1f}", ms[0]), fmt::format("{:.1f}", layer.processing_ms),
         per_cent(ms[0], layer.processing_ms), per_cent(ms[1], layer.processing_ms),
         fmt::format("{:.1f}", result.buffer_mib), fmt::format("{:.1f}", layer.buffer_mib),
         per_cent(result.buffer_mib, layer.buffer_mib)});
    measured += layer.processing_ms;
    for (int i = 0; i < 2; ++i) {
      sums[i] += ms[i];
      errors[i] += std::abs(ms[i] / layer.processing_ms - 1);
    }
  }
  fmt::print("{}\n{}\n", title,
             table_text({"layer", "PEs", "chip", "ms", "chip", "error", "no overlap", "GLB MiB",
                         "chip", "error"},
                        rows));
  const auto count = static_cast<double>(layers.size());
  fmt::print("sum {} (no overlap {}), mean absolute error {:.1f} % ({:.1f} %)\n\n",
             per_cent(sums[0], measured), per_cent(sums[1], measured), 100 * errors[0] / count,
             100 * errors[1] / count);
}

void print_energy_table() {
  Rows rows;
  for (const EnergyLayer& layer : isca16_alexnet()) {
    const EnergyReplay found = least_energy(layer);
    const auto number = [](double value) { return fmt::format("{:.2f}", value); };
    rows.push_back({layer.name, number(found.alu), number(layer.alu), number(found.dram),
                    number(layer.dram), number(found.registers), number(layer.registers),
                    number(found.register_fills), number(found.buffer), number(found.array)});
  }
  fmt::print("Eyeriss, ISCA 2016, figure 10: 10^9 MAC energies, batch 16; predicted\n{}\n\n",
             table_text({"layer", "ALU", "paper", "DRAM", "paper", "RF", "paper", "RF fills",
                         "buffer", "array"},
                        rows));
}

void print_chai_table() {
  Rows rows;
  const double macs = vgg16_convolution_macs();
  for (const ChaiBuild& build : chai_builds())
    for (const int bits : {6, 8}) {
      const double peak = chai_peak(build, macs, bits);
      const double measured = bits == 6 ? build.vgg16_6 : build.vgg16_8;
      const double alexnet = chai_efficiency_from_alexnet(build.device) * peak;
      const double vgg16 = chai_efficiency_from_vgg16(build.device) * peak;
      rows.push_back({build.device, fmt::format("{}", build.dsps), fmt::format("{}", bits),
                      fmt::format("{:.2f}", measured), fmt::format("{:.2f}", alexnet),
                      per_cent(alexnet, measured), fmt::format("{:.2f}", vgg16),
                      per_cent(vgg16, measured)});
    }
  fmt::print("CHaiDNN, VGG-16 convolutions, images a second\n{}\n",
             table_text({"device", "DSPs", "bits", "measured", "from AlexNet", "error",
                         "from VGG, 256 DSPs, 8 bits", "error"},
                        rows));
  for (const char* device : {"ZU9", "ZU7"})
    fmt::print("{}: {:.1f} % of the slices busy by AlexNet, {:.1f} % by VGG\n", device,
               100 * chai_efficiency_from_alexnet(device),
               100 * chai_efficiency_from_vgg16(device));
}

void print_accdnn() {
  const auto plain = accdnn_vgg16(), quantised = accdnn_vgg16_quantised();
  fmt::print("\nAccDNN, VGG-16 at 200 MHz: {:.2f} images a second, quantised {:.2f}\n",
             pipeline_images_a_second(plain, 200), pipeline_images_a_second(quantised, 200));
  fmt::print("our allocation of as many multipliers, powers of two: {:.2f}, quantised {:.2f}\n",
             allocated_images_a_second(plain, 200), allocated_images_a_second(quantised, 200));
}

}  // namespace
}  // namespace instantnet::mapper

int main() {
  using namespace instantnet::mapper;
  fmt::print(
      "Eyeriss chip: fitted on AlexNet, cycles a pass: {:.0f} (filters load behind partial "
      "sums), {:.0f} (no overlap)\n\n",
      fitted_pass_cycles(Overlap::BehindPorts), fitted_pass_cycles(Overlap::None));
  print_chip_table(chip_alexnet(), "AlexNet, batch 4: one constant fitted here");
  print_chip_table(chip_vgg16(), "VGG-16, batch 3: predicted");
  print_energy_table();
  print_chai_table();
  print_accdnn();
  return 0;
}
