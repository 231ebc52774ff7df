// Compiles what stands between INSTANTNET_AVX512_BEGIN and INSTANTNET_AVX512_END for AVX-512 with
// VNNI, whatever the rest of the program is compiled for. Headers are included before it, so that
// nothing of the standard library is compiled for more than the program needs.
//
// INSTANTNET_INLINE_LAMBDA behind a lambda's parameters: it becomes part of its caller.
#pragma once

#include "instantnet/runtime/unroll.h"

// A pragma is one string, which may not be broken.
// clang-format off
#if defined(__clang__)
#define INSTANTNET_AVX512_BEGIN _Pragma("clang attribute push(__attribute__((target(\"avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma\"))), apply_to = function)")
#define INSTANTNET_AVX512_END _Pragma("clang attribute pop")
#else
#define INSTANTNET_AVX512_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma\")")
#define INSTANTNET_AVX512_END _Pragma("GCC pop_options")
#endif
#define INSTANTNET_INLINE_LAMBDA __attribute__((always_inline))
// clang-format on
