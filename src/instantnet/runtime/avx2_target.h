// Compiles what stands between INSTANTNET_AVX2_BEGIN and INSTANTNET_AVX2_END for AVX2 and FMA,
// whatever the rest of the program is compiled for.
#pragma once

// clang-format off
#if defined(__clang__)
#define INSTANTNET_AVX2_BEGIN _Pragma("clang attribute push(__attribute__((target(\"avx2,fma\"))), apply_to = function)")
#define INSTANTNET_AVX2_END _Pragma("clang attribute pop")
#else
#define INSTANTNET_AVX2_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma\")")
#define INSTANTNET_AVX2_END _Pragma("GCC pop_options")
#endif
// clang-format on
