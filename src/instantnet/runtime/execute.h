// One step of a plan, or a part of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "instantnet/runtime/plan.h"

namespace instantnet::runtime {

/// An image as the caller has it: one of the two, (h, w, c).
struct Image {
  const uint8_t* bytes = nullptr;
  const float* floats = nullptr;  // for float32 plans: pixel / 255
};

/// Packed weights by layer.
using PackedWeights = std::vector<const std::byte*>;

/// What a step works with.
struct Work {
  const Kernels* kernels = nullptr;
  const PackedWeights* weights = nullptr;
  Image image;
  std::byte* arena = nullptr;
};

/// Fills the halos of what the step writes.
void fill_halos(const Step& step, std::byte* arena);

/// In how many parts `step` is best done by `threads` threads; 1 .. threads.
int part_count(const Step& step, int threads);
/// Part `number` of `count`; empty parts have row_begin == row_end.
Part part_of(const Step& step, int number, int count);

/// Computes a part. `scratch` has Plan::scratch_bytes.
void run_step(const Step& step, const Part& part, const Work& work, std::byte* scratch);

}  // namespace instantnet::runtime
