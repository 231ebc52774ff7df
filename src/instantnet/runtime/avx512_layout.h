// How AVX-512 kernels lay out weights.
#pragma once

#include <cstddef>
#include <cstdint>

#include "instantnet/runtime/kernel.h"
#include "instantnet/runtime/weight_form.h"

namespace instantnet::runtime::avx512 {

/// How one group's channels are cut: blocks of up to 64 outputs, inputs in steps of `step` channels
/// (4 bytes).
struct GroupLayout {
  int taps = 0, steps = 0;  // taps of the window, steps of a tap
  int out = 0, blocks = 0;  // outputs of a group, blocks of 64 of them
  int64_t block_bytes = 0;  // weights of a block
  int64_t group_bytes() const { return blocks * block_bytes; }
};

inline GroupLayout group_layout(const ConvShape& shape, int channels_a_step) {
  GroupLayout layout;
  layout.taps = shape.kernel_height * shape.kernel_width;
  layout.steps = (shape.group_channels() + channels_a_step - 1) / channels_a_step;
  layout.out = shape.out_channels / shape.groups;
  layout.blocks = (layout.out + 63) / 64;
  layout.block_bytes = int64_t{layout.taps} * layout.steps * 64 * 4;
  return layout;
}

}  // namespace instantnet::runtime::avx512
