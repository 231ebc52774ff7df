// Random small layers, devices and mappings for comparing fast code with slow code.
#pragma once

#include <string>

#include "instantnet/core/rng.h"
#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/mapping.h"

namespace instantnet::mapper {

/// All kinds: dense, 1 x 1, fully connected, depthwise, grouped; strides, dilations, batches; about
/// `largest` multiply-accumulates at most.
LayerShape random_layer(Rng& rng, int64_t largest = 600);

/// Mostly rows and columns: for windows that overlap, slide and are spread over arrays.
LayerShape random_window_layer(Rng& rng);

/// 2 to `most_levels` levels with fan-outs anywhere, multicast and reduction on or off, every level
/// but the outermost free to keep anything, unlimited in space.
Accelerator random_device(Rng& rng, size_t most_levels = 5);

/// A device of the same structure whose levels hold anything: for mappings that need not fit.
Accelerator unlimited(Accelerator device);

/// Covers the layer. At most `largest_array` multipliers. Perfect or not, loops longer than needed,
/// loops repeated within a level (so that some have no Nest), bypass where the device allows it.
Mapping random_mapping(Rng& rng, const LayerShape& layer, const Accelerator& device,
                       int64_t largest_array = 24);

/// Output rows over columns and filter rows over rows of one fan-out, made wide enough; the rest
/// anywhere.
Mapping random_window_mapping(Rng& rng, const LayerShape& layer, Accelerator& device);

/// All of a case in one text, for messages.
std::string describe(const LayerShape& layer, const Accelerator& device, const Mapping& mapping);

}  // namespace instantnet::mapper
