// ONNX models as layers to map.
#pragma once

#include <cstdint>
#include <string>

#include "instantnet/mapper/workload.h"

namespace instantnet::interop {

/// How an ONNX model is read.
struct OnnxOptions {
  /// Images a run, for files that leave the first size of their inputs open. 0: as the file says, 1
  /// where it is open.
  int64_t batch = 0;
};

/// The layers of a model, in order, with shapes by ONNX's own inference:
///   Conv, ConvInteger, QLinearConv   1-d and 2-d; groups, depthwise, strides, dilations, padding
///   Gemm                             n = rows, k = columns, c = inner size
///   MatMul, MatMulInteger, QLinearMatMul   likewise; batches that both operands have are groups,
///                                    those of one operand are rows or columns
/// A node attribute `bits` (integer, 1..16 or 32) holds a layer at that bit-width. Every other node
/// is listed in `unmapped` with its operator, and why where that is not plain; nodes that depend on
/// no input of the network (weights being unpacked, arithmetic on shapes) run before and are not.
/// Error (path, node, what was given, what would be right) for files that are broken.
mapper::NetworkLayers import_onnx(const std::string& path, const OnnxOptions& options = {});

}  // namespace instantnet::interop
