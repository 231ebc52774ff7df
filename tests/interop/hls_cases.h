// Networks and plans for tests of the HLS export, and a compiler to try what is written.
#pragma once

#include <string>
#include <vector>

#include "instantnet/core/rng.h"
#include "instantnet/interop/hls_export.h"
#include "instantnet/mapper/plan.h"
#include "instantnet/net/spec.h"

namespace instantnet::interop {

/// Everything a network can have, small: convolutions dense, grouped with a shuffle and depthwise,
/// a residual, both poolings, a classifier behind a flattened image.
NetworkSpec small_network();

/// A chain of random convolutions on small images, each with a window of its own.
NetworkSpec random_chain(Rng& rng, int layers);

/// A random mapping for every layer and bit-width on the device, priced, but not searched for.
mapper::MappingPlan random_plan(Rng& rng, const NetworkSpec& network, const std::vector<int>& bits,
                                const mapper::Accelerator& device);

/// What a program printed, and how it ended.
struct Outcome {
  int code = 0;
  std::string output;
};
/// Writes the design to a fresh folder, compiles it as one program with the flags of its Makefile
/// and `flags`, and runs it.
Outcome compile_and_run(const HlsDesign& design, const std::string& flags = "");

}  // namespace instantnet::interop
