// The model against published chips. `bench_mapper_validation` prints the tables;
// docs/validation.md says what was fitted on what.
#include <gtest/gtest.h>

#include <cmath>

#include "mapper/eyeriss_published.h"
#include "mapper/fpga_published.h"

namespace instantnet::mapper {
namespace {

double relative(double value, double reference) { return value / reference - 1; }

TEST(EyerissChip, AlexNetLatencyIsWithinFourPerCentInTheMean) {
  const double pass_cycles = fitted_pass_cycles(Overlap::BehindPorts);
  double sum = 0;
  for (const ChipLayer& layer : chip_alexnet()) {
    const double error = relative(processing_ms(replay(layer), Overlap::BehindPorts, pass_cycles),
                                  layer.processing_ms);
    EXPECT_LE(std::abs(error), 0.10) << layer.name;
    sum += std::abs(error);
  }
  EXPECT_LE(sum / 5, 0.04);
}

TEST(EyerissChip, VggLatencyFollowsWithWhatAlexNetFitted) {
  for (const Overlap overlap : {Overlap::BehindPorts, Overlap::None}) {
    const double pass_cycles = fitted_pass_cycles(overlap);
    double predicted = 0, measured = 0;
    for (const ChipLayer& layer : chip_vgg16()) {
      const double ms = processing_ms(replay(layer), overlap, pass_cycles);
      EXPECT_LE(std::abs(relative(ms, layer.processing_ms)), 0.15) << layer.name;
      predicted += ms, measured += layer.processing_ms;
    }
    EXPECT_LE(std::abs(relative(predicted, measured)), 0.06);
  }
}

TEST(EyerissChip, ActivePesAreExact) {
  for (const auto* layers : {&chip_alexnet(), &chip_vgg16()})
    for (const ChipLayer& layer : *layers)
      EXPECT_EQ(replay(layer).active_pes, layer.active_pes) << layer.name;
}

TEST(EyerissChip, BufferTrafficIsWithinTenPerCent) {
  for (const auto* layers : {&chip_alexnet(), &chip_vgg16()})
    for (const ChipLayer& layer : *layers)
      EXPECT_LE(std::abs(relative(replay(layer).buffer_mib, layer.buffer_mib)), 0.10) << layer.name;
}

TEST(EyerissIsca16, EnergiesAreThoseOfTheLeastEnergyMapping) {
  for (const EnergyLayer& layer : isca16_alexnet()) {
    const EnergyReplay found = least_energy(layer);
    EXPECT_NEAR(found.alu, layer.alu, 0.1) << layer.name;
    EXPECT_NEAR(found.dram, layer.dram, 0.1) << layer.name;
    EXPECT_NEAR(found.registers, layer.registers, 0.1) << layer.name;
  }
}

TEST(ChaiDnn, VggOnZu9FollowsFromAlexNet) {
  const double efficiency = chai_efficiency_from_alexnet("ZU9");
  for (const ChaiBuild& build : chai_builds()) {
    if (build.device != "ZU9") continue;
    const double macs = vgg16_convolution_macs();
    EXPECT_LE(std::abs(relative(efficiency * chai_peak(build, macs, 6), build.vgg16_6)), 0.10);
    EXPECT_LE(std::abs(relative(efficiency * chai_peak(build, macs, 8), build.vgg16_8)), 0.10);
  }
}

/// AlexNet does not tell what ZU7's buffers cost VGG (docs/validation.md): one number of VGG does.
TEST(ChaiDnn, VggOnEachDeviceFollowsFromOneOfItsNumbers) {
  for (const ChaiBuild& build : chai_builds()) {
    const double macs = vgg16_convolution_macs();
    const double efficiency = chai_efficiency_from_vgg16(build.device);
    EXPECT_LE(std::abs(relative(efficiency * chai_peak(build, macs, 6), build.vgg16_6)), 0.10);
    EXPECT_LE(std::abs(relative(efficiency * chai_peak(build, macs, 8), build.vgg16_8)), 0.10);
  }
}

TEST(AccDnn, ProjectionsAreExact) {
  EXPECT_NEAR(pipeline_images_a_second(accdnn_vgg16(), 200), 13.84, 0.005);
  EXPECT_NEAR(pipeline_images_a_second(accdnn_vgg16_quantised(), 200), 27.68, 0.005);
  int64_t multipliers = 0;
  const auto stages = accdnn_vgg16();
  for (size_t s = 0; s < 13; ++s) multipliers += stages[s].channels * stages[s].kernels;
  EXPECT_EQ(multipliers, 1064);
}

TEST(AccDnn, OurAllocationOfItsMultipliersIsNoSlower) {
  const auto stages = accdnn_vgg16();
  EXPECT_GE(allocated_images_a_second(stages, 200), pipeline_images_a_second(stages, 200));
}

}  // namespace
}  // namespace instantnet::mapper
