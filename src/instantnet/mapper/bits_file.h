// A side file that holds layers at bit-widths of their own.
#pragma once

#include "instantnet/core/tree.h"
#include "instantnet/mapper/workload.h"

namespace instantnet::mapper {

/// A map "layer: bits", 1..16 or 32 (0: as the network runs), over what the network says itself.
/// Error with file and line for a layer that there is not, and other numbers.
void set_bits(NetworkLayers& network, const Tree& bits);

}  // namespace instantnet::mapper
