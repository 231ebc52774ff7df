// Depthwise convolutions whose codes or weights are wider than bytes: 16 channels at a time, a
// product a channel and window position.
#pragma once

#include <cstddef>

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime::avx512 {

/// One input and one output channel a group; any widths.
size_t depthwide_packed_bytes(const ConvProblem& problem);
void depthwide_pack(const ConvProblem& problem, const WeightSource& weights, std::byte* packed);
void depthwide_convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                        const Memory& memory);

}  // namespace instantnet::runtime::avx512
