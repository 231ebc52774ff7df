// The devices that come with the program, by kind; accelerator_presets() lists them all.
#pragma once

#include <vector>

#include "instantnet/mapper/accelerator.h"

namespace instantnet::mapper {

/// Three-level chips for comparisons: simple3, eyeriss.
std::vector<Accelerator> reference_presets();
/// The Eyeriss chip and the set-up of its paper: eyeriss-chip, eyeriss-isca16.
std::vector<Accelerator> eyeriss_presets();
/// In the manner of published ASICs: magnet, nvdla, tpu, shidiannao, bitfusion.
std::vector<Accelerator> asic_presets();
/// Boards: zc706, zu9, zu7.
std::vector<Accelerator> fpga_presets();

}  // namespace instantnet::mapper
