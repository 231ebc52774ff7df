#include "instantnet/mapper/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instantnet/core/error.h"
#include "instantnet/net/zoo.h"

namespace instantnet::mapper {
namespace {

using testing::HasSubstr;

std::string message_of(const LayerShape& layer) {
  try {
    check(layer, "layer 'x'");
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Workload, EveryDimButGIsIrrelevantToExactlyOneTensor) {
  for (const Dim d : kAllDims) {
    int irrelevant = 0;
    for (const Tensor t : kAllTensors) irrelevant += relevant(t, d) ? 0 : 1;
    EXPECT_EQ(irrelevant, d == Dim::G ? 0 : 1) << to_string(d);
  }
}

TEST(Workload, BoundsOfAGroupConvolutionArePerGroup) {
  LayerShape layer;
  layer.k = 64, layer.c = 4, layer.groups = 8, layer.p = 7, layer.q = 9;
  EXPECT_EQ(bounds_of(layer), (PerDim{1, 8, 8, 4, 7, 9, 1, 1}));
}

TEST(Workload, EqualShapesAreMergedAndCounted) {
  const NetworkSpec network = zoo_network("resnet50");
  int64_t macs = 0, count = 0;
  const std::vector<Workload> all = workloads_of(network, 2);
  for (const Workload& one : all) macs += one.count * one.shape.macs(), count += one.count;
  EXPECT_EQ(macs, 2 * count_macs(network));
  EXPECT_EQ(count, static_cast<int64_t>(layers(network).size()));
  EXPECT_LT(all.size(), 30u);
}

TEST(Workload, RefusesImpossibleLayers) {
  LayerShape layer;
  EXPECT_EQ(message_of(layer), "");
  layer.p = 0;
  EXPECT_EQ(message_of(layer), "layer 'x': p is 0; give a whole number from 1 on.");
  layer = {};
  layer.k = 6, layer.groups = 4;
  EXPECT_THAT(message_of(layer), HasSubstr("k must be a multiple of groups"));
  layer = {};
  layer.p = layer.q = layer.k = int64_t{1} << 30;
  EXPECT_THAT(message_of(layer), HasSubstr("more than 2^52 multiply-accumulates"));
}

}  // namespace
}  // namespace instantnet::mapper
