// Convolutions over all channels of a group, by 8-bit and 16-bit dot products (VNNI).
#pragma once

#include <cstddef>

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime::avx512 {

/// 8-bit codes times 8-bit weights.
bool takes_bytes(const ConvProblem& problem);

size_t dense_packed_bytes(const ConvProblem& problem);
void dense_pack(const ConvProblem& problem, const WeightSource& weights, std::byte* packed);
size_t dense_scratch_bytes(const ConvProblem& problem);
void dense_convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                    const Memory& memory);

}  // namespace instantnet::runtime::avx512
