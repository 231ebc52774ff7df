// Sums over weights.
#pragma once

#include "instantnet/runtime/code_sums.h"

namespace instantnet::runtime::avx512 {

SumNested sum_nested;

}  // namespace instantnet::runtime::avx512
