// Sets of kernels for processors we have none for: the portable set serves them.
#include "instantnet/runtime/code_sums.h"
#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {

std::vector<const Kernels*> native_kernels() { return {}; }

SumNested* native_sum_nested() { return nullptr; }

}  // namespace instantnet::runtime
