// The door out of torch: a trained SwitchableModel becomes integers (docs/integer-model.md).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "instantnet/nn/model.h"
#include "instantnet/runtime/int_model.h"

namespace instantnet::freeze {

/// How a network is frozen.
struct FreezeOptions {
  /// Keep the float32 weights too, so that the frozen network runs at 32 bits; without effect when
  /// the network was not trained at 32.
  bool floats = true;
  /// Activations of layers that stay at 32 bits become 16-bit codes of a range this many times the
  /// largest value seen while calibrating: what other images give rarely lies above.
  double headroom = 1.25;
  /// Names of the classes, or none.
  std::vector<std::string> classes;
  /// Where the network came from, for people.
  std::string origin;
  /// Threads that run the calibration images.
  int threads = 1;
};

/// Hands batches of images as the network takes them, (n, c, h, w) float32, normalised, to `take`;
/// the same ones whenever it is called.
using Images = std::function<void(const std::function<void(const at::Tensor&)>& take)>;

/// Weights whose code at `bits`, derived from the stored master code, is not the quantizer's own.
struct CodeDifference {
  int bits = 0;
  int64_t weights = 0;  // of all layers that run at this width
  int64_t differ = 0;
  int most = 0;  // largest difference in codes
  bool operator==(const CodeDifference&) const = default;
};

struct Frozen {
  runtime::IntModel model;
  /// One a width below 32. All zero for nested and adabits; for sbm and dorefa wherever the widths
  /// divide the master's, and for sbm where it was trained with that master
  /// (quant.sbm_master_bits).
  std::vector<CodeDifference> codes;
};

/// Weights become master codes of 8 bits, or of 16 when a layer needs more (a width above 8; for
/// sbm and dorefa also a width that does not divide 8); batch norms one affine a width; activation
/// ranges those the network was trained with. `calibration` gives ranges to the layers that stay at
/// 32 bits and read no image; it is not called when there are none. Error, one sentence, for a
/// network that has no such form: weight-only quantization, quantizers without a common lattice
/// (lsq, sbm_integer_zero, dorefa at 1 bit), no width below 32, numbers that are not finite, or no
/// calibration images where they are needed.
Frozen freeze(const nn::SwitchableModel& model, const runtime::Normalisation& normalisation,
              const FreezeOptions& options, const Images& calibration);

}  // namespace instantnet::freeze
