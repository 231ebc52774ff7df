// Additions of streams and their codes.
#pragma once

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime::avx512 {

void combine(const CombineCall& call, const Part& part, std::byte* arena);

}  // namespace instantnet::runtime::avx512
