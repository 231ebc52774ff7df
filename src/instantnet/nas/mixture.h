// From weights of operators to gates of the supernet's Add nodes, and back with gradients.
#pragma once

#include "instantnet/nas/alphas.h"
#include "instantnet/net/search_space.h"
#include "instantnet/nn/gates.h"

namespace instantnet::nas {

/// Gates with which the cells compute the sum of weight * operator. The cell's input is part of
/// every block's output and all of a skip's, so its gate is the sum of all weights.
nn::Gates gates_of(const Supernet& supernet, const Rows& weights);

/// d loss / d weight of each operator, given that of each gate.
Rows weight_gradients(const Supernet& supernet, const nn::Gates& gate_gradients);

}  // namespace instantnet::nas
