// Sets of kernels for processors we have none for: the portable set serves them.
#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {

std::vector<const Kernels*> native_kernels() { return {}; }

}  // namespace instantnet::runtime
