#include "instantnet/mapper/accelerator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "instantnet/core/error.h"
#include "instantnet/mapper/mapping.h"

namespace instantnet::mapper {

namespace {

// The ranges of plausible devices; beyond them costs could not be counted exactly.
constexpr int kLargestWordBits = 4096;
constexpr int kLargestMacBits = 64;
constexpr int kLargestPsumBits = 256;
constexpr int kLargestPacked = 64;
constexpr double kLargestExponent = 4;
constexpr double kLargestNumber = 1e12;  // pJ, words a cycle, MHz, mW
constexpr int64_t kLargestWords = int64_t{1} << 52;
constexpr int64_t kLargestArray = int64_t{1} << 24;  // multipliers

/// "x is 3; give ..." at a place of one accelerator.
class Checker {
 public:
  explicit Checker(std::string where) : where_(std::move(where)) {}

  void number(const std::string& name, double value, double least, double most) const {
    if (!(value >= least && value <= most))  // NaN fails too
      fail(where_, fmt::format("{} is {}; give a number from {} to {}.", name, value, least, most));
  }
  /// Above 0.
  void positive(const std::string& name, double value, double most) const {
    if (!(value > 0 && value <= most))
      fail(where_, fmt::format("{} is {}; give a number above 0, up to {}.", name, value, most));
  }
  void integer(const std::string& name, int64_t value, int64_t least, int64_t most) const {
    if (value < least || value > most)
      fail(where_,
           fmt::format("{} is {}; give a whole number from {} to {}.", name, value, least, most));
  }
  void bandwidth(const std::string& name, const Bandwidth& value) const {
    number(name + ".read", value.read, 0, kLargestNumber);
    number(name + ".write", value.write, 0, kLargestNumber);
    number(name + ".total", value.total, 0, kLargestNumber);
  }

