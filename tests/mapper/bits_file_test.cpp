#include "instantnet/mapper/bits_file.h"

#include <gtest/gtest.h>

#include "instantnet/net/zoo.h"
#include "net/expect_error.h"

namespace instantnet::mapper {
namespace {

TEST(BitsFile, HoldsLayersAtTheirBits) {
  NetworkLayers network = network_layers(zoo_network("resnet8"));
  set_bits(network, parse_yaml("stem: 8\nfc: 0\n"));
  EXPECT_EQ(network.layers.front().bits, 8);
  EXPECT_EQ(network.layers.back().bits, 0);
}

TEST(BitsFile, NamesFileAndLineOfAMistake) {
  NetworkLayers network = network_layers(zoo_network("resnet8"));
  const auto refusal = [&](const char* text) {
    return error_of([&] { set_bits(network, parse_yaml(text, "bits.yaml")); });
  };
  EXPECT_EQ(refusal("stem: 8\nstme: 8\n"),
            "bits.yaml:2: resnet8 has no layer 'stme', did you mean 'stem'?");
  EXPECT_EQ(refusal("qqqqqqqqqqqqqqqqqq: 8\n"),
            "bits.yaml:1: resnet8 has no layer 'qqqqqqqqqqqqqqqqqq'.");
  EXPECT_EQ(refusal("stem: 17\n"),
            "bits.yaml:1: stem has 17 bits; give 1 to 16 or 32, or 0 for those of the network.");
  EXPECT_EQ(refusal("[8]"), "bits.yaml:1: the bit-widths are a list; give a map such as conv1: 8.");
}

}  // namespace
}  // namespace instantnet::mapper
