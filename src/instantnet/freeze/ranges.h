// Ranges of the activations a frozen layer takes in.
#pragma once

#include <cstddef>
#include <vector>

#include "instantnet/freeze/freeze.h"
#include "instantnet/nn/model.h"
#include "instantnet/runtime/int_model.h"

namespace instantnet::freeze {

/// Whether the layer takes pixels as they are: it stays at 32 bits and its input is the network's.
bool reads_pixels(const nn::SwitchableModel& model, const nn::Layer& layer);

/// The range the network was trained with, at each of `into.widths`, and what kind of codes it is
/// for. For layers that are quantized.
void trained_ranges(const nn::SwitchableModel& model, const nn::Layer& layer,
                    runtime::IntLayer& into);

/// Largest absolute value that each layer which stays at 32 bits and reads no pixels takes in while
/// the network runs over `images` at each of `bits`: [layer][width], 0 for all other layers, empty
/// when there are none. Error when `images` hands out nothing.
std::vector<std::vector<float>> measured_ranges(const nn::SwitchableModel& model,
                                                const std::vector<int>& bits, const Images& images,
                                                int threads);

}  // namespace instantnet::freeze