 private:
  std::string where_;
};

/// Half of a buffer of one word holds nothing.
void check_halves(const StorageLevel& level, int64_t words, const std::string& where) {
  if (level.double_buffered && words == 1)
    fail(where, "it is double-buffered and has 1 word; give 2 or more, one for each half.");
}

void check_level(const StorageLevel& level, const std::string& where) {
  const Checker check(where);
  check_halves(level, level.capacity_words, where);
  check.integer("word_bits", level.word_bits, 1, kLargestWordBits);
  check.integer("capacity_words", level.capacity_words, 0, kLargestWords);
  check.integer("fanout_x", level.fanout_x, 1, kLargestArray);
  check.integer("fanout_y", level.fanout_y, 1, kLargestArray);
  check.number("network_pj", level.network_pj, 0, kLargestNumber);
  check.bandwidth("bandwidth", level.bandwidth);
  for (const Tensor t : kAllTensors) {
    const std::string& tensor = to_string(t);
    check.integer("tensor_capacity_words." + tensor, level.tensor_capacity_words[t], 0,
                  kLargestWords);
    check_halves(level, level.tensor_capacity_words[t], where);
    check.number("read_pj." + tensor, level.read_pj[t], 0, kLargestNumber);
    check.number("write_pj." + tensor, level.write_pj[t], 0, kLargestNumber);
    check.bandwidth("tensor_bandwidth." + tensor, level.tensor_bandwidth[t]);
  }
}

void check_mac(const MacUnit& mac, const std::string& where) {
  const Checker check(where);
  check.integer("mac.bits", mac.bits, 1, kLargestMacBits);
  check.number("mac.energy_pj", mac.energy_pj, 0, kLargestNumber);
  check.number("mac.energy_exponent", mac.energy_exponent, 0, kLargestExponent);
  check.integer("mac.packed", mac.packed, 1, kLargestPacked);
  check.integer("mac.packed_bits", mac.packed_bits, 1, kLargestMacBits);
  if (mac.kind == MacKind::Composable && (mac.bits & (mac.bits - 1)) != 0)
    fail(where, fmt::format("mac.bits is {}; a composable unit needs a power of two, such as 8.",
                            mac.bits));
}

void check_fpga(const FpgaBudget& fpga, const std::string& where) {
  const Checker check(where);
  check.integer("fpga.dsp", fpga.dsp, 0, kLargestArray);
  check.integer("fpga.bram36", fpga.bram36, 0, kLargestArray);
  check.integer("fpga.uram", fpga.uram, 0, kLargestArray);
  check.integer("fpga.lut", fpga.lut, 0, kLargestWords);
  check.integer("fpga.ff", fpga.ff, 0, kLargestWords);
  check.integer("fpga.bitstream_bytes", fpga.bitstream_bytes, 0, kLargestWords);
  check.number("fpga.configuration_mb_s", fpga.configuration_mb_s, 0, kLargestNumber);
}

void check_names(const Accelerator& device, const std::string& where) {
  for (size_t i = 0; i < device.levels.size(); ++i) {
    const std::string& name = device.levels[i].name;
    if (name.empty())
      fail(where, fmt::format("level {} has no name; give one, for example GLB.", i + 1));
    for (size_t j = 0; j < i; ++j)
      if (device.levels[j].name == name)
        fail(where, fmt::format("two levels are called '{}'; give each its own name.", name));
  }
}

/// The outermost level is where the layer comes from and goes to.
void check_outermost(const StorageLevel& level, const std::string& where) {
  for (const Tensor t : kAllTensors)
    if (level.keep[t] != Keep::Always)
      fail(where, fmt::format("it is the outermost level and does not always keep {}; the "
                              "outermost level must keep everything.",
                              to_string(t)));
}

void check_array(const Accelerator& device, const std::string& where) {
  double product = 1;
  for (const StorageLevel& level : device.levels)
    product *= static_cast<double>(level.fanout_x) * static_cast<double>(level.fanout_y);
  if (product > static_cast<double>(kLargestArray))
    fail(where,
         fmt::format("its fan-outs make {} multipliers; give at most {}.", product, kLargestArray));
}

/// The smallest power of two that is not below bits.
int power_of_two(int bits) {
  int power = 1;
  while (power < bits) power *= 2;
  return power;
}

/// Passes over a unit of `bits` bits that an operand takes.
double passes(int operand_bits, int bits) { return std::ceil(double(operand_bits) / bits); }

}  // namespace

const std::vector<std::pair<Packing, std::string>>& names_of(Packing) {
  static const std::vector<std::pair<Packing, std::string>> names = {{Packing::Tight, "tight"},
                                                                     {Packing::Whole, "whole"}};
  return names;
}

const std::vector<std::pair<Keep, std::string>>& names_of(Keep) {
  static const std::vector<std::pair<Keep, std::string>> names = {
      {Keep::Always, "always"}, {Keep::Never, "never"}, {Keep::Search, "search"}};
  return names;
}

const std::vector<std::pair<MacKind, std::string>>& names_of(MacKind) {
  static const std::vector<std::pair<MacKind, std::string>> names = {
      {MacKind::Fixed, "fixed"},
      {MacKind::BitSerial, "bit-serial"},
      {MacKind::Composable, "composable"},
      {MacKind::Packed, "packed"}};
  return names;
}

int64_t multipliers(const Accelerator& device) {
  int64_t product = 1;
  for (const StorageLevel& level : device.levels) product *= level.fanout_x * level.fanout_y;
  return product;
}

double mac_energy_pj(const MacUnit& mac, Precision precision) {
  const double area =
      double(precision.weight) / mac.bits * (double(precision.activation) / mac.bits);
  return mac.energy_pj * std::pow(area, mac.energy_exponent);
}

double macs_per_cycle(const MacUnit& mac, Precision precision) {
  const double whole = passes(precision.weight, mac.bits) * passes(precision.activation, mac.bits);
  switch (mac.kind) {
    case MacKind::Fixed:
      return 1 / whole;
    case MacKind::BitSerial:
      return double(mac.bits) / precision.activation / passes(precision.weight, mac.bits);
    case MacKind::Composable:
      return double(mac.bits) / power_of_two(precision.weight) *
             (double(mac.bits) / power_of_two(precision.activation));
    case MacKind::Packed:
      return std::max(precision.weight, precision.activation) <= mac.packed_bits
                 ? std::max(double(mac.packed), 1 / whole)
                 : 1 / whole;
  }
  bug("unknown kind of multiplier.");
}

int element_bits(const Accelerator& device, Precision precision, Tensor t) {
  if (t == Tensor::Weights) return precision.weight;
  if (t == Tensor::Inputs) return precision.activation;
  const PsumRule& rule = device.psum;
  if (rule.fixed_bits > 0) return std::max(rule.fixed_bits, precision.activation);
  return precision.activation + rule.extra_bits;
}

double words_per_element(const StorageLevel& level, int bits) {
  if (level.packing == Packing::Tight) return double(bits) / level.word_bits;
  if (bits > level.word_bits) return passes(bits, level.word_bits);
  return 1.0 / (level.word_bits / bits);
}

void check(const Accelerator& device) {
  const std::string where = fmt::format("accelerator '{}'", device.name);
  if (device.name.empty()) fail("accelerator", "it has no name; give one.");
  const Checker check(where);
  check.positive("clock_mhz", device.clock_mhz, kLargestNumber);
  check.number("static_mw", device.static_mw, 0, kLargestNumber);
  if (device.levels.size() < 2 || device.levels.size() > kMaxLevels)
    fail(where, fmt::format("it has {} levels; give 2 to {}, the outermost (DRAM) first.",
                            device.levels.size(), kMaxLevels));
  check_names(device, where);
  for (const StorageLevel& level : device.levels)
    check_level(level, fmt::format("{}, level {}", where, level.name));
  check_outermost(device.levels.front(), fmt::format("{}, level {}", where, device.levels[0].name));
  check_array(device, where);
  check_mac(device.mac, where);
  check.integer("psum.fixed_bits", device.psum.fixed_bits, 0, kLargestPsumBits);
  check.integer("psum.extra_bits", device.psum.extra_bits, 0, kLargestPsumBits);
  if (device.fpga) check_fpga(*device.fpga, where);
}

}  // namespace instantnet::mapper
