#include "instantnet/runtime/neon_kernels.h"

#include <arm_neon.h>

#include "instantnet/runtime/simd_layout.h"
// The templates stand on what was included above.
#include "instantnet/runtime/neon_vector.h"
#include "instantnet/runtime/simd_kernels.h"

namespace instantnet::runtime {

const Kernels* neon_kernels() {
  static const simd::SimdKernels<simd::Neon<false>> set;
  return &set;
}

}  // namespace instantnet::runtime
