// What is published about FPGA designs, and what the model says to it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace instantnet::mapper {

/// A build of CHaiDNN v2 (its performance tables): images a second without fully connected layers.
struct ChaiBuild {
  std::string device;
  int64_t dsps = 0;
  double dsp_mhz = 0;
  double alexnet_6 = 0, alexnet_8 = 0, vgg16_6 = 0, vgg16_8 = 0;
};
const std::vector<ChaiBuild>& chai_builds();

/// Images a second of `macs` at a bit-width when every slice were busy in every cycle: one MAC a
/// cycle, two at 6 bits.
double chai_peak(const ChaiBuild& build, double macs, int bits);
double alexnet_convolution_macs();
double vgg16_convolution_macs();

/// Busy part of the slices, fitted on AlexNet: the mean of the device's smallest build at 6 and 8
/// bits, where AlexNet's small layers fill the array best.
double chai_efficiency_from_alexnet(const std::string& device);
/// From one number of VGG-16: the device's build of 256 DSPs at 8 bits.
double chai_efficiency_from_vgg16(const std::string& device);

/// A stage of a DNNBuilder (AccDNN) design: channels and kernels worked on at once.
struct BuilderStage {
  std::string layer;
  int64_t channels = 1, kernels = 1;
  double macs = 0;
};
/// AccDNN's example configuration of VGG-16 and of its quantised version.
std::vector<BuilderStage> accdnn_vgg16();
std::vector<BuilderStage> accdnn_vgg16_quantised();

/// Images a second of a pipeline at a clock: MACs / (channels x kernels) cycles in each stage.
double pipeline_images_a_second(const std::vector<BuilderStage>& stages, double clock_mhz);
/// The same with our allocation of as many multipliers, powers of two to each stage; proven best.
double allocated_images_a_second(const std::vector<BuilderStage>& stages, double clock_mhz);

}  // namespace instantnet::mapper
