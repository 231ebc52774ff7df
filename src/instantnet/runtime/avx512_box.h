// Sums of stored codes over windows: what weights that are not centred on zero add to every output.
#pragma once

#include <cstddef>

#include "instantnet/runtime/box_sums.h"
#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime::avx512 {

/// Sum over window and group of stored codes, in 32 bits, for the rows of the part.
BoxSums sum_boxes(const ConvProblem& problem, const View& input, const Part& part, int group,
                  const std::byte* arena, std::byte* scratch);

}  // namespace instantnet::runtime::avx512
