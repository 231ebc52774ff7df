// The weight gradient of depthwise convolutions, for the sizes at which oneDNN has only its kernel
// for dense groups (5x5 and more), which takes four times as long.
#pragma once

#include <cstdint>

#include "instantnet/nn/fused_convolution.h"

namespace instantnet::nn {

/// Whether depthwise_weight_gradient serves this shape: one channel a group, kernel 3, 5 or 7.
bool has_depthwise_gradient(const ConvolutionShape& shape);

/// in (images, in_height, in_width, channels), out_gradient likewise -> gradient (kernel, kernel,
/// channels), overwritten. Sums over images, rows and columns in this order, without fused
/// multiply-add: the same bits on every processor.
void depthwise_weight_gradient(const ConvolutionShape& shape, const float* in,
                               const float* out_gradient, float* gradient);

}  // namespace instantnet::nn
