#include "instantnet/mapper/fpga.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "instantnet/core/error.h"

namespace instantnet::mapper {
namespace {

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct MemoryShape {
  int64_t depth, width;
};
constexpr std::array<MemoryShape, 6> kRamb18Shapes = {
    {{512, 36}, {1024, 18}, {2048, 9}, {4096, 4}, {8192, 2}, {16384, 1}}};
constexpr MemoryShape kUramShape = {4096, 72};
constexpr int64_t kDepthStep = 512;

/// Two's complement pieces of the slice's 18-bit port carry 17 bits each but for the top one.
constexpr int64_t kWidePort = 25, kNarrowPort = 18;
int64_t pieces(int64_t bits, int64_t port) {
  return bits <= port ? 1 : 1 + ceil_divide(bits - port, port - 1);
}

/// A memory with one port each way.
struct Memory {
  int64_t words = 0;
  double words_a_cycle = 1;
};

void add_memory(const Memory& memory, int word_bits, int64_t instances, FpgaBudget& use,
                int64_t& ramb18) {
  const auto row = std::max<int64_t>(1, std::llround(std::ceil(memory.words_a_cycle)));
  const int64_t words_in_row = std::min(row, memory.words);
  const int64_t width = words_in_row * word_bits;
  const int64_t depth = ceil_divide(memory.words, words_in_row);
  if (depth <= kDeepestLutram)
    use.lut += instances * lutram_luts(width, depth);
  else
    ramb18 += instances * ramb18_blocks(width, depth);
}

double words_a_cycle(const Bandwidth& bandwidth) {
  return std::max({bandwidth.read, bandwidth.write, bandwidth.total / 2, 1.0});
}

void add_level(const StorageLevel& level, int64_t instances, FpgaBudget& use, int64_t& ramb18) {
  if (level.capacity_words > 0)
    add_memory({level.capacity_words, words_a_cycle(level.bandwidth)}, level.word_bits, instances,
               use, ramb18);
  for (const Tensor t : kAllTensors)
    if (level.tensor_capacity_words[t] > 0)
      add_memory({level.tensor_capacity_words[t], words_a_cycle(level.tensor_bandwidth[t])},
                 level.word_bits, instances, use, ramb18);
}

struct Resource {
  const char* name;
  int64_t FpgaBudget::*amount;
};
const std::array<Resource, 5>& resources() {
  static const std::array<Resource, 5> all = {{{"DSP", &FpgaBudget::dsp},
                                               {"BRAM36", &FpgaBudget::bram36},
                                               {"URAM", &FpgaBudget::uram},
                                               {"LUT", &FpgaBudget::lut},
                                               {"FF", &FpgaBudget::ff}}};
  return all;
}

StorageLevel memory_level(const FpgaBoard& board, const FpgaDesign& design) {
  StorageLevel level;
  level.name = "DRAM";
  level.word_bits = design.word_bits;
  level.bandwidth.total = board.memory_bytes_s * 8 / (board.clock_mhz * 1e6 * design.word_bits);
  return level;
}

StorageLevel buffer_level(const FpgaDesign& design, int64_t depth) {
  StorageLevel level;
  level.name = "BRAM";
  level.word_bits = design.word_bits;
  level.capacity_words = depth * design.buffer_words_a_cycle;
  level.bandwidth.read = level.bandwidth.write = static_cast<double>(design.buffer_words_a_cycle);
  level.fanout_x = design.columns;
  level.fanout_y = design.rows;
  return level;
}

StorageLevel register_level(const FpgaDesign& design) {
  StorageLevel level;
  level.name = "REG";
  level.word_bits = design.word_bits;
  level.capacity_words = design.register_words;
  return level;
}

}  // namespace

int64_t ramb18_blocks(int64_t width_bits, int64_t depth) {
  int64_t fewest = std::numeric_limits<int64_t>::max();
  for (const auto& shape : kRamb18Shapes)
    fewest =
        std::min(fewest, ceil_divide(width_bits, shape.width) * ceil_divide(depth, shape.depth));
  return fewest;
}

int64_t uram_blocks(int64_t width_bits, int64_t depth) {
  return ceil_divide(width_bits, kUramShape.width) * ceil_divide(depth, kUramShape.depth);
}

int64_t lutram_luts(int64_t width_bits, int64_t depth) {
  return ceil_divide(depth, 64) * 4 * ceil_divide(width_bits, 3);
}

int64_t deepest_memory(int64_t width_bits, int64_t ramb18) {
  // Blocks grow with the depth, and one block holds no more than 36 x 512 bits.
  int64_t low = 0, high = ramb18 * 36 / std::max<int64_t>(1, width_bits) + 1;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (ramb18_blocks(width_bits, middle * kDepthStep) <= ramb18)
      low = middle;
    else
      high = middle - 1;
  }
  return low * kDepthStep;
}

int64_t dsps_per_multiplier(int weight_bits, int activation_bits) {
  const auto [narrow, wide] = std::minmax(weight_bits, activation_bits);
  return std::min(pieces(narrow, kNarrowPort) * pieces(wide, kWidePort),
                  pieces(narrow, kWidePort) * pieces(wide, kNarrowPort));
}

FpgaBudget fpga_use(const Accelerator& device) {
  FpgaBudget use;
  int64_t ramb18 = 0, instances = 1;
  for (size_t i = 0; i < device.levels.size(); ++i) {
    if (i > 0) add_level(device.levels[i], instances, use, ramb18);
    instances *= device.levels[i].fanout_x * device.levels[i].fanout_y;
  }
  use.dsp = instances;
  use.bram36 = ceil_divide(ramb18, 2);
  const auto dsps = static_cast<double>(instances);
  use.lut += std::llround(kFixedLuts + kLutsPerDsp * dsps);
  use.ff += std::llround(kFixedFlipFlops + kFlipFlopsPerDsp * dsps);
  return use;
}

std::string to_string(const FpgaBudget& use, const FpgaBudget& budget) {
  std::string text;
  for (const auto& [name, amount] : resources())
    text +=
        fmt::format("{}{} {} of {}", text.empty() ? "" : ", ", name, use.*amount, budget.*amount);
  return text;
}

std::vector<std::string> over_budget(const Accelerator& device) {
  std::vector<std::string> over;
  if (!device.fpga) return over;
  const FpgaBudget use = fpga_use(device);
  for (const auto& [name, amount] : resources())
    if (use.*amount > *device.fpga.*amount)
      over.push_back(fmt::format("{}: {} of {}", name, use.*amount, *device.fpga.*amount));
  return over;
}

Accelerator fpga_accelerator(const FpgaBoard& board, const FpgaDesign& design) {
  const int64_t depth =
      deepest_memory(design.buffer_words_a_cycle * design.word_bits, 2 * design.bram36);
  if (depth == 0)
    fail("fpga",
         fmt::format(
             "{} BRAM36 do not make a buffer of {} words a cycle; it takes at least "
             "{}.",
             design.bram36, design.buffer_words_a_cycle,
             ceil_divide(ramb18_blocks(design.buffer_words_a_cycle * design.word_bits, kDepthStep),
                         2)));
  Accelerator device;
  device.clock_mhz = board.clock_mhz;
  device.levels = {memory_level(board, design), buffer_level(design, depth),
                   register_level(design)};
  device.mac.kind = MacKind::Packed;
  device.mac.bits = design.word_bits;
  device.fpga = board.budget;
  const std::vector<std::string> over = over_budget(device);
  if (!over.empty())
    fail("fpga",
         fmt::format("the design takes more than the board has: {}.", fmt::join(over, ", ")));
  return device;
}

}  // namespace instantnet::mapper
