// Chips that other mappers are compared on. Energies are in multiples of one 16-bit multiply-
// accumulate, written as pJ.
#include "instantnet/mapper/presets.h"

namespace instantnet::mapper {

namespace {

constexpr PerTensor<double> same(double energy_pj) { return {energy_pj, energy_pj, energy_pj}; }

/// A level of 16-bit words whose reads and writes cost the same.
StorageLevel level(const char* name, double access_pj) {
  StorageLevel made;
  made.name = name;
  made.read_pj = made.write_pj = same(access_pj);
  return made;
}

Accelerator simple3() {
  Accelerator chip;
  chip.name = "simple3";
  chip.description = "a generic chip: DRAM, 128 KiB global buffer, 16 x 16 PEs of 64 words";
  chip.sources = {
      "access energies DRAM 200, buffer 6, register file 1 in multiples of a 16-bit MAC: Chen et "
      "al., Eyeriss, ISCA 2016, Table IV"};
  StorageLevel dram = level("DRAM", 200), glb = level("GLB", 6), rf = level("RF", 1);
  dram.bandwidth = {8, 8, 0};
  glb.bandwidth = {32, 32, 0};
  glb.capacity_words = 65536;
  glb.fanout_x = glb.fanout_y = 16;
  rf.capacity_words = 64;
  chip.levels = {dram, glb, rf};
  return chip;
}

Accelerator eyeriss() {
  Accelerator chip;
  chip.name = "eyeriss";
  chip.description =
      "an Eyeriss-like chip: DRAM, 108 KiB global buffer, 14 x 12 PEs with a "
      "register file for each tensor";
  chip.sources = {
      "14 x 12 PEs, 108 KiB buffer, 224 + 12 + 24 words a PE: Chen et al., Eyeriss, JSSC 2017",
      "access energies DRAM 200, buffer 6, register file 1 in multiples of a 16-bit MAC: Chen et "
      "al., Eyeriss, ISCA 2016, Table IV"};
  StorageLevel dram = level("DRAM", 200), glb = level("GLB", 6), rf = level("RF", 1);
  dram.bandwidth = {4, 4, 0};
  glb.bandwidth = {16, 16, 0};
  glb.capacity_words = 55296;
  glb.keep.weights = Keep::Never;
  glb.fanout_x = 14, glb.fanout_y = 12;
  rf.tensor_capacity_words = {224, 12, 24};
  chip.levels = {dram, glb, rf};
  return chip;
}

}  // namespace

std::vector<Accelerator> reference_presets() { return {simple3(), eyeriss()}; }

}  // namespace instantnet::mapper
