// Nodes without weights, by tensor operations; used by both executors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "instantnet/net/spec.h"

namespace instantnet::nn {

/// What a dropout needs to know: whether it acts, and its noise.
struct DropoutNoise {
  bool active = false;
  uint64_t seed = 0;
  uint64_t layer = 0;
};

/// y = activation(x), any shape. Gradient 0 outside and on the border of the clamp.
at::Tensor activate(const at::Tensor& x, Activation activation);

/// Add, pools, Flatten, ChannelShuffle or Dropout of its inputs, (n, c, h, w) or (n, c). Differentiable.
at::Tensor run_plain_node(const Node& node, const std::vector<at::Tensor>& inputs, const DropoutNoise& noise);

}  // namespace instantnet::nn
