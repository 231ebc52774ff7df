// The convolutions and fully connected layers that mapper benchmarks run on.
#pragma once

#include <string>
#include <vector>

#include "instantnet/mapper/workload.h"
#include "instantnet/net/zoo.h"

namespace instantnet::mapper {

/// Every distinct layer of AlexNet, VGG16, ResNet-50 and MobileNetV2 at 224 x 224 pixels.
inline std::vector<std::pair<std::string, Workload>> four_networks() {
  std::vector<std::pair<std::string, Workload>> all;
  for (const std::string name : {"alexnet", "vgg16", "resnet50", "mobilenetv2"})
    for (const Workload& one : workloads_of(zoo_network(name), 1)) all.emplace_back(name, one);
  return all;
}

}  // namespace instantnet::mapper
