// Sums of stored codes over windows: what weights that are not centred on zero add to every output.
#pragma once

#include <cstddef>
#include <cstdint>

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {

/// The largest window a native set of kernels takes; larger ones are left to the portable set.
constexpr int kMostWindow = 1024;

/// Of the output pixels of a part's rows.
struct BoxSums {
  const int32_t* sums = nullptr;
  int first_row = 0, width = 0;
  const int32_t& at(int y, int x) const { return sums[(y - first_row) * width + x]; }
};

/// Memory for sums of pixels, of one row of columns, and of windows; kernels load and store whole
/// registers over the ends of each.
inline size_t box_scratch_bytes(const ConvShape& shape) {
  const size_t columns = static_cast<size_t>(shape.width + 2 * shape.padding);
  const size_t rows = static_cast<size_t>(shape.height + 2 * shape.padding);
  const size_t outputs =
      static_cast<size_t>(shape.out_height) * static_cast<size_t>(shape.out_width);
  constexpr size_t kOver = 3 * 64;
  return ((rows * columns + columns + outputs) * sizeof(int32_t) + 63) / 64 * 64 + kOver;
}

}  // namespace instantnet::runtime
