// Weights of a trained layer as master codes on a lattice of the integer model.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "instantnet/freeze/freeze.h"
#include "instantnet/nn/model.h"
#include "instantnet/runtime/int_model.h"

namespace instantnet::freeze {

/// Error unless all of the model's weights lie on one lattice from which every width can be
/// derived.
void check_lattice(const nn::SwitchableModel& model);

/// The bit-widths below 32 at which the layer's weight runs: the model's, or the one it always has.
/// Empty for a layer that stays at 32 bits.
std::vector<int> weight_widths(const nn::SwitchableModel& model, const nn::Layer& layer);

/// (k, c, r, s) -> (k, r, s, c) in memory; (k, c) as it is. float32 or int32, on the CPU,
/// contiguous.
at::Tensor in_runtime_order(const at::Tensor& weight);

/// Sets lattice, master_bits, codes, low and range of a layer that the quantizer serves, and adds
/// what its derived codes differ from the quantizer's own (one entry a width, ascending).
void quantized_weights(const nn::SwitchableModel& model, const nn::Layer& layer,
                       runtime::IntLayer& into, std::vector<CodeDifference>& differences);

/// The same for a layer that stays at 32 bits: 16-bit nested codes, ranges the largest weight of
/// each output channel. `unit` (c / groups of the whole input: one number an input channel, or
/// empty for 1) is multiplied in first; a group's weights take the numbers of that group's
/// channels.
void full_weights(const nn::Layer& layer, int64_t groups, const std::vector<double>& unit,
                  runtime::IntLayer& into);

}  // namespace instantnet::freeze
