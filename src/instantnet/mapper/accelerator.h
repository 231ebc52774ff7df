// What a device is: storage levels from DRAM to registers, the arrays between them, the
// multipliers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/core/tree.h"
#include "instantnet/mapper/workload.h"
#include "instantnet/net/precision.h"

namespace instantnet::mapper {

/// How elements of b bits lie in words of w bits.
enum class Packing {
  Tight,  // b / w words an element: 4-bit data take a quarter of what 16-bit data take
  Whole,  // no element crosses a word: 1 / floor(w / b) words, or ceil(b / w) when b > w
};

/// Words a cycle that a level can move; 0 = no limit.
struct Bandwidth {
  double read = 0, write = 0;  // write: updates and fills
  double total = 0;            // reads and writes together
  bool operator==(const Bandwidth&) const = default;
};

/// Whether a level keeps a tensor. Search: the mapping decides.
enum class Keep { Always, Never, Search };

/// One storage level. Energies, capacities and bandwidths are in words of `word_bits`; an element
/// of b bits takes b / word_bits of each (Packing).
struct StorageLevel {
  std::string name;  // "DRAM", "GLB", "RF"
  int word_bits = 16;
  Packing packing = Packing::Tight;
  /// Words of one instance that the kept tensors share; 0 = unlimited.
  int64_t capacity_words = 0;
  /// Words for one tensor alone, besides the shared ones; 0 = it lives in the shared ones.
  PerTensor<int64_t> tensor_capacity_words;
  /// Half of the capacity holds the next tiles.
  bool double_buffered = false;
  PerTensor<Keep> keep;
  PerTensor<double> read_pj, write_pj;  // a word; write: updates and fills
  /// Of one instance, all tensors together, and each tensor alone.
  Bandwidth bandwidth;
  PerTensor<Bandwidth> tensor_bandwidth;
  /// Columns and rows of children below one instance (the next level, or the multipliers).
  int64_t fanout_x = 1, fanout_y = 1;
  /// Children with equal windows share one read. Off: each reads its own.
  bool multicast = true;
  /// Partial sums of children are added on the way up: one update a group. Off: each updates.
  bool reduction = true;
  /// Energy of carrying one word from here to one child, or back.
  double network_pj = 0;
  bool operator==(const StorageLevel&) const = default;
};

/// How the cost of a multiply-accumulate depends on the bit-widths (w weights, a activations).
enum class MacKind {
  Fixed,       // a B x B multiplier: ceil(w/B) ceil(a/B) passes; narrower operands save energy only
  BitSerial,   // one activation bit a cycle (Stripes): macs a cycle B / a
  Composable,  // B x B unit of 2 x 2 (Bit Fusion): macs a cycle (B/w') (B/a'), w', a' powers of two
  Packed,      // a DSP slice: `packed` MACs a cycle up to `packed_bits`, else one (FPGA)
};

struct MacUnit {
  MacKind kind = MacKind::Fixed;
  int bits = 16;         // B
  double energy_pj = 1;  // of one MAC at B x B bits
  /// Energy of a w x a MAC = energy_pj ((w/B) (a/B)) ^ energy_exponent: 1 for a multiplier whose
  /// area is the product of its operands' widths; 0 where width does not matter.
  double energy_exponent = 1;
  int packed = 2, packed_bits = 8;  // MacKind::Packed
  bool operator==(const MacUnit&) const = default;
};

/// Bits of a partial sum on the chip, by the operands' bits.
struct PsumRule {
  int fixed_bits = 0;  // > 0: always so many
  int extra_bits = 0;  // fixed_bits = 0: activation bits + so many (0 = as wide as activations)
  bool operator==(const PsumRule&) const = default;
};

/// What an FPGA has. DSPs bound the array (times MACs a DSP), BRAMs the buffers.
struct FpgaBudget {
  int64_t dsp = 0, bram36 = 0, uram = 0, lut = 0, ff = 0;
  /// Loading another design: size of the full bitstream, speed of the configuration port (10^6
  /// bytes a second; 0 = not known).
  int64_t bitstream_bytes = 0;
  double configuration_mb_s = 0;
  bool operator==(const FpgaBudget&) const = default;
};

/// The names in files.
const std::vector<std::pair<Packing, std::string>>& names_of(Packing);
const std::vector<std::pair<Keep, std::string>>& names_of(Keep);
const std::vector<std::pair<MacKind, std::string>>& names_of(MacKind);

struct Accelerator {
  std::string name, description;
  std::vector<std::string> sources;  // where the numbers are from, each with what it is for
  double clock_mhz = 200;
  double static_mw = 0;              // leakage and clock: adds static_mw / clock to each cycle
  std::vector<StorageLevel> levels;  // outermost (DRAM) first; at least two
  MacUnit mac;
  PsumRule psum;
  std::optional<FpgaBudget> fpga;
  bool operator==(const Accelerator&) const = default;
};

/// Multipliers: the product of all fan-outs.
int64_t multipliers(const Accelerator& device);

/// Energy of one multiply-accumulate in pJ; narrower operands never cost more.
double mac_energy_pj(const MacUnit& mac, Precision precision);
/// Multiply-accumulates one multiplier finishes in a cycle.
double macs_per_cycle(const MacUnit& mac, Precision precision);

/// Bits of an element of a tensor in storage: weights and inputs as the precision says, outputs as
/// partial sums, which are never narrower than activations. Float32 counts as 32 bits.
int element_bits(const Accelerator& device, Precision precision, Tensor t);
/// Words an element takes at a level.
double words_per_element(const StorageLevel& level, int bits);

/// Error naming the accelerator and the field for numbers that are not possible.
void check(const Accelerator& device);

/// accelerator.yaml; accelerator_from_tree(to_tree(a)) == a. Error with file and line for unknown
/// keys, wrong types and everything check() refuses.
Tree to_tree(const Accelerator& device);
Accelerator accelerator_from_tree(const Tree& tree);
/// A preset's name or the path of a file. Error with the nearest preset when it is neither.
Accelerator find_accelerator(const std::string& name_or_path);

/// The devices that come with the program, in the order they are listed.
const std::vector<Accelerator>& accelerator_presets();

}  // namespace instantnet::mapper
