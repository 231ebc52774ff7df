// Sets of kernels for aarch64.
#pragma once

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {

/// With dot products of bytes; null when the running processor lacks them.
const Kernels* neon_dot_kernels();
/// For every processor.
const Kernels* neon_kernels();

}  // namespace instantnet::runtime
