// Hints that kernels' speed stands on.
//
// INSTANTNET_UNROLL before a loop of few, constant rounds over registers: arrays of registers stay
// registers only when nothing but constants indexes them. INSTANTNET_INLINE for functions over
// registers, which a call would put into memory. INSTANTNET_OUT_OF_LINE for functions that would
// cost many copies: they are called, and there is one.
#pragma once

#if defined(__clang__)
#define INSTANTNET_UNROLL _Pragma("unroll")
#define INSTANTNET_OUT_OF_LINE __attribute__((noinline))
#else
#define INSTANTNET_UNROLL _Pragma("GCC unroll 16")
#define INSTANTNET_OUT_OF_LINE __attribute__((noinline, noclone))
#endif

#define INSTANTNET_INLINE __attribute__((always_inline)) inline
