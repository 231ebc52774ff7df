#include "instantnet/mapper/presets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "instantnet/mapper/cost.h"
#include "instantnet/mapper/fpga.h"
#include "instantnet/mapper/workload.h"
#include "instantnet/net/zoo.h"

namespace instantnet::mapper {
namespace {

using testing::IsEmpty;

TEST(Presets, AreSoundAndHaveSources) {
  std::set<std::string> names;
  for (const Accelerator& device : accelerator_presets()) {
    EXPECT_NO_THROW(check(device)) << device.name;
    EXPECT_TRUE(names.insert(device.name).second) << device.name;
    EXPECT_FALSE(device.description.empty()) << device.name;
    EXPECT_FALSE(device.sources.empty()) << device.name;
  }
  for (const char* name : {"simple3", "eyeriss", "eyeriss-chip", "eyeriss-isca16", "magnet",
                           "nvdla", "tpu", "shidiannao", "bitfusion", "zc706", "zu9", "zu7"})
    EXPECT_TRUE(names.contains(name)) << name;
}

TEST(Presets, BoardsFitTheirBudgets) {
  for (const Accelerator& device : accelerator_presets()) {
    EXPECT_THAT(over_budget(device), IsEmpty()) << device.name;
    EXPECT_EQ(fpga_use(device).dsp, multipliers(device)) << device.name;
  }
}

TEST(Presets, HaveTheMultipliersTheyAreKnownFor) {
  const std::map<std::string, int64_t> known = {
      {"simple3", 256},   {"eyeriss-chip", 168}, {"eyeriss-isca16", 256},
      {"magnet", 1024},   {"nvdla", 1024},       {"tpu", 65536},
      {"shidiannao", 64}, {"bitfusion", 512},    {"zc706", 896},
      {"zu9", 1920},      {"zu7", 1440}};
  for (const auto& [name, count] : known)
    EXPECT_EQ(multipliers(find_accelerator(name)), count) << name;
}

TEST(Presets, RunEveryLayerOfTheKnownNetworks) {
  for (const Accelerator& device : accelerator_presets())
    for (const char* network : {"alexnet", "vgg16", "resnet50", "mobilenetv2"})
      for (const Workload& layer : workloads_of(zoo_network(network)))
        for (const int bits : {4, 32})
          ASSERT_FALSE(smallest_misfit(layer.shape, {bits, bits}, device))
              << device.name << ", " << network << ", " << layer.name << ", " << bits;
}

TEST(Presets, ABitComposableUnitDoesFourTimesTheWorkAtHalfTheWidth) {
  const Accelerator device = find_accelerator("bitfusion");
  EXPECT_EQ(macs_per_cycle(device.mac, {8, 8}), 1);
  EXPECT_EQ(macs_per_cycle(device.mac, {4, 4}), 4);
  EXPECT_EQ(macs_per_cycle(device.mac, {2, 2}), 16);
  EXPECT_EQ(macs_per_cycle(device.mac, {16, 16}), 0.25);
}

TEST(Presets, ADspSliceDoesTwoNarrowMacsACycle) {
  const Accelerator device = find_accelerator("zc706");
  EXPECT_EQ(macs_per_cycle(device.mac, {8, 8}), 2);
  for (const int bits : {12, 16, 32})
    EXPECT_EQ(macs_per_cycle(device.mac, {bits, bits}), 1.0 / dsps_per_multiplier(bits, bits));
}

}  // namespace
}  // namespace instantnet::mapper
