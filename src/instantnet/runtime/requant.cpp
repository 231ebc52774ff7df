#include "instantnet/runtime/requant.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "instantnet/core/error.h"

namespace instantnet::runtime {
namespace {

constexpr double kMostSum = 0x1p62;
constexpr double kMostMultiplier = 2147483647.0;

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::fabs(value));
  return most;
}

/// The largest shift under which |value| * 2^shift, rounded, may still fit 32 bits.
int first_shift(double value) {
  if (value == 0) return 62;
  int exponent = 0;
  std::frexp(value, &exponent);
  return std::min(62, 31 - exponent);
}

/// |value| rounded to an integer.
double rounded(double value) {
  const double size = std::fabs(value);
  return size < 0x1p52 ? static_cast<double>(static_cast<int64_t>(size + 0.5)) : size;
}

/// Every multiplier fits 32 bits and no sum exceeds 2^62. In doubles, which err by 2^-50 where 2^62
/// is half of what an int64 holds.
bool fits(const RealRequant& real, const SumRange& range, int sum_shift, int shift, int zero) {
  const double sum = std::ldexp(std::max(std::fabs(static_cast<double>(range.least)),
                                         std::fabs(static_cast<double>(range.most))),
                                -sum_shift) +
                     1;
  const double m_scale = std::ldexp(1.0, shift + sum_shift), scale = std::ldexp(1.0, shift);
  const size_t channels = real.m.size(), borders = real.n.size() / channels;
  for (size_t k = 0; k < channels; ++k) {
    const double m = rounded(real.m[k] * m_scale);
    const double b = real.b.empty() ? 0 : rounded(real.b[k] * scale);
    if (m > kMostMultiplier || b > kMostMultiplier) return false;
    for (size_t border = 0; border < borders; ++border) {
      const double n = (std::fabs(real.n[border * channels + k]) + std::abs(zero) + 1) * scale;
      if (!(sum * m + static_cast<double>(range.box) * b + n <= kMostSum)) return false;
    }
  }
  return true;
}

}  // namespace

int ceil_log2(double bound) {
  if (bound == 0) return 0;
  int exponent = 0;
  return std::frexp(bound, &exponent) == 0.5 ? exponent - 1 : exponent;
}

int64_t average_factor(int64_t taps) { return ((int64_t{1} << kAverageShift) + taps / 2) / taps; }

Requant RequantTable::view() const {
  return {sum_shift,
          shift,
          least,
          most,
          multiplier.data(),
          box_multiplier.empty() ? nullptr : box_multiplier.data(),
          offset.data()};
}

int SumRange::shift() const {
  int shift = 0;
  while ((most >> shift) > std::numeric_limits<int32_t>::max() ||
         (least >> shift) < std::numeric_limits<int32_t>::min())
    ++shift;
  return shift;
}

RequantTable requant_table(const RealRequant& real, const SumRange& range, int32_t least,
                           int32_t most, int zero, const std::string& where) {
  RequantTable table;
  table.sum_shift = range.shift();
  table.least = least + zero;
  table.most = most + zero;
  table.zero = zero;
  const size_t channels = real.m.size(), row = static_cast<size_t>(padded(channels));
  table.channels = static_cast<int64_t>(channels);
  table.shift =
      std::min(first_shift(largest(real.m)) - table.sum_shift, first_shift(largest(real.b)));
  while (table.shift >= 1 && !fits(real, range, table.sum_shift, table.shift, zero)) --table.shift;
  if (table.shift < 1)
    fail(where,
         "its values are far larger than the ranges of the layers that read them; the model "
         "cannot be run at this bit-width.");
  const double m_scale = std::ldexp(1.0, table.shift + table.sum_shift);
  const double scale = std::ldexp(1.0, table.shift);
  table.multiplier.resize(row);
  if (!real.b.empty()) table.box_multiplier.resize(row);
  for (size_t k = 0; k < channels; ++k) {
    table.multiplier[k] = static_cast<int32_t>(round_half_up(real.m[k] * m_scale));
    if (!real.b.empty())
      table.box_multiplier[k] = static_cast<int32_t>(round_half_up(real.b[k] * scale));
  }
  const size_t borders = real.n.size() / channels;
  const int64_t more = (int64_t{zero} << table.shift) + (int64_t{1} << (table.shift - 1));
  table.offset.resize(borders * row);
  for (size_t border = 0; border < borders; ++border)
    for (size_t k = 0; k < channels; ++k)
      table.offset[border * row + k] = round_half_up(real.n[border * channels + k] * scale) + more;
  return table;
}

}  // namespace instantnet::runtime
