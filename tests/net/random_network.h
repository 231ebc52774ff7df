// Random small networks that pass check().
#pragma once

#include "instantnet/core/rng.h"
#include "instantnet/net/spec.h"

namespace instantnet {

/// A chain of random layers with residual sums, at most about 20 layers; every op and field occurs
/// for some seed.
NetworkSpec random_network(uint64_t seed);

}  // namespace instantnet
