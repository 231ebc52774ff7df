// Depthwise convolutions: 64 channels at a time, the rows of a window side by side in the bytes of
// an 8-bit dot product.
#pragma once

#include <cstddef>

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime::avx512 {

/// 8-bit codes and weights, one input and one output channel a group.
bool takes_depthwise(const ConvProblem& problem);

size_t depthwise_packed_bytes(const ConvProblem& problem);
void depthwise_pack(const ConvProblem& problem, const WeightSource& weights, std::byte* packed);
size_t depthwise_scratch_bytes(const ConvProblem& problem);
void depthwise_convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                        const Memory& memory);

}  // namespace instantnet::runtime::avx512
