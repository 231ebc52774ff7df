// Dropout masks as a function of (seed, layer, element): the same in both executors and for any number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace instantnet::nn {

/// Shape of `like`: 0 with `probability`, else 1 / (1 - probability).
at::Tensor dropout_mask(const at::Tensor& like, double probability, uint64_t seed, uint64_t layer);

}  // namespace instantnet::nn
