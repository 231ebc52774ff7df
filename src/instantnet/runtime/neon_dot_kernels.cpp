#include <arm_neon.h>
#include <sys/auxv.h>

#include "instantnet/runtime/neon_kernels.h"
#include "instantnet/runtime/neon_target.h"
#include "instantnet/runtime/simd_layout.h"

// What follows is compiled for dot products; the headers of the standard library were included
// above.
INSTANTNET_NEON_DOT_BEGIN

#include "instantnet/runtime/neon_vector.h"
#include "instantnet/runtime/simd_dense.h"
#include "instantnet/runtime/simd_depthwise.h"
#include "instantnet/runtime/simd_rest.h"

INSTANTNET_NEON_DOT_END

#include "instantnet/runtime/simd_kernels.h"

namespace instantnet::runtime {

const Kernels* neon_dot_kernels() {
  constexpr unsigned long kDotProducts = 1UL << 20;  // HWCAP_ASIMDDP
  static const simd::SimdKernels<simd::Neon<true>> set;
  return (getauxval(AT_HWCAP) & kDotProducts) != 0 ? &set : nullptr;
}

}  // namespace instantnet::runtime
