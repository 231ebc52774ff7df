#include "mapper/fpga_published.h"

#include <algorithm>

#include "instantnet/core/error.h"
#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/allocation.h"
#include "instantnet/net/zoo.h"
#include "mapper/eyeriss_published.h"

namespace instantnet::mapper {
namespace {

MacUnit chai_slice() {
  MacUnit slice;
  slice.kind = MacKind::Packed;
  slice.packed = 2, slice.packed_bits = 6;
  return slice;
}

const ChaiBuild& build_of(const std::string& device, int64_t dsps) {
  for (const ChaiBuild& build : chai_builds())
    if (build.device == device && build.dsps == dsps) return build;
  bug("there is no such build.");
}

struct Parallelism {
  int64_t channels, kernels;
};

/// Layers of VGG-16 in order with a configuration of each.
std::vector<BuilderStage> vgg16_with(const std::vector<Parallelism>& parallelism) {
  std::vector<BuilderStage> stages;
  for (const NamedLayer& layer : layers(zoo_network("vgg16"))) {
    const Parallelism& own = parallelism.at(stages.size());
    stages.push_back(
        {layer.name, own.channels, own.kernels, static_cast<double>(layer.shape.macs())});
  }
  return stages;
}

constexpr size_t kConvolutions = 13;

}  // namespace

const std::vector<ChaiBuild>& chai_builds() {
  static const std::vector<ChaiBuild> builds = {{"ZU9", 128, 600, 124.94, 64.01, 5.69, 2.88},
                                                {"ZU9", 256, 600, 237.72, 124.6, 11.06, 5.67},
                                                {"ZU9", 512, 600, 436.5, 236.59, 20.84, 10.97},
                                                {"ZU9", 1024, 500, 606.46, 390.27, 35.73, 19.3},
                                                {"ZU7", 128, 600, 117.4, 60.15, 4.473, 2.267},
                                                {"ZU7", 256, 600, 218.66, 115.92, 8.635, 4.425},
                                                {"ZU7", 512, 600, 394.45, 217.46, 16.30, 8.589}};
  return builds;
}

double chai_peak(const ChaiBuild& build, double macs, int bits) {
  const double a_second = static_cast<double>(build.dsps) * build.dsp_mhz * 1e6;
  return a_second * macs_per_cycle(chai_slice(), {bits, bits}) / macs;
}

double alexnet_convolution_macs() {
  double macs = 0;
  for (const ChipLayer& layer : chip_alexnet())
    macs += static_cast<double>(layer.shape.macs() / layer.shape.n);
  return macs;
}

double vgg16_convolution_macs() {
  double macs = 0;
  const auto stages = accdnn_vgg16();
  for (size_t s = 0; s < kConvolutions; ++s) macs += stages[s].macs;
  return macs;
}

double chai_efficiency_from_alexnet(const std::string& device) {
  const ChaiBuild& build = build_of(device, 128);
  const double macs = alexnet_convolution_macs();
  return (build.alexnet_6 / chai_peak(build, macs, 6) +
          build.alexnet_8 / chai_peak(build, macs, 8)) /
         2;
}

double chai_efficiency_from_vgg16(const std::string& device) {
  const ChaiBuild& build = build_of(device, 256);
  return build.vgg16_8 / chai_peak(build, vgg16_convolution_macs(), 8);
}

std::vector<BuilderStage> accdnn_vgg16() {
  return vgg16_with({{1, 8},
                     {16, 8},
                     {8, 8},
                     {16, 8},
                     {8, 8},
                     {16, 8},
                     {16, 8},
                     {8, 8},
                     {16, 8},
                     {16, 8},
                     {8, 4},
                     {8, 4},
                     {8, 4},
                     {8, 2},
                     {2, 2},
                     {2, 1}});
}

/// Twice the kernels of the convolutions where two narrow MACs share a slice.
std::vector<BuilderStage> accdnn_vgg16_quantised() {
  std::vector<BuilderStage> stages = accdnn_vgg16();
  for (size_t s = 0; s < stages.size(); ++s) stages[s].kernels *= 2;
  return stages;
}

double pipeline_images_a_second(const std::vector<BuilderStage>& stages, double clock_mhz) {
  double slowest = 0;
  for (const BuilderStage& stage : stages)
    slowest = std::max(slowest, stage.macs / static_cast<double>(stage.channels * stage.kernels));
  return clock_mhz * 1e6 / slowest;
}

double allocated_images_a_second(const std::vector<BuilderStage>& stages, double clock_mhz) {
  int64_t all = 0;
  std::vector<std::vector<StageOption>> options;
  for (const BuilderStage& stage : stages) {
    all += stage.channels * stage.kernels;
    options.emplace_back();
    for (int64_t multipliers = 1; multipliers <= 1024; multipliers *= 2)
      options.back().push_back(
          {stage.macs / static_cast<double>(multipliers), multipliers, 0, 0, 0});
  }
  const auto best = allocate(options, all, 0);
  if (!best) bug("the stages do not fit.");
  return clock_mhz * 1e6 / best->interval;
}

}  // namespace instantnet::mapper
