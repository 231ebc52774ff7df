// Which sets of kernels this program has besides the portable one.
#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {

std::vector<const Kernels*> native_kernels() { return {}; }

}  // namespace instantnet::runtime
