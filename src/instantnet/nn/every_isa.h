// One function, three instruction sets, chosen by the loader: before a definition. Sanitizers
// cannot run the loader's hooks.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define INSTANTNET_EVERY_ISA \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define INSTANTNET_EVERY_ISA
#endif
#define INSTANTNET_INLINE inline __attribute__((always_inline))
