// float32 convolutions by fused multiply-adds: weights as the portable set packs them.
#pragma once

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime::avx512 {

/// Whether float_convolve takes the shape: one group, or depthwise.
bool takes_float(const ConvShape& shape);

/// As Kernels::float_convolve. Every sum runs over the window's taps in the order of the weights,
/// each product added without rounding in between (the portable set rounds it): results of the two
/// sets differ in the last places.
void float_convolve(const ConvShape& shape, const FloatCall& call, const Part& part,
                    std::byte* arena);

}  // namespace instantnet::runtime::avx512
