// Weight quantizers on rows of plain memory (one row an output channel), for the CPU: one pass
// instead of ten tensor operations, with the same results to the last bit.
#pragma once

#include <cstdint>

namespace instantnet::quant {

/// Range c = multiple * rms of a row, summed in double.
float nested_row_range(const float* row, int64_t count, double multiple);

/// values[i] = c (2 code + 1 - 2^bits) / 2^bits (see nested.cpp).
void nested_row_values(const float* row, float* values, int64_t count, float range, int bits);

/// values[i] = code * step + low on the row's own extremes (see sbm.cpp); a constant row gives
/// zeros.
void minmax_row_values(const float* row, float* values, int64_t count, int bits);

}  // namespace instantnet::quant
