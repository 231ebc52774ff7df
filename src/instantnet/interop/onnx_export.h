// Frozen networks as ONNX files that other programs run; docs/exports.md says what each holds.
#pragma once

#include <cstdint>
#include <string>

#include "instantnet/runtime/int_model.h"

namespace instantnet::interop {

enum class OnnxFormat : uint8_t {
  Qdq,         // opset 13: QuantizeLinear and DequantizeLinear around float32 layers
  Qonnx,       // IntQuant nodes (qonnx.custom_op.general) with their meaning in the file
  Switchable,  // standard operators; the bit-width is an input
};

/// The bytes of an ONNX file. Input "image" (N, channels, height, width) of u8 pixels, output
/// "logits" (N, classes) of float32. `bits` is one of the model's widths; Switchable takes all
/// below 32 and ignores it: its input "width" (scalar, int64) counts them from 0.
/// Error (`where` "export --bits") for a width that the format or the model does not have, and
/// naming the node for what a format has no operator for.
///
/// OnnxOutputs::AllValues, for checks: also outputs "value.I" (N, C, H, W), I counting
/// Prepared::forms: codes as float32, without the stored code of zero; streams as int64, in Qdq as
/// float32 real values.
enum class OnnxOutputs : uint8_t { Logits, AllValues };
std::string onnx_bytes(const runtime::IntModel& model, OnnxFormat format, int bits,
                       OnnxOutputs outputs = OnnxOutputs::Logits);

}  // namespace instantnet::interop
