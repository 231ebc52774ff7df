#include <gtest/gtest.h>

#include "instantnet/mapper/mapping.h"

namespace instantnet::mapper {
namespace {

TEST(LoopNestText, HasALineALoopAndATileALevel) {
  Accelerator device;
  for (const char* name : {"DRAM", "GLB", "RF"}) {
    device.levels.emplace_back();
    device.levels.back().name = name;
  }
  LayerShape layer;
  layer.k = 6, layer.c = 4, layer.p = layer.q = 7, layer.r = layer.s = 3, layer.stride = 2;
  Mapping mapping;
  mapping.levels.resize(3);
  mapping.levels[0].temporal = {{Dim::K, 2}, {Dim::P, 4}};
  mapping.levels[1].temporal = {{Dim::Q, 7}};
  mapping.levels[1].spatial_x = {{Dim::K, 3}};
  mapping.levels[1].spatial_y = {{Dim::C, 4}};
  mapping.levels[1].keeps.weights = false;
  mapping.levels[2].temporal = {{Dim::P, 2}, {Dim::S, 3}, {Dim::R, 3}, {Dim::N, 1}};
  EXPECT_EQ(loop_nest_text(mapping, layer, device),
            "[DRAM: weights 216, inputs 900, outputs 294]\n"
            "for k in 0..1\n"
            "  for p in 0..3\n"
            "    [GLB: inputs 300, outputs 42]\n"
            "    for q in 0..6\n"
            "      for c in 0..3 across rows (y)\n"
            "        for k in 0..2 across columns (x)\n"
            "          [RF: weights 9, inputs 15, outputs 2]\n"
            "          for p in 0..1\n"
            "            for s in 0..2\n"
            "              for r in 0..2\n"
            "                multiply-accumulate\n");
}

}  // namespace
}  // namespace instantnet::mapper
