// Sets of kernels for aarch64.
#include "instantnet/runtime/code_sums.h"
#include "instantnet/runtime/kernel.h"
#include "instantnet/runtime/neon_kernels.h"

namespace instantnet::runtime {

std::vector<const Kernels*> native_kernels() {
  std::vector<const Kernels*> sets;
  if (const Kernels* set = neon_dot_kernels()) sets.push_back(set);
  sets.push_back(neon_kernels());
  return sets;
}

SumNested* native_sum_nested() { return nullptr; }

}  // namespace instantnet::runtime
