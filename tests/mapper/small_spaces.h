// Random small layers and devices whose whole space of mappings can be tried.
#pragma once

#include <cstdint>
#include <string>

#include "instantnet/core/rng.h"
#include "instantnet/mapper/search.h"

namespace instantnet::mapper {

struct SmallSpace {
  LayerShape layer;
  Precision precision;
  Accelerator device;
  Factors factors = Factors::Any;
};

/// At least one mapping fits; at most `largest` mappings; 2 to `most_levels` levels, capacities and
/// bandwidths that matter.
SmallSpace small_space(Rng& rng, size_t most_levels, double largest);

/// random_device with capacities, bandwidths, a MAC unit and few tensors free to bypass.
Accelerator tight_device(Rng& rng, size_t most_levels);

std::string describe(const SmallSpace& space);

}  // namespace instantnet::mapper
