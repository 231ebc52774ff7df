// How AVX-512 kernels lay out weights, and how sums of stored bytes become sums of equations (3)
// and (4).
#pragma once

#include <cstddef>
#include <cstdint>

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime::avx512 {

/// Weights are packed as signed numbers w with W = scale w + offset; the sum of W x is then
///   scale (sum of w stored) + offset (sum of stored) - zero (sum of W).
/// Up to 7 bits W itself is a signed byte; at 8 bits (and at 16 for 16-bit kernels) it is the code
/// less half its span.
struct WeightForm {
  int half = 0;  // what is taken from the narrow code
  int scale = 1, offset = 0;
  bool needs_box() const { return offset != 0; }
};

/// For packed numbers of `packed_bits` (8 or 16).
inline WeightForm weight_form(Lattice lattice, int weight_bits, int packed_bits) {
  const int half = 1 << (weight_bits - 1);
  if (weight_bits == packed_bits)
    return lattice == Lattice::Nested ? WeightForm{half, 2, 1} : WeightForm{half, 1, half};
  return {0, 1, 0};
}

/// The packed number of a narrow code.
inline int packed_weight(const WeightForm& form, Lattice lattice, int weight_bits, int code) {
  if (form.needs_box() || lattice == Lattice::Sbm) return code - form.half;
  return 2 * code + 1 - (1 << weight_bits);
}

/// W of a narrow code (equations 1 and 2).
inline int whole_weight(Lattice lattice, int weight_bits, int code) {
  return lattice == Lattice::Nested ? 2 * code + 1 - (1 << weight_bits) : code;
}

/// How one group's channels are cut: blocks of up to 64 outputs, inputs in steps of `step` channels
/// (4 bytes).
struct GroupLayout {
  int taps = 0, steps = 0;  // taps of the window, steps of a tap
  int out = 0, blocks = 0;  // outputs of a group, blocks of 64 of them
  int64_t block_bytes = 0;  // weights of a block
  int64_t group_bytes() const { return blocks * block_bytes; }
};

inline GroupLayout group_layout(const ConvShape& shape, int channels_a_step) {
  GroupLayout layout;
  layout.taps = shape.kernel_height * shape.kernel_width;
  layout.steps = (shape.group_channels() + channels_a_step - 1) / channels_a_step;
  layout.out = shape.out_channels / shape.groups;
  layout.blocks = (layout.out + 63) / 64;
  layout.block_bytes = int64_t{layout.taps} * layout.steps * 64 * 4;
  return layout;
}

}  // namespace instantnet::runtime::avx512
