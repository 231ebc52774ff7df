// What an FPGA's resources give a mapper: block RAMs for a buffer of a width and depth, multipliers
// for DSP slices, and what of a budget an accelerator built on it takes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/mapper/accelerator.h"

namespace instantnet::mapper {

/// Halves of BRAM36 (RAMB18) that a memory with one read and one write port, `width_bits` wide and
/// `depth` deep, takes: the fewest over the shapes a RAMB18 can have (512 x 36, 1024 x 18,
/// 2048 x 9, 4096 x 4, 8192 x 2, 16384 x 1; AMD UG473 and UG573).
int64_t ramb18_blocks(int64_t width_bits, int64_t depth);

/// URAM288 blocks, 4096 x 72 each (AMD UG573).
int64_t uram_blocks(int64_t width_bits, int64_t depth);

/// 6-input LUTs of a memory at most 64 deep in distributed RAM: four LUTs hold 64 x 3 bits with one
/// read and one write port (RAM64M, AMD UG474).
int64_t lutram_luts(int64_t width_bits, int64_t depth);

/// Memories no deeper than this are distributed RAM, the others block RAM.
inline constexpr int64_t kDeepestLutram = 64;

/// The deepest memory of `width_bits`, in steps of 512 rows, that takes no more than `ramb18`
/// blocks; 0 when not even 512 rows do.
int64_t deepest_memory(int64_t width_bits, int64_t ramb18);

/// DSP slices that a w x a multiply-accumulate takes where operands are wider than the slice's
/// multiplier (DSP48E1: 25 x 18 signed, UG479; DSP48E2: 27 x 18, UG579): the partial products of a
/// schoolbook multiplication, at least one. Exact integer operands; 32-bit networks count as 32-bit
/// integers.
int64_t dsps_per_multiplier(int weight_bits, int activation_bits);

/// What an accelerator takes of a budget.
/// - DSP: one a multiplier (MacUnit::packed says how many narrow MACs a slice does a cycle).
/// - Buffers: each level below the outermost, each instance: as wide as the words it reads or
/// writes
///   in a cycle (at least one), as deep as its capacity then needs; doubled when double buffered is
///   not already part of the capacity. Tensors with memories of their own have one each. At most 64
///   rows deep: LUT RAM, else block RAM.
/// - LUT and FF: kLutsPerDsp and kFlipFlopsPerDsp a multiplier and the fixed part, as CHaiDNN's
///   published builds for ZU9 grow from 128 to 1024 DSPs (105,811 to 161,983 LUTs; 111,789 to
///   151,616 FFs), and LUT RAM.
FpgaBudget fpga_use(const Accelerator& device);

inline constexpr double kLutsPerDsp = 62.7, kFixedLuts = 97786;
inline constexpr double kFlipFlopsPerDsp = 44.4, kFixedFlipFlops = 106106;

/// "DSP 896 of 900, ..."; each resource of the budget a line of its own in tables.
std::string to_string(const FpgaBudget& use, const FpgaBudget& budget);

/// The resources of which an accelerator takes more than its budget, "BRAM36: 600 of 545"; empty
/// when it fits, or has no budget.
std::vector<std::string> over_budget(const Accelerator& device);

/// A board: budget, clock of its designs, off-chip memory.
struct FpgaBoard {
  FpgaBudget budget;
  double clock_mhz = 200;
  double memory_bytes_s = 0;  // peak of the off-chip memory that the fabric can reach
};

/// How a board's budget becomes an accelerator: an array of columns x rows slices with registers,
/// and one buffer in block RAM.
struct FpgaDesign {
  int64_t columns = 16, rows = 16;
  int word_bits = 16;
  int64_t buffer_words_a_cycle = 64;  // read, and as many written
  int64_t bram36 = 0;                 // block RAMs for the buffer
  int64_t register_words = 16;        // of each multiplier, in LUT RAM
};

/// Levels DRAM, BRAM, REG; the buffer is the deepest that the block RAMs give at its width,
/// off-chip bandwidth is the memory's peak at the clock. Energies, name and sources are left to the
/// caller. Error when the design does not fit the board.
Accelerator fpga_accelerator(const FpgaBoard& board, const FpgaDesign& design);

}  // namespace instantnet::mapper
