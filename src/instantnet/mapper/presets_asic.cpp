// Arrays in the manner of published ASICs. Their structure and sizes are the publications'; their
// energies all come from one rule for 45 nm, so that dataflows can be compared and not processes.
#include <cmath>

#include "instantnet/mapper/presets.h"

namespace instantnet::mapper {

namespace {

// Horowitz, ISSCC 2014, 45 nm, 0.9 V.
constexpr double kMac8Pj = 0.23;   // int8 multiply 0.2, add 0.03
constexpr double kMac16Pj = 0.84;  // int16 multiply 0.79 and add 0.05, interpolated
constexpr double kDramBitPj = 30;  // 1.3 to 2.6 nJ per 64 bits
constexpr double kRegisterBitPj = 0.01;

/// A word of an SRAM of `bytes`: 10 pJ per 64 bits at 8 KiB, growing with the square root of the
/// size (20 pJ at 32 KiB, 100 pJ at 1 MiB).
double sram_pj(double bytes, int word_bits) {
  return 10 * std::sqrt(bytes / 8192) * word_bits / 64;
}

const char* const kEnergyRule =
    "energies by one rule for all these presets: SRAM 10 pJ per 64 bits at 8 KiB, growing with the "
    "square root of the size, DRAM 30 pJ a bit, MAC 0.23 pJ at 8 bits and 0.84 at 16, registers "
    "0.01 "
    "pJ a bit (assumed): Horowitz, ISSCC 2014, 45 nm, of which DRAM, 8-bit and 16-bit numbers are "
    "from "
    "memory or interpolated, unverified";

constexpr PerTensor<double> same(double energy_pj) { return {energy_pj, energy_pj, energy_pj}; }

StorageLevel level(const char* name, int word_bits, double access_pj) {
  StorageLevel made;
  made.name = name;
  made.word_bits = word_bits;
  made.read_pj = made.write_pj = same(access_pj);
  return made;
}

StorageLevel dram(int word_bits, double bytes_s, double clock_mhz) {
  StorageLevel made = level("DRAM", word_bits, kDramBitPj * word_bits);
  made.bandwidth.total = bytes_s * 8 / (clock_mhz * 1e6 * word_bits);
  return made;
}

/// A level that keeps only some tensors.
StorageLevel keeping(StorageLevel made, PerTensor<bool> kept) {
  for (const Tensor t : kAllTensors) made.keep[t] = kept[t] ? Keep::Always : Keep::Never;
  return made;
}

StorageLevel registers(const char* name, int word_bits, PerTensor<int64_t> words) {
  StorageLevel made = level(name, word_bits, kRegisterBitPj * word_bits);
  made.tensor_capacity_words = words;
  return keeping(made, {words.weights > 0, words.inputs > 0, words.outputs > 0});
}

/// 16 PEs, each with buffers for weights, inputs and accumulation, and 8 vector units of 8 MACs.
Accelerator magnet() {
  Accelerator chip;
  chip.name = "magnet";
  chip.description = "a MAGNet-like array: 4 x 4 PEs of 8 x 8 8-bit MACs with buffers in each PE";
  chip.sources = {
      "PEs with weight, input and accumulation buffers before vector units: Venkatesan et al., "
      "MAGNet, "
      "ICCAD 2019; sizes of its relative Simba (32 KiB weights, 8 KiB inputs, 3 KiB accumulation a "
      "PE, "
      "64 KiB global buffer, 16 PEs, 8 x 8 MACs): Shao et al., MICRO 2019, from memory, unverified",
      "500 MHz and 12.8 GB/s off-chip: assumed", kEnergyRule};
  chip.clock_mhz = 500;
  StorageLevel glb = level("GLB", 8, sram_pj(65536, 8));
  glb.capacity_words = 65536;
  glb.keep.weights = Keep::Never;
  glb.bandwidth.read = glb.bandwidth.write = 64;
  glb.fanout_x = glb.fanout_y = 4;
  StorageLevel pe = level("PE", 8, 0);
  pe.tensor_capacity_words = {32768, 8192, 3072};
  pe.read_pj = pe.write_pj = {sram_pj(32768, 8), sram_pj(8192, 8), sram_pj(3072, 8)};
  pe.tensor_bandwidth.weights.read = 64;
  pe.tensor_bandwidth.inputs.read = 8;
  pe.fanout_x = pe.fanout_y = 8;
  chip.levels = {dram(8, 12.8e9, chip.clock_mhz), glb, pe};
  chip.mac.bits = 8;
  chip.mac.energy_pj = kMac8Pj;
  chip.psum.fixed_bits = 24;
  return chip;
}

/// 16 kernels times 64 channels; partial sums in an accumulator, weights held in the MAC cells.
Accelerator nvdla() {
  Accelerator chip;
  chip.name = "nvdla";
  chip.description =
      "an NVDLA-like engine: 512 KiB convolution buffer, 64 channels x 16 kernels of 16-bit MACs, "
      "two "
      "8-bit ones each";
  chip.sources = {
      "nv_full: 512 KiB convolution buffer, 1024 16-bit or 2048 8-bit MACs as 64 channels x 16 "
      "kernels, "
      "accumulators of 48 bits: NVDLA hardware manual, from memory, unverified",
      "accumulator of 8192 sums, 1 GHz, 25.6 GB/s off-chip: assumed", kEnergyRule};
  chip.clock_mhz = 1000;
  StorageLevel cbuf = keeping(level("CBUF", 16, sram_pj(524288, 16)), {true, true, false});
  cbuf.capacity_words = 262144;
  cbuf.tensor_bandwidth.inputs.read = 64;
  cbuf.tensor_bandwidth.weights.read = 64;
  StorageLevel cacc = keeping(level("CACC", 16, sram_pj(49152, 16)), {false, false, true});
  cacc.capacity_words = 24576;  // 8192 sums of 48 bits
  cacc.fanout_x = 64, cacc.fanout_y = 16;
  chip.levels = {dram(16, 25.6e9, chip.clock_mhz), cbuf, cacc, registers("MAC", 16, {2, 0, 0})};
  chip.mac.kind = MacKind::Packed;
  chip.mac.bits = 16;
  chip.mac.energy_pj = kMac16Pj;
  chip.psum.fixed_bits = 48;
  return chip;
}

/// A systolic array: weights stay, inputs come from the unified buffer, sums go to accumulators.
Accelerator tpu() {
  Accelerator chip;
  chip.name = "tpu";
  chip.description =
      "a TPU-like systolic array: 256 x 256 8-bit MACs, 24 MiB unified buffer, 4 MiB accumulators";
  chip.sources = {
      "256 x 256 8-bit MACs, 700 MHz, 24 MiB unified buffer, 4096 x 256 32-bit accumulators, "
      "weights "
      "from DDR3 at 34 GB/s: Jouppi et al., ISCA 2017",
      "28 W idle of which no part is counted as static here; on-chip bandwidths of 256 words a "
      "cycle "
      "follow from the array's side; a MAC holds 4 bytes of weights so that 32 bits fit",
      kEnergyRule};
  chip.clock_mhz = 700;
  StorageLevel buffer =
      keeping(level("UB", 8, sram_pj(24.0 * 1024 * 1024, 8)), {false, true, false});
  buffer.capacity_words = int64_t{24} << 20;
  buffer.bandwidth.read = buffer.bandwidth.write = 256;
  StorageLevel sums = keeping(level("ACC", 8, sram_pj(4.0 * 1024 * 1024, 8)), {false, false, true});
  sums.capacity_words = int64_t{4} << 20;
  sums.bandwidth.read = sums.bandwidth.write = 1024;  // 256 sums of 32 bits
  sums.fanout_x = sums.fanout_y = 256;
  chip.levels = {dram(8, 34e9, chip.clock_mhz), buffer, sums, registers("MAC", 8, {4, 0, 0})};
  chip.mac.bits = 8;
  chip.mac.energy_pj = kMac8Pj;
  chip.psum.fixed_bits = 32;
  return chip;
}

/// Outputs stay in the PEs; neighbours pass inputs on, which multicast stands for.
Accelerator shidiannao() {
  Accelerator chip;
  chip.name = "shidiannao";
  chip.description =
      "a ShiDianNao-like array: 8 x 8 16-bit PEs that keep their outputs, separate buffers for "
      "inputs, "
      "outputs and weights";
  chip.sources = {
      "8 x 8 PEs, 1 GHz, buffers of 64 KiB (inputs), 64 KiB (outputs) and 128 KiB (weights), 65 "
      "nm: Du et "
      "al., ShiDianNao, ISCA 2015",
      "a PE holds 1 output of up to 32 bits and FIFOs of 8 inputs; off-chip 12.8 GB/s: assumed",
      kEnergyRule};
  chip.clock_mhz = 1000;
  StorageLevel buffers = level("SRAM", 16, 0);
  buffers.tensor_capacity_words = {65536, 32768, 32768};
  buffers.read_pj =
      buffers.write_pj = {sram_pj(131072, 16), sram_pj(65536, 16), sram_pj(65536, 16)};
  buffers.tensor_bandwidth.inputs.read = 64;
  buffers.tensor_bandwidth.weights.read = 64;
  buffers.tensor_bandwidth.outputs = {64, 64, 0};
  buffers.fanout_x = buffers.fanout_y = 8;
  chip.levels = {dram(16, 12.8e9, chip.clock_mhz), buffers, registers("PE", 16, {0, 8, 2})};
  chip.mac.energy_pj = kMac16Pj;
  return chip;
}

/// Units of 8 x 8 bits that split into narrower ones, weights in a buffer at each unit.
Accelerator bit_composable() {
  Accelerator chip;
  chip.name = "bitfusion";
  chip.description =
      "a bit-composable array in the manner of Bit Fusion: 32 x 16 units of 8 x 8 bits, each also "
      "four "
      "of 4 x 4 or sixteen of 2 x 2";
  chip.sources = {
      "512 fusion units of 16 bit bricks, 112 KiB of buffers, 500 MHz, 45 nm: Sharma et al., Bit "
      "Fusion, "
      "ISCA 2018, from memory, unverified",
      "of the 112 KiB 64 KiB are weight buffers at the units, 48 KiB hold inputs and outputs; 12.8 "
      "GB/s "
      "off-chip: assumed",
      kEnergyRule};
  chip.clock_mhz = 500;
  StorageLevel buffer = level("BUF", 8, sram_pj(49152, 8));
  buffer.capacity_words = 49152;
  buffer.keep.weights = Keep::Never;
  buffer.bandwidth.read = buffer.bandwidth.write = 128;
  buffer.fanout_x = 32, buffer.fanout_y = 16;
  StorageLevel unit = keeping(level("UNIT", 8, sram_pj(128, 8)), {true, false, false});
  unit.capacity_words = 128;
  chip.levels = {dram(8, 12.8e9, chip.clock_mhz), buffer, unit};
  chip.mac.kind = MacKind::Composable;
  chip.mac.bits = 8;
  chip.mac.energy_pj = kMac8Pj;
  chip.psum.fixed_bits = 32;
  return chip;
}

}  // namespace

std::vector<Accelerator> asic_presets() {
  return {magnet(), nvdla(), tpu(), shidiannao(), bit_composable()};
}

}  // namespace instantnet::mapper
