// The slow oracle: walks a mapping's loop nest, keeps real buffers, counts every access, and
// computes the layer's output. Nothing here is clever; the closed forms of cost.h must equal it
// exactly.
#pragma once

#include <cstdint>
#include <vector>

#include "instantnet/mapper/cost.h"

namespace instantnet::mapper {

struct Simulation {
  AccessCounts counts;
  /// (n, g, k, p, q) in this order, of integer weights and inputs drawn from `seed`.
  std::vector<int64_t> output;
  /// The same by a direct convolution.
  std::vector<int64_t> expected;
};

/// Small layers only: time and memory grow with the number of multiply-accumulates and tiles.
Simulation simulate(const LayerShape& layer, const Accelerator& device, const Mapping& mapping,
                    uint64_t seed = 1);

}  // namespace instantnet::mapper
