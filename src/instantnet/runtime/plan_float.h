// The plan of the 32-bit width, and what both kinds of plan share.
#pragma once

#include "instantnet/runtime/plan.h"

namespace instantnet::runtime {

/// Fills in the plan.
void plan_float(const Source& source, const Kernels& kernels, Plan& plan);

/// Shuffling or flattening, without views.
MoveStep move_of(const Graph& graph, int value);
/// Pooling, without views.
PoolCall pool_of(const Graph& graph, int value);

}  // namespace instantnet::runtime
