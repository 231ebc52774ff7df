// How the kernels of simd_*.h lay out weights and images. simd_*.h are templates over a register
// type (avx2_vector.h, neon_vector.h); a set of kernels is one .cpp that includes this header and
// what else it needs first, and the templates where they are compiled for its instructions.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "instantnet/runtime/box_sums.h"
#include "instantnet/runtime/kernel.h"
#include "instantnet/runtime/unroll.h"
#include "instantnet/runtime/weight_form.h"

namespace instantnet::runtime::simd {

/// Channels that are worked on at once.
constexpr int kBlock = 16;
/// Most output pixels that are.
constexpr int kMostPixels = 8;

/// The largest number that weights are packed as.
inline int largest_weight(const ConvProblem& problem) {
  return std::min((1 << problem.weight_bits) - 1, 1 << 15);
}

/// Whether 16-bit kernels split codes into low and high bytes: products of larger ones, signed, do
/// not fit.
inline bool two_planes(const ConvProblem& problem) { return problem.input.bits > 12; }

/// Pairs of products of 16-bit kernels that fit 32 bits; after these, sums must move to 64 bits
/// (wide only).
inline int word_steps(const ConvProblem& problem) {
  const int64_t x = two_planes(problem) ? 255 : problem.input.largest();
  return static_cast<int>(
      std::clamp<int64_t>(INT32_MAX / (2 * x * largest_weight(problem)), 1, 1 << 20));
}

/// How one group's channels are cut: blocks of kBlock outputs, inputs in steps of 4 bytes.
struct GroupLayout {
  int taps = 0, steps = 0;  // taps of the window, steps of a tap
  int out = 0, blocks = 0;  // outputs of a group, blocks of them
  int64_t block_bytes = 0;  // weights of a block
  int64_t group_bytes() const { return blocks * block_bytes; }
};

inline GroupLayout group_layout(const ConvShape& shape, int channels_a_step) {
  GroupLayout layout;
  layout.taps = shape.kernel_height * shape.kernel_width;
  layout.steps = (shape.group_channels() + channels_a_step - 1) / channels_a_step;
  layout.out = shape.out_channels / shape.groups;
  layout.blocks = (layout.out + kBlock - 1) / kBlock;
  layout.block_bytes = int64_t{layout.taps} * layout.steps * kBlock * 4;
  return layout;
}

inline int depthwise_blocks(const ConvShape& shape) {
  return (shape.channels + kBlock - 1) / kBlock;
}

/// Columns of an image with its padding.
inline int image_columns(const ConvShape& shape) { return shape.width + 2 * shape.padding; }

/// Rows that windows span.
inline int ring_rows(const ConvShape& shape) {
  return (shape.kernel_height - 1) * shape.dilation + 1;
}

/// How a block's rows and weights lie: `bytes` are the operand of one product of kBlock channels.
struct ColumnLayout {
  int taps = 1, products = 1;  // taps of a product, products of a row of the window
  int64_t bytes = 0;
};

/// Whether float_convolve takes the shape: one group, or depthwise.
inline bool takes_float(const ConvShape& shape) { return shape.groups == 1 || shape.depthwise(); }

/// An image of bytes, widened to 16 bits in scratch.
struct WideImage {
  int64_t row = 0, pixel = 0;  // elements
  int64_t bytes = 0;
};

inline WideImage wide_image(const ConvShape& shape) {
  WideImage image;
  image.pixel = (shape.channels + 3) / 4 * 4;
  image.row = image.pixel * (shape.width + 2 * shape.padding);
  image.bytes = (image.row * (shape.height + 2 * shape.padding) * 2 + 64 + 63) / 64 * 64;
  return image;
}

inline std::byte* element_at(const View& view, std::byte* arena, int y, int x, int64_t channel) {
  return arena + view.offset +
         (y * view.row_stride + x * view.pixel_stride + channel) * bytes_of(view.element);
}

/// Where the input's pixels and a window's positions lie, in bytes.
struct Input {
  const std::byte* origin = nullptr;  // pixel (0, 0)
  int64_t row = 0, pixel = 0;
};

/// Output pixels of a tile: where their windows begin, and which they are.
struct Pixels {
  const std::byte* from[kMostPixels];
  int y[kMostPixels], x[kMostPixels];
  int count = 0;
};

/// What makes sums of packed weights those of equations (3) and (4), besides a constant a channel.
struct SumForm {
  bool adds_box = false;  // sum = (sum << scale_shift) + (stored << offset_shift)
  int scale_shift = 0, offset_shift = 0;
  int zero_taps = 0;  // the stored code of zero, times the window's taps
  int sum_shift = 0;
};

inline SumForm sum_form(const ConvProblem& problem, const WeightForm& weights,
                        const Epilogue& epilogue) {
  SumForm form;
  form.adds_box = weights.needs_box();
  form.scale_shift = weights.scale == 2 ? 1 : 0;
  while (weights.offset >> (form.offset_shift + 1) != 0) ++form.offset_shift;  // a power of two
  form.zero_taps = problem.input.zero * static_cast<int>(problem.shape.taps());
  form.sum_shift = (epilogue.to_stream ? epilogue.requant : epilogue.codes[0].requant).sum_shift;
  return form;
}

/// The constant of one output channel: of whole weights' sum, and of what was taken from each code
/// before it was multiplied.
inline int64_t correction_of(const ConvProblem& problem, const WeightForm& form, int64_t whole_sum,
                             int code_offset) {
  // W = scale w + offset.
  const int64_t packed_sum =
      form.needs_box() ? whole_sum - problem.shape.taps() * form.offset : whole_sum;
  return -problem.input.zero * whole_sum + code_offset * packed_sum;
}

/// Corrections are 32-bit numbers, or 64-bit ones for wide sums.
inline void store_correction(const ConvProblem& problem, std::byte* corrections, int64_t at,
                             int64_t value) {
  if (problem.wide) {
    reinterpret_cast<int64_t*>(corrections)[at] = value;
  } else {
    reinterpret_cast<uint32_t*>(corrections)[at] = static_cast<uint32_t>(value);
  }
}

}  // namespace instantnet::runtime::simd
