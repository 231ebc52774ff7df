// The set of kernels for processors with AVX-512 and its 8-bit dot products (VNNI).
#pragma once

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {

/// The set, or null when the running processor lacks the instructions.
const Kernels* avx512_kernels();

}  // namespace instantnet::runtime
