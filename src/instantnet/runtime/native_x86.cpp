// Sets of kernels for x86-64.
#include "instantnet/runtime/avx2_kernels.h"
#include "instantnet/runtime/avx512_kernels.h"
#include "instantnet/runtime/avx512_sums.h"
#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {

std::vector<const Kernels*> native_kernels() {
  std::vector<const Kernels*> sets;
  if (const Kernels* set = avx512_kernels()) sets.push_back(set);
  if (const Kernels* set = avx2_kernels()) sets.push_back(set);
  return sets;
}

SumNested* native_sum_nested() {
  return avx512_kernels() != nullptr ? &avx512::sum_nested : nullptr;
}

}  // namespace instantnet::runtime
