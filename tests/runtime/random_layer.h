// A network around one random convolution, for tests of kernels.
#pragma once

#include <algorithm>
#include <string>

#include "instantnet/core/rng.h"
#include "instantnet/net/spec.h"

namespace instantnet::runtime {

/// Image, 1x1 convolution, the convolution "layer" (any window, grouped or depthwise, up to a few
/// hundred taps), pooling, classifier.
inline NetworkSpec random_layer_network(uint64_t seed) {
  Rng rng(seed, 5);
  const auto between = [&](int64_t least, int64_t most) {
    return least + static_cast<int64_t>(rng.below(static_cast<uint64_t>(most - least + 1)));
  };
  NetworkSpec spec;
  spec.name = "layer";
  spec.channels = between(1, 4);
  spec.height = between(1, 11);
  spec.width = between(1, 11);
  spec.classes = between(1, 9);
  Node first{.name = "first", .op = Op::Conv, .inputs = {"input"}};
  const bool depthwise = rng.flip(0.3);
  const int64_t groups = depthwise ? between(2, 70) : rng.flip(0.3) ? between(2, 4) : 1;
  first.channels = groups * (depthwise ? 1 : between(1, 70 / groups));
  first.activation = rng.flip() ? Activation::Relu : Activation::Relu6;
  Node layer{.name = "layer", .op = Op::Conv, .inputs = {"first"}};
  layer.groups = groups;
  layer.channels = groups * (depthwise && rng.flip(0.8) ? 1 : between(1, 70 / groups));
  const int64_t side = std::min(spec.height, spec.width);
  layer.kernel = between(1, 5);
  layer.padding = between(0, 3);
  layer.stride = between(1, 3);
  layer.dilation = between(1, 2);
  while (layer.dilation * (layer.kernel - 1) + 1 > side + 2 * layer.padding)
    layer.dilation > 1 ? --layer.dilation : --layer.kernel;
  layer.activation = rng.flip() ? Activation::None : Activation::Relu;
  Node next{.name = "next", .op = Op::Conv, .inputs = {"layer"}};
  next.channels = between(1, 5);
  const Node pool{.name = "pool", .op = Op::GlobalAvgPool, .inputs = {"next"}};
  Node last{.name = "last", .op = Op::Linear, .inputs = {"pool"}};
  last.channels = spec.classes;
  spec.nodes = {first, layer, next, pool, last};
  return spec;
}

}  // namespace instantnet::runtime
