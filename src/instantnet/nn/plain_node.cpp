#include "instantnet/nn/plain_node.h"

#include <torch/torch.h>

#include <array>

#include "instantnet/core/error.h"
#include "instantnet/nn/noise.h"

namespace instantnet::nn {

at::Tensor activate(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::None:
      return x;
    case Activation::Relu:
      return x.relu();
    case Activation::Relu6:
      return at::relu6(x);
  }
  bug("an activation without a function");
}

at::Tensor run_plain_node(const Node& node, const std::vector<at::Tensor>& inputs,
                          const DropoutNoise& noise) {
  const at::Tensor& x = inputs.at(0);
  const std::array<int64_t, 2> kernel = {node.kernel, node.kernel},
                               stride = {node.stride, node.stride};
  const std::array<int64_t, 2> padding = {node.padding, node.padding};
  switch (node.op) {
    case Op::Add: {
      at::Tensor sum = x;
      for (size_t i = 1; i < inputs.size(); ++i) sum = sum + inputs[i];
      return activate(sum, node.activation);
    }
    case Op::MaxPool:
      return at::max_pool2d(x, kernel, stride, padding);
    case Op::AvgPool:
      return at::avg_pool2d(x, kernel, stride, padding);
    case Op::GlobalAvgPool:
      return x.mean({2, 3});
    case Op::Flatten:
      return x.contiguous().flatten(1);
    case Op::ChannelShuffle:
      return x.unflatten(1, {node.groups, x.size(1) / node.groups}).transpose(1, 2).flatten(1, 2);
    case Op::Dropout:
      return noise.active ? x * dropout_mask(x, node.probability, noise.seed, noise.layer) : x;
    case Op::Conv:
    case Op::Linear:
      break;
  }
  bug("a layer with weights ran as one without");
}

}  // namespace instantnet::nn
