#include "instantnet/runtime/avx2_kernels.h"

#include <immintrin.h>

#include "instantnet/runtime/avx2_target.h"
#include "instantnet/runtime/simd_layout.h"

// What follows is compiled for AVX2; the headers of the standard library were included above.
INSTANTNET_AVX2_BEGIN

#include "instantnet/runtime/avx2_vector.h"
#include "instantnet/runtime/simd_dense.h"
#include "instantnet/runtime/simd_depthwise.h"
#include "instantnet/runtime/simd_rest.h"

INSTANTNET_AVX2_END

#include "instantnet/runtime/simd_kernels.h"

namespace instantnet::runtime {

const Kernels* avx2_kernels() {
  static const simd::SimdKernels<simd::Avx2> set;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &set : nullptr;
}

}  // namespace instantnet::runtime
