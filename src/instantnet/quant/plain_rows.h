// Whether a weight's output channels are rows of plain memory, so that weight_rows.h can take them.
#pragma once

#include <ATen/core/Tensor.h>

namespace instantnet::quant {

/// True for a float32 CPU tensor (k, ...) without gaps whose first dimension is outermost in memory: contiguous, or channels-last.
inline bool has_plain_rows(const at::Tensor& weight) {
  return weight.device().is_cpu() && weight.scalar_type() == at::kFloat && weight.numel() > 0 &&
         weight.is_non_overlapping_and_dense() && (weight.size(0) == 1 || weight.stride(0) == weight.numel() / weight.size(0));
}

}  // namespace instantnet::quant
