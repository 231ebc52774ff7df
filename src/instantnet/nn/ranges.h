// Activation ranges while a network runs: which numbers of a batch they need, how they move, and the grid they give. Shared by
// the plain and the fused executor, so that both follow the same rules.
#pragma once

#include <ATen/core/Tensor.h>

#include "instantnet/nn/executor.h"
#include "instantnet/nn/model.h"

namespace instantnet::nn {

/// What must be known of a batch of layer inputs before they can be quantized.
enum class BatchFacts {
  None,
  Extremes,    // low and high, (1) or (c)
  MeanSquare,  // mean of squares, (1)
};
BatchFacts needed_facts(const SwitchableModel& model, const Layer& layer, int bits, Mode mode);

/// Those numbers; only what needed_facts asks for is read.
struct InputFacts {
  at::Tensor low, high;     // (1) or (c) float32
  at::Tensor mean_square;   // (1) float32
};

/// The grid for this batch. In Mode::Train, running ranges take the batch in and a learned range that has seen no batch is
/// initialised at clip_multiple(bits) * rms.
quant::Grid input_grid(const SwitchableModel& model, Layer& layer, int bits, Mode mode, const InputFacts& facts);

/// The learned range of the layer at this width, or an undefined tensor.
at::Tensor learned_range(const SwitchableModel& model, const Layer& layer, int bits);

}  // namespace instantnet::nn
