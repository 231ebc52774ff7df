// Named tensors in one file, in the safetensors format: 8-byte little-endian header length, JSON
// header (dtype, shape, offsets), raw little-endian data. Read by every framework; the same tensors
// give the same bytes.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace instantnet::train {

/// Contiguous copies on the CPU, float32, int64, int32 or uint8, ordered by name.
std::string tensors_to_bytes(const std::map<std::string, at::Tensor>& tensors);

/// The inverse. Error (where: file, offset, what was found) for anything malformed, overlapping or
/// truncated.
std::map<std::string, at::Tensor> tensors_from_bytes(const std::string& bytes,
                                                     const std::string& where);

}  // namespace instantnet::train
