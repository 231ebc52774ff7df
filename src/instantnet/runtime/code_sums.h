// Sums over a channel's weights, which bound what a layer can give.
#pragma once

#include <cstdint>

namespace instantnet::runtime {

/// Of the nested weights W = 2 p + 1, p = (master code >> shift) - 2^(bits - 1), of a channel: W =
/// 2 p
/// + 1 and |W| = 2 (p or -1 - p) + 1.
struct CodeSums {
  int64_t sum = 0;   // of p
  int64_t size = 0;  // of p where it is not negative, -1 - p where it is
  bool operator==(const CodeSums&) const = default;
};
using SumNested = CodeSums(const uint16_t* master, int64_t count, int shift, int bits);

/// For any processor.
SumNested sum_nested_portable;
/// The fastest that this processor runs.
SumNested sum_nested;

/// For the processor this was compiled for, if the running one can execute it; else null.
SumNested* native_sum_nested();

}  // namespace instantnet::runtime
