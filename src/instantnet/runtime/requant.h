// From real multipliers to the integers of equation (5).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/runtime/aligned.h"
#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {

/// The nearest integer; halves round up. |value| < 2^62.
inline int64_t round_half_up(double value) {
  const auto whole = static_cast<int64_t>(value);  // towards zero
  const double rest = value - static_cast<double>(whole);
  return whole + (rest >= 0.5 ? 1 : 0) - (rest < -0.5 ? 1 : 0);
}

/// The least e with 2^e >= bound; 0 for bound 0.
int ceil_log2(double bound);

/// Equation (5) or (8) for all channels, in memory of its own.
struct RequantTable {
  int sum_shift = 0, shift = 1;
  int32_t least = 0, most = 0;  // with `zero` added, as `offset`
  int zero = 0;                 // stored code of zero; 0 for streams
  int64_t channels = 0;
  Aligned<int32_t> multiplier, box_multiplier;  // box_multiplier empty when there is no box
  Aligned<int64_t> offset;                      // (border classes, padded(channels))
  Requant view() const;
};

/// Equation (7): R of windows with this many taps, in units of 2^-kAverageShift.
inline constexpr int kAverageShift = 30;
int64_t average_factor(int64_t taps);

/// The position on the reader's grid, as a real function of the sum: m[k] sum + b[k] box +
/// n[border * channels + k]. b may be empty.
struct RealRequant {
  std::vector<double> m, b, n;
};

/// What sums can be.
struct SumRange {
  int64_t least = 0, most = 0;  // of the sum
  int64_t box = 0;              // of the box's absolute value
  /// The least shift under which the sum fits 32 bits.
  int shift() const;
};

/// Multipliers, offsets and the largest shift under which every multiplier fits 32 bits and no sum
/// of (5) exceeds 2^62. `least` and `most` are without zero. Error `where` when not even a shift of
/// 1 does it: the layer's values are far larger than its readers' ranges.
RequantTable requant_table(const RealRequant& real, const SumRange& range, int32_t least,
                           int32_t most, int zero, const std::string& where);

}  // namespace instantnet::runtime
