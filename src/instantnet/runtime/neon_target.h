// Compiles what stands between INSTANTNET_NEON_DOT_BEGIN and INSTANTNET_NEON_DOT_END for aarch64
// with dot products of bytes, whatever the rest of the program is compiled for.
#pragma once

// clang-format off
#if defined(__clang__)
#define INSTANTNET_NEON_DOT_BEGIN _Pragma("clang attribute push(__attribute__((target(\"dotprod\"))), apply_to = function)")
#define INSTANTNET_NEON_DOT_END _Pragma("clang attribute pop")
#else
#define INSTANTNET_NEON_DOT_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"arch=armv8.2-a+dotprod\")")
#define INSTANTNET_NEON_DOT_END _Pragma("GCC pop_options")
#endif
// clang-format on
