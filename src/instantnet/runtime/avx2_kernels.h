// The set of kernels for x86-64 processors with AVX2 and FMA.
#pragma once

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {

/// The set, or null when the running processor lacks the instructions.
const Kernels* avx2_kernels();

}  // namespace instantnet::runtime
