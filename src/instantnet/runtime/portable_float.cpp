// The portable float32 convolution. Every sum runs over the window's taps in the order of the
// weights, from the first to the last, whatever else changes.
#include <algorithm>
#include <cstring>

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {
namespace {

constexpr int kLanes = 16;  // output channels side by side
constexpr int kPixels = 4;

int64_t lane_blocks(const ConvShape& shape) { return (shape.out_channels + kLanes - 1) / kLanes; }

bool by_channel(const ConvShape& shape) { return shape.depthwise(); }

/// Where tap (r, s) of output pixel (y, x) is.
const float* tap(const ConvShape& shape, const View& view, const std::byte* arena, int64_t y,
                 int64_t x, int64_t r, int64_t s) {
  return view.pixel<float>(arena, y * shape.stride + r * shape.dilation - shape.padding,
                           x * shape.stride + s * shape.dilation - shape.padding);
}

/// Scale, shift, clamp, addend, clamp of channels [begin, begin + count) of one pixel.
void finish(const FloatCall& call, int64_t y, int64_t x, int64_t begin, int64_t count,
            const float* sums, std::byte* arena) {
  float* out = call.output.pixel<float>(arena, y, x) + begin;
  const float *scale = call.scale + begin, *shift = call.shift + begin;
  for (int64_t i = 0; i < count; ++i)
    out[i] = std::min(std::max(sums[i] * scale[i] + shift[i], call.least), call.most);
  if (!call.has_addend) return;
  const float* addend = call.addend.pixel<float>(arena, y, x) + begin;
  for (int64_t i = 0; i < count; ++i)
    out[i] = std::min(std::max(out[i] + addend[i], call.add_least), call.add_most);
}

/// kPixels pixels times kLanes channels, all of one group.
struct Tile {
  float sums[kPixels][kLanes] = {};

  void add(const float* const* pixels, int64_t channels, const float* weights) {
    for (int64_t c = 0; c < channels; ++c, weights += kLanes)
      for (int i = 0; i < kPixels; ++i)
        for (int lane = 0; lane < kLanes; ++lane) sums[i][lane] += pixels[i][c] * weights[lane];
  }
};

/// One block of channels for pixels x .. x + count of a row.
void run_tile(const ConvShape& shape, const FloatCall& call, int64_t y, int64_t x, int64_t count,
              int64_t block, std::byte* arena) {
  Tile tile;
  const auto* weights =
      reinterpret_cast<const float*>(call.weights) + block * shape.taps() * kLanes;
  const float* pixels[kPixels];
  for (int64_t r = 0; r < shape.kernel_height; ++r)
    for (int64_t s = 0; s < shape.kernel_width; ++s, weights += shape.channels * kLanes) {
      for (int64_t i = 0; i < kPixels; ++i)
        pixels[i] = tap(shape, call.input, arena, y, x + std::min(i, count - 1), r, s);
      tile.add(pixels, shape.channels, weights);
    }
  const int64_t begin = block * kLanes;
  const int64_t channels = std::min<int64_t>(kLanes, shape.out_channels - begin);
  for (int64_t i = 0; i < count; ++i) finish(call, y, x + i, begin, channels, tile.sums[i], arena);
}

/// Channel by channel, kLanes at a time.
void depthwise_pixel(const ConvShape& shape, const FloatCall& call, int64_t y, int64_t x,
                     std::byte* arena) {
  const auto* weights = reinterpret_cast<const float*>(call.weights);
  const int64_t row = lane_blocks(shape) * kLanes;
  for (int64_t begin = 0; begin < shape.channels; begin += kLanes) {
    const int64_t count = std::min<int64_t>(kLanes, shape.channels - begin);
    float sums[kLanes] = {};
    for (int64_t r = 0; r < shape.kernel_height; ++r)
      for (int64_t s = 0; s < shape.kernel_width; ++s) {
        const float* from = tap(shape, call.input, arena, y, x, r, s) + begin;
        const float* w = weights + (r * shape.kernel_width + s) * row + begin;
        for (int64_t i = 0; i < count; ++i) sums[i] += from[i] * w[i];
      }
    finish(call, y, x, begin, count, sums, arena);
  }
}

/// Grouped convolutions other than depthwise: weights as given.
void grouped_pixel(const ConvShape& shape, const FloatCall& call, int64_t y, int64_t x,
                   std::byte* arena) {
  const auto* weights = reinterpret_cast<const float*>(call.weights);
  const int64_t each = shape.group_channels(), outputs = shape.out_channels / shape.groups;
  for (int64_t k = 0; k < shape.out_channels; ++k) {
    float sum = 0;
    for (int64_t r = 0; r < shape.kernel_height; ++r)
      for (int64_t s = 0; s < shape.kernel_width; ++s, weights += each) {
        const float* from = tap(shape, call.input, arena, y, x, r, s) + k / outputs * each;
        for (int64_t c = 0; c < each; ++c) sum += from[c] * weights[c];
      }
    finish(call, y, x, k, 1, &sum, arena);
  }
}

}  // namespace

size_t Kernels::float_packed_bytes(const ConvShape& shape) const {
  const int64_t channels = shape.groups == 1 || by_channel(shape) ? lane_blocks(shape) * kLanes
                                                                  : int64_t{shape.out_channels};
  return static_cast<size_t>(channels * shape.taps()) * sizeof(float);
}

void Kernels::float_pack(const ConvShape& shape, const float* weights, std::byte* packed) const {
  auto* to = reinterpret_cast<float*>(packed);
  const int64_t taps = shape.taps(), outputs = shape.out_channels;
  if (shape.groups != 1 && !by_channel(shape)) {
    std::copy_n(weights, outputs * taps, to);
    return;
  }
  // Lanes without a channel are zeros.
  if (outputs % kLanes != 0) std::memset(packed, 0, float_packed_bytes(shape));
  const int64_t block = shape.groups == 1 ? taps * kLanes : kLanes;
  const int64_t tap = shape.groups == 1 ? kLanes : lane_blocks(shape) * kLanes;
  for (int64_t k = 0; k < outputs; k += kLanes, to += block) {
    const int64_t lanes = std::min<int64_t>(kLanes, outputs - k);
    for (int64_t i = 0; i < taps; ++i)
      for (int64_t lane = 0; lane < lanes; ++lane)
        to[i * tap + lane] = weights[(k + lane) * taps + i];
  }
}

size_t Kernels::float_scratch_bytes(const ConvShape&) const { return 0; }

void Kernels::float_convolve(const ConvShape& shape, const FloatCall& call, const Part& part,
                             const Memory& memory) const {
  for (int64_t y = part.row_begin; y < part.row_end; ++y) {
    if (shape.groups != 1) {
      for (int64_t x = 0; x < shape.out_width; ++x)
        by_channel(shape) ? depthwise_pixel(shape, call, y, x, memory.arena)
                          : grouped_pixel(shape, call, y, x, memory.arena);
      continue;
    }
    for (int64_t k = part.channel_begin; k < part.channel_end; k += kLanes)
      for (int64_t x = 0; x < shape.out_width; x += kPixels)
        run_tile(shape, call, y, x, std::min<int64_t>(kPixels, shape.out_width - x), k / kLanes,
                 memory.arena);
  }
}

}  // namespace instantnet::runtime
