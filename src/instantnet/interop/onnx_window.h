// Windows that slide over an axis: convolutions and pooling in ONNX's words (strides, dilations,
// pads, auto_pad).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/interop/onnx_graph.h"

namespace instantnet::interop {

/// One axis. All sizes are from 1 to kLargestOnnxSize.
struct OnnxAxis {
  int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1;
};

/// An attribute with `length` values; `otherwise` in each where it is absent. Error (`where`) for
/// another number of values.
std::vector<int64_t> list_attribute(const OnnxNode& node, const std::string& name, size_t length,
                                    int64_t otherwise, const std::string& where);
int64_t int_attribute(const OnnxNode& node, const std::string& name, int64_t otherwise);
std::string text_attribute(const OnnxNode& node, const std::string& name,
                           const std::string& otherwise);

/// The axes behind the first two of `input` under a kernel. Error (`where`) for attributes that do
/// not go together and windows that do not fit. `partial`: a last window that lies partly outside
/// counts (ceil_mode of pooling).
std::vector<OnnxAxis> window_axes(const OnnxNode& node, const std::vector<int64_t>& input,
                                  const std::vector<int64_t>& kernel, bool partial,
                                  const std::string& where);

}  // namespace instantnet::interop
