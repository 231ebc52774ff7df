// How native kernels store weights, and how sums of what is stored become sums of equations (3) and
// (4).
#pragma once

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {

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

}  // namespace instantnet::runtime
