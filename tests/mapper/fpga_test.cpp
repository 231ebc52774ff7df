#include "instantnet/mapper/fpga.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"

namespace instantnet::mapper {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

FpgaBoard small_board() {
  return {{.dsp = 100, .bram36 = 60, .uram = 0, .lut = 200000, .ff = 200000}, 100, 1.6e9};
}

TEST(Fpga, BlockRamsByWidthAndDepth) {
  EXPECT_EQ(ramb18_blocks(36, 512), 1);
  EXPECT_EQ(ramb18_blocks(72, 512), 2);  // one BRAM36
  EXPECT_EQ(ramb18_blocks(16, 1024), 1);
  EXPECT_EQ(ramb18_blocks(16, 1025), 2);
  EXPECT_EQ(ramb18_blocks(1, 16384), 1);
  EXPECT_EQ(ramb18_blocks(8, 32768), 16);  // sixteen 2048 x 9, or 4096 x 4 in pairs
  EXPECT_EQ(uram_blocks(72, 4096), 1);
  EXPECT_EQ(uram_blocks(73, 4097), 4);
  EXPECT_EQ(lutram_luts(16, 16), 24);
}

TEST(Fpga, BlocksNeverShrinkWithTheMemory) {
  Rng rng(5);
  for (int i = 0; i < 2000; ++i) {
    const auto width = static_cast<int64_t>(1 + rng.below(600));
    const auto depth = static_cast<int64_t>(1 + rng.below(40000));
    const int64_t blocks = ramb18_blocks(width, depth);
    EXPECT_LE(blocks, ramb18_blocks(width + 1, depth));
    EXPECT_LE(blocks, ramb18_blocks(width, depth + 1));
    EXPECT_GE(blocks * 18432, width * depth);  // a block has 18 Kibit
  }
}

TEST(Fpga, TheDeepestMemoryIsTheDeepest) {
  Rng rng(6);
  for (int i = 0; i < 2000; ++i) {
    const auto width = static_cast<int64_t>(1 + rng.below(2000));
    const auto blocks = static_cast<int64_t>(1 + rng.below(1000));
    const int64_t depth = deepest_memory(width, blocks);
    EXPECT_TRUE(depth == 0 || ramb18_blocks(width, depth) <= blocks);
    EXPECT_GT(ramb18_blocks(width, depth + 512), blocks);
  }
}

TEST(Fpga, WideOperandsTakeSeveralSlices) {
  EXPECT_EQ(dsps_per_multiplier(4, 4), 1);
  EXPECT_EQ(dsps_per_multiplier(16, 16), 1);
  EXPECT_EQ(dsps_per_multiplier(18, 25), 1);
  EXPECT_EQ(dsps_per_multiplier(25, 18), 1);
  EXPECT_EQ(dsps_per_multiplier(32, 16), 2);
  EXPECT_EQ(dsps_per_multiplier(32, 32), 4);
}

TEST(Fpga, ADesignTakesWhatItIsMadeOf) {
  FpgaDesign design;
  design.columns = 8, design.rows = 12, design.buffer_words_a_cycle = 32, design.bram36 = 32;
  const Accelerator device = fpga_accelerator(small_board(), design);
  const FpgaBudget use = fpga_use(device);
  EXPECT_EQ(use.dsp, 96);
  EXPECT_EQ(use.bram36, 29);  // 512 bits wide: 29 columns of 18 bits, 2048 deep
  EXPECT_EQ(device.levels[1].capacity_words, 32 * 2048);
  EXPECT_EQ(use.lut, 97786 + 6019 + 96 * lutram_luts(16, 16));
  EXPECT_DOUBLE_EQ(device.levels[0].bandwidth.total, 8);  // 1.6 GB/s at 100 MHz: 16 bytes a cycle
  EXPECT_THAT(over_budget(device), IsEmpty());
}

TEST(Fpga, SaysWhatDoesNotFit) {
  FpgaDesign design;
  design.columns = 11, design.rows = 10, design.buffer_words_a_cycle = 32, design.bram36 = 32;
  EXPECT_THAT([&] { fpga_accelerator(small_board(), design); },
              testing::ThrowsMessage<Error>(HasSubstr("DSP: 110 of 100")));
  design.columns = 8, design.bram36 = 2;
  EXPECT_THAT([&] { fpga_accelerator(small_board(), design); },
              testing::ThrowsMessage<Error>(HasSubstr("it takes at least 8")));
  Accelerator device = fpga_accelerator(small_board(), {8, 8, 16, 32, 32, 16});
  device.fpga->bram36 = 20;
  EXPECT_THAT(over_budget(device), ElementsAre("BRAM36: 29 of 20"));
}

}  // namespace
}  // namespace instantnet::mapper
