// Straight-through estimator (Bengio et al., 2013): the forward pass takes given values, the backward pass behaves as if they
// were x.
#pragma once

#include <ATen/core/Tensor.h>

namespace instantnet::quant {

/// Returns `values` (shape of x). The gradient of x is the incoming one, times `mask` (bool, shape of x) where it is defined.
at::Tensor straight_through(const at::Tensor& x, const at::Tensor& values, const at::Tensor& mask = {});

}  // namespace instantnet::quant
