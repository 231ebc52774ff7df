// The plain executor with somebody who looks on: what each layer takes in and gives out.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <memory>

#include "instantnet/nn/executor.h"

namespace instantnet::nn {

/// Told of each convolution and linear layer as it has run: its position in model.layers(), its
/// input before quantization, and its output behind batch norm and activation.
using LayerObserver =
    std::function<void(size_t layer, const at::Tensor& input, const at::Tensor& output)>;

/// make_plain_executor, telling `observer` of every layer of every forward pass.
std::unique_ptr<Executor> make_observed_executor(SwitchableModel& model, int threads,
                                                 LayerObserver observer);

}  // namespace instantnet::nn
