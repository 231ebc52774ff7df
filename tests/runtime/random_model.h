// Random integer models and images for tests.
#pragma once

#include <cstdint>
#include <vector>

#include "instantnet/core/rng.h"
#include "instantnet/net/spec.h"
#include "instantnet/runtime/int_model.h"

namespace instantnet::runtime {

/// What the random numbers of a model are like.
struct RandomModelOptions {
  std::vector<int> bits = {2, 3, 4, 5, 6, 7, 8, 12, 16};
  bool floats = false;  // also 32 bits
  double sbm = 0.5;     // probability of the lattice, by layer (layers fixed to 32 bits are nested)
  /// All codes, ranges and images at their ends, so that sums come as close to their bounds as can
  /// be.
  bool extreme = false;
  /// Inputs as a trained network has them: pixels into the first layers, unsigned codes behind
  /// activation functions and signed ones elsewhere. Otherwise they are drawn.
  bool trained_inputs = false;
};

/// A model of this network that passes check(); activations of about 1.
IntModel random_model(const NetworkSpec& spec, uint64_t seed,
                      const RandomModelOptions& options = {});

/// Pixels (h, w, c).
std::vector<uint8_t> random_image(const NetworkSpec& spec, uint64_t seed);

}  // namespace instantnet::runtime
