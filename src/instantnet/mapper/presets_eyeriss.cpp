// The Eyeriss chip as it was measured, and the set-up of the Eyeriss paper's own comparison. Words
// have 16 bits.
#include "instantnet/mapper/presets.h"

namespace instantnet::mapper {

namespace {

constexpr PerTensor<double> same(double energy_pj) { return {energy_pj, energy_pj, energy_pj}; }

StorageLevel level(const char* name, double access_pj) {
  StorageLevel made;
  made.name = name;
  made.read_pj = made.write_pj = same(access_pj);
  return made;
}

/// Filters come past the buffer of 108 KiB: 8 KiB of it hold the next ones, 100 KiB inputs and
/// partial sums.
Accelerator eyeriss_chip() {
  Accelerator chip;
  chip.name = "eyeriss-chip";
  chip.description =
      "the Eyeriss chip (65 nm, 200 MHz): 14 x 12 PEs, 108 KiB global buffer whose "
      "ports are limited for each tensor";
  chip.sources = {
      "14 x 12 PEs, 224 + 12 + 24 words a PE, 108 KiB buffer of which 100 KiB for inputs and "
      "partial sums, 200 MHz: Chen et al., Eyeriss, JSSC 2017",
      "partial sums 4 words read and 4 written a cycle (64 bits each), inputs 1 word a cycle "
      "(16 bits): the same paper, from memory, unverified; the partial sums' number explains its "
      "VGG-16 table (docs/validation.md)",
      "off-chip link 64 bits at 60 MHz, 1.2 words a core cycle: the same paper, from memory, "
      "unverified",
      "MAC 2 pJ, DRAM 460, buffer 15, array 4, register file 1 pJ a word, 30 mW static: "
      "nn_dataflow's "
      "calibration against the chip's published power"};
  chip.static_mw = 30;
  StorageLevel dram = level("DRAM", 460), glb = level("GLB", 15), rf = level("RF", 1);
  dram.bandwidth.total = 1.2;
  glb.capacity_words = 51200;
  glb.keep.weights = Keep::Never;
  glb.tensor_bandwidth.inputs.read = 1;
  glb.tensor_bandwidth.outputs.read = glb.tensor_bandwidth.outputs.write = 4;
  glb.fanout_x = 14, glb.fanout_y = 12;
  glb.network_pj = 4;
  rf.tensor_capacity_words = {224, 12, 24};
  chip.levels = {dram, glb, rf};
  chip.mac.energy_pj = 2;
  return chip;
}

/// No bandwidth limits: the paper compares energy.
Accelerator eyeriss_isca16() {
  Accelerator chip;
  chip.name = "eyeriss-isca16";
  chip.description =
      "the set-up of the Eyeriss paper's energy comparison: 16 x 16 PEs of 512 B, "
      "128 KiB buffer, energies relative to a MAC";
  chip.sources = {
      "256 PEs, 512 B register file, 128 KiB buffer; DRAM 200, buffer 6, array 2, register file 1 "
      "in "
      "multiples of a 16-bit MAC: Chen et al., Eyeriss, ISCA 2016, Table IV and section VII",
      "half of the register file holds the next operands: assumed; with it the paper's DRAM "
      "energies "
      "follow for all eight layers (docs/validation.md)",
      "a clock of 200 MHz, which energies do not depend on: the chip's"};
  StorageLevel dram = level("DRAM", 200), glb = level("GLB", 6), rf = level("RF", 1);
  glb.capacity_words = 65536;
  glb.fanout_x = glb.fanout_y = 16;
  glb.network_pj = 2;
  rf.capacity_words = 256;
  rf.double_buffered = true;
  chip.levels = {dram, glb, rf};
  return chip;
}

}  // namespace

std::vector<Accelerator> eyeriss_presets() { return {eyeriss_chip(), eyeriss_isca16()}; }

}  // namespace instantnet::mapper
