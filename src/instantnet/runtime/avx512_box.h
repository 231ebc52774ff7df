// Sums of stored codes over windows: what weights that are not centred on zero add to every output.
#pragma once

#include <cstddef>
#include <cstdint>

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime::avx512 {

/// The largest window a set of kernels takes; larger ones are left to the portable set.
constexpr int kMostWindow = 1024;

/// Of the output pixels of a part's rows.
struct BoxSums {
  const int32_t* sums = nullptr;
  int first_row = 0, width = 0;
  const int32_t& at(int y, int x) const { return sums[(y - first_row) * width + x]; }
};

size_t box_scratch_bytes(const ConvShape& shape);

/// Sum over window and group of stored codes, in 32 bits, for the rows of the part.
BoxSums sum_boxes(const ConvProblem& problem, const View& input, const Part& part, int group,
                  const std::byte* arena, std::byte* scratch);

}  // namespace instantnet::runtime::avx512
