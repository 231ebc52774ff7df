// FPGA boards: the largest plain array and buffer that fit their budgets (fpga.h).
#include "instantnet/mapper/fpga.h"
#include "instantnet/mapper/presets.h"

namespace instantnet::mapper {

namespace {

const char* const kEnergies =
    "energies assumed, of the right order only: MAC 4.5 pJ at 16 bits in a DSP slice, block RAM 5 "
    "pJ and "
    "LUT RAM 1 pJ a 16-bit word with wiring, DRAM 480 pJ a 16-bit word (Horowitz, ISSCC 2014: 1.3 "
    "to 2.6 "
    "nJ per 64 bits, from memory, unverified)";
const char* const kArrayRule =
    "array and buffer: as many columns x rows as DSPs allow, a buffer of 128 words a cycle from "
    "nine "
    "tenths of the block RAM, 16 words of LUT RAM a multiplier (docs/validation.md)";
const char* const kDspRule =
    "a DSP slice does one MAC a cycle, two at 8 bits and below (packing: AMD WP486), a quarter at "
    "32";

constexpr PerTensor<double> same(double energy_pj) { return {energy_pj, energy_pj, energy_pj}; }

Accelerator board_preset(const FpgaBoard& board, const FpgaDesign& design) {
  Accelerator device = fpga_accelerator(board, design);
  device.levels[0].read_pj = device.levels[0].write_pj = same(480);
  device.levels[1].read_pj = device.levels[1].write_pj = same(5);
  device.levels[2].read_pj = device.levels[2].write_pj = same(1);
  device.mac.energy_pj = 4.5;
  return device;
}

FpgaDesign design_of(int64_t columns, int64_t rows, int64_t bram36) {
  FpgaDesign design;
  design.columns = columns, design.rows = rows;
  design.buffer_words_a_cycle = 128;
  design.bram36 = bram36;
  return design;
}

Accelerator zc706() {
  FpgaBoard board;
  board.budget = {.dsp = 900, .bram36 = 545, .uram = 0, .lut = 218600, .ff = 437200};
  board.budget.bitstream_bytes = 13321404;
  board.budget.configuration_mb_s = 145;
  board.clock_mhz = 200;
  board.memory_bytes_s = 12.8e9;
  Accelerator device = board_preset(board, design_of(32, 28, 490));
  device.name = "zc706";
  device.description = "the ZC706 board (XC7Z045): 896 DSP slices at 200 MHz";
  device.sources = {
      "XC7Z045: 218,600 LUT, 437,200 FF, 900 DSP, 545 BRAM36: AMD DS190",
      "200 MHz: DNNBuilder's designs on this board (ICCAD 2018)",
      "off-chip 12.8 GB/s, the 64-bit DDR3-1600 of the fabric side: board manual UG954, from "
      "memory, "
      "unverified",
      "bitstream 13,321,404 bytes, configuration port 145 MB/s: AMD UG585, from memory, unverified",
      kArrayRule,
      kDspRule,
      kEnergies};
  return device;
}

Accelerator zu9() {
  FpgaBoard board;
  board.budget = {.dsp = 2520, .bram36 = 912, .uram = 0, .lut = 274080, .ff = 548160};
  board.budget.bitstream_bytes = 26510780;
  board.budget.configuration_mb_s = 400;
  board.clock_mhz = 300;
  board.memory_bytes_s = 19.2e9;
  Accelerator device = board_preset(board, design_of(48, 40, 820));
  device.name = "zu9";
  device.description = "a ZU9 board (XCZU9EG, ZCU102): 1,920 DSP slices at 300 MHz";
  device.sources = {
      "XCZU9EG: 274,080 LUT, 548,160 FF, 2,520 DSP, 912 BRAM36: AMD DS891",
      "300 MHz: the core clock of CHaiDNN's builds for it",
      "1,920 of the DSPs: what LUTs leave by fpga.h's rule",
      "off-chip 19.2 GB/s, a 64-bit DDR4-2400: from memory, unverified",
      "bitstream 26,510,780 bytes, configuration port 400 MB/s: AMD UG570 and UG1085, from memory, "
      "unverified",
      kArrayRule,
      kDspRule,
      kEnergies};
  return device;
}

Accelerator zu7() {
  FpgaBoard board;
  board.budget = {.dsp = 1728, .bram36 = 312, .uram = 96, .lut = 230400, .ff = 460800};
  board.budget.bitstream_bytes = 19311212;
  board.budget.configuration_mb_s = 400;
  board.clock_mhz = 300;
  board.memory_bytes_s = 19.2e9;
  Accelerator device = board_preset(board, design_of(40, 36, 280));
  device.name = "zu7";
  device.description = "a ZU7 board (XCZU7EV, ZCU104): 1,440 DSP slices at 300 MHz";
  device.sources = {
      "XCZU7EV: 230,400 LUT, 460,800 FF, 1,728 DSP, 312 BRAM36, 96 URAM: AMD DS891",
      "300 MHz: the core clock of CHaiDNN's builds for it; URAM is not used by this design",
      "1,440 of the DSPs: what LUTs leave by fpga.h's rule",
      "off-chip 19.2 GB/s, a 64-bit DDR4-2400: from memory, unverified",
      "bitstream 19,311,212 bytes, configuration port 400 MB/s: AMD UG570 and UG1085, from memory, "
      "unverified",
      kArrayRule,
      kDspRule,
      kEnergies};
  return device;
}

}  // namespace

std::vector<Accelerator> fpga_presets() { return {zc706(), zu9(), zu7()}; }

}  // namespace instantnet::mapper
