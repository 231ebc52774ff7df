// NumPy's file format.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace instantnet::cli {

/// A float32 tensor as a .npy file: format version 1.0 (numpy.lib.format), little-endian, C order,
/// data at a multiple of 64 bytes.
std::string npy_bytes(const at::Tensor& tensor);

}  // namespace instantnet::cli
