// From stored weight codes to the numbers that kernels multiply.
#pragma once

namespace instantnet::runtime::simd {

/// Codes of one output channel as packed numbers; returns the sum of whole weights.
template <class V, class Number>
int64_t pack_numbers(const ConvProblem& problem, const WeightForm& form, const uint16_t* codes,
                     int64_t count, Number* numbers) {
  const bool doubled = !form.needs_box() && problem.lattice == Lattice::Nested;
  const int offset = doubled ? 1 - (1 << problem.weight_bits) : -form.half;
  const int factor = doubled ? 2 : 1;
  int64_t sum = 0;
  constexpr int64_t kPiece = 1 << 14;  // codes whose sum fits 32 bits
  for (int64_t first = 0; first < count; first += kPiece) {
    const int64_t end = std::min(first + kPiece, count);
    int32_t piece = 0;
    for (int64_t i = first; i < end; ++i) {
      piece += codes[i];
      numbers[i] = static_cast<Number>(factor * codes[i] + offset);
    }
    sum += piece;
  }
  if (problem.lattice == Lattice::Nested)
    sum = 2 * sum + count * (1 - (int64_t{1} << problem.weight_bits));
  return sum;
}

/// Puts one output channel's numbers into its lane of registers `apart` bytes from each other: four
/// bytes of every step (4 bytes, or 2 of 16 bits).
template <class Number>
constexpr int kStepNumbers = 4 / static_cast<int>(sizeof(Number));

template <class V, class Number>
void pack_lane(const GroupLayout& layout, const Number* numbers, int channels, int lane,
               int64_t apart, std::byte* to) {
  constexpr int kNumbers = kStepNumbers<Number>;
  // Where a step's numbers are apart, all first ones come before all second ones.
  constexpr bool kTogether = sizeof(Number) == 1 || V::kWordPairs;
  constexpr int kFirst = kTogether ? 4 : 2, kNext = kTogether ? sizeof(Number) : 2 * V::kLanes;
  to += kFirst * lane;
  for (int tap = 0; tap < layout.taps; ++tap, numbers += channels)
    for (int step = 0; step < layout.steps; ++step, to += apart) {
      const Number* from = numbers + kNumbers * step;
      const int count = std::min(kNumbers, channels - kNumbers * step);
      if (kTogether && count == kNumbers)
        std::memcpy(to, from, 4);
      else
        for (int i = 0; i < count; ++i) std::memcpy(to + kNext * i, from + i, sizeof(Number));
    }
}

}  // namespace instantnet::runtime::simd
