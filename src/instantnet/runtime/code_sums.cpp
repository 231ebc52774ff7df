#include "instantnet/runtime/code_sums.h"

#include <algorithm>

namespace instantnet::runtime {

CodeSums sum_nested_portable(const uint16_t* master, int64_t count, int shift, int bits) {
  constexpr int64_t kPiece = 32768;  // 2^15 numbers of at most 2^15, as sums of either sign
  const int half = 1 << (bits - 1);
  CodeSums sums;
  for (int64_t start = 0; start < count; start += kPiece) {
    const int64_t end = std::min(count, start + kPiece);
    int32_t sum = 0, size = 0;
    for (int64_t i = start; i < end; ++i) {
      const auto p = static_cast<int16_t>((master[i] >> shift) - half);
      sum += p;
      size += static_cast<int16_t>(p ^ (p >> 15));
    }
    sums.sum += sum;
    sums.size += size;
  }
  return sums;
}

CodeSums sum_nested(const uint16_t* master, int64_t count, int shift, int bits) {
  static SumNested* const best =
      native_sum_nested() != nullptr ? native_sum_nested() : &sum_nested_portable;
  return best(master, count, shift, bits);
}

}  // namespace instantnet::runtime
