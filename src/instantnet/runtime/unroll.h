// Hints that kernels' speed stands on.
//
// INSTANTNET_UNROLL before a loop of few, constant rounds over registers: arrays of registers stay
// registers only when nothing but constants indexes them. INSTANTNET_INLINE for functions over
// registers, which a call would put into memory.
#pragma once

#if defined(__clang__)
#define INSTANTNET_UNROLL _Pragma("unroll")
#else
#define INSTANTNET_UNROLL _Pragma("GCC unroll 16")
#endif

#define INSTANTNET_INLINE __attribute__((always_inline)) inline
