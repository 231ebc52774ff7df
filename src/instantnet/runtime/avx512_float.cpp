#include "instantnet/runtime/avx512_float.h"

#include <immintrin.h>

#include <algorithm>

#include "instantnet/runtime/avx512_target.h"

namespace instantnet::runtime::avx512 {

bool takes_float(const ConvShape& shape) { return shape.groups == 1 || shape.depthwise(); }

INSTANTNET_AVX512_BEGIN

namespace {

constexpr int kLanes = 16;
constexpr int kMostPixels = 14;
constexpr int kMostVectors = 4;

/// Pixels of a tile, so that sums, weights and one input fit the 32 registers.
constexpr int pixels_of(int vectors) {
  constexpr int kPixels[kMostVectors] = {14, 12, 8, 6};
  return kPixels[vectors - 1];
}

/// Where windows begin, and where results and addends go: channel 0 of each pixel.
struct Pixels {
  const float* from[kMostPixels];
  float* to[kMostPixels];
  const float* addend[kMostPixels];
  int count = 0;
};

/// What a tile needs besides its pixels.
struct Work {
  const ConvShape& shape;
  const FloatCall& call;
  int64_t channel = 0;  // first output channel
  int count = 0;        // output channels, up to 64
};

inline __mmask16 lanes_of(int count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xFFFF : (1 << std::max(count, 0)) - 1);
}

/// Scale, shift, clamp, addend, clamp; as the portable set, operation by operation.
inline void finish(const Work& work, const Pixels& pixels, int p, int64_t channel, __mmask16 lanes,
                   __m512 sum) {
  const FloatCall& call = work.call;
  const __m512 scale = _mm512_maskz_loadu_ps(lanes, call.scale + channel);
  const __m512 shift = _mm512_maskz_loadu_ps(lanes, call.shift + channel);
  __m512 y = _mm512_add_ps(_mm512_mul_ps(sum, scale), shift);
  y = _mm512_min_ps(_mm512_max_ps(y, _mm512_set1_ps(call.least)), _mm512_set1_ps(call.most));
  if (call.has_addend) {
    y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(lanes, pixels.addend[p] + channel));
    y = _mm512_min_ps(_mm512_max_ps(y, _mm512_set1_ps(call.add_least)),
                      _mm512_set1_ps(call.add_most));
  }
  // A store with a mask takes many times as long as one without.
  if (lanes == 0xFFFF)
    _mm512_storeu_ps(pixels.to[p] + channel, y);
  else
    _mm512_mask_storeu_ps(pixels.to[p] + channel, lanes, y);
}

/// kPixels pixels by kVectors x 16 output channels.
template <int kPixels, int kVectors>
void dense_tile(const Work& work, const Pixels& pixels) {
  const ConvShape& shape = work.shape;
  const int64_t block = shape.taps() * kLanes;  // weights of 16 output channels
  const auto* weights =
      reinterpret_cast<const float*>(work.call.weights) + work.channel / kLanes * block;
  __m512 sums[kPixels][kVectors];
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
  for (int v = 0; v < kVectors; ++v) sums[p][v] = _mm512_setzero_ps();
  const View& input = work.call.input;
  for (int64_t r = 0; r < shape.kernel_height; ++r)
    for (int64_t s = 0; s < shape.kernel_width; ++s) {
      const int64_t tap = (r * input.row_stride + s * input.pixel_stride) * shape.dilation;
      const float* from[kPixels];
      INSTANTNET_UNROLL
      for (int p = 0; p < kPixels; ++p) from[p] = pixels.from[p] + tap;
      for (int64_t c = 0; c < shape.channels; ++c, weights += kLanes) {
        __m512 w[kVectors];
        INSTANTNET_UNROLL
        for (int v = 0; v < kVectors; ++v) w[v] = _mm512_load_ps(weights + v * block);
        INSTANTNET_UNROLL
        for (int p = 0; p < kPixels; ++p) {
          const __m512 x = _mm512_set1_ps(from[p][c]);
          INSTANTNET_UNROLL
          for (int v = 0; v < kVectors; ++v) sums[p][v] = _mm512_fmadd_ps(x, w[v], sums[p][v]);
        }
      }
    }
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p) {
    if (p < pixels.count) {
      INSTANTNET_UNROLL
      for (int v = 0; v < kVectors; ++v)
        finish(work, pixels, p, work.channel + v * kLanes, lanes_of(work.count - v * kLanes),
               sums[p][v]);
    }
  }
}

/// kPixels pixels by 16 channels, each its own sum.
template <int kPixels>
void depthwise_tile(const Work& work, const Pixels& pixels) {
  const ConvShape& shape = work.shape;
  const View& input = work.call.input;
  const int64_t row = (shape.channels + kLanes - 1) / kLanes * kLanes;
  const auto* weights = reinterpret_cast<const float*>(work.call.weights) + work.channel;
  const __mmask16 lanes = lanes_of(work.count);
  __m512 sums[kPixels];
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p) sums[p] = _mm512_setzero_ps();
  for (int64_t r = 0; r < shape.kernel_height; ++r)
    for (int64_t s = 0; s < shape.kernel_width; ++s, weights += row) {
      const int64_t tap =
          (r * input.row_stride + s * input.pixel_stride) * shape.dilation + work.channel;
      const __m512 w = _mm512_load_ps(weights);
      INSTANTNET_UNROLL
      for (int p = 0; p < kPixels; ++p)
        sums[p] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(lanes, pixels.from[p] + tap), w, sums[p]);
    }
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p)
    if (p < pixels.count) finish(work, pixels, p, work.channel, lanes, sums[p]);
}

using Tile = void (*)(const Work&, const Pixels&);

Tile dense_of(int vectors) {
  static constexpr Tile kTiles[kMostVectors] = {
      dense_tile<pixels_of(1), 1>, dense_tile<pixels_of(2), 2>, dense_tile<pixels_of(3), 3>,
      dense_tile<pixels_of(4), 4>};
  return kTiles[vectors - 1];
}

/// All output pixels of the part, one tile after the other. Places of a tile that is not full
/// repeat its last pixel; only `count` are written.
void over_pixels(const Work& work, const Part& part, Tile tile, int pixels_at_once,
                 std::byte* arena) {
  const ConvShape& shape = work.shape;
  const FloatCall& call = work.call;
  Pixels pixels;
  for (int64_t y = part.row_begin; y < part.row_end; ++y)
    for (int64_t x = 0; x < shape.out_width; ++x) {
      const int p = pixels.count++;
      pixels.from[p] = call.input.pixel<float>(static_cast<const std::byte*>(arena),
                                               y * shape.stride - shape.padding,
                                               x * shape.stride - shape.padding);
      pixels.to[p] = call.output.pixel<float>(arena, y, x);
      if (call.has_addend)
        pixels.addend[p] = call.addend.pixel<float>(static_cast<const std::byte*>(arena), y, x);
      if (pixels.count < pixels_at_once) continue;
      tile(work, pixels);
      pixels.count = 0;
    }
  if (pixels.count == 0) return;
  for (int p = pixels.count; p < pixels_at_once; ++p) pixels.from[p] = pixels.from[p - 1];
  tile(work, pixels);
}

}  // namespace

void float_convolve(const ConvShape& shape, const FloatCall& call, const Part& part,
                    std::byte* arena) {
  constexpr int kDepthwisePixels = 8;
  const int most = shape.groups == 1 ? kMostVectors * kLanes : kLanes;
  for (int64_t k = part.channel_begin; k < part.channel_end; k += most) {
    const int count = static_cast<int>(std::min<int64_t>(most, part.channel_end - k));
    const Work work{shape, call, k, count};
    const int vectors = (count + kLanes - 1) / kLanes;
    if (shape.groups == 1)
      over_pixels(work, part, dense_of(vectors), pixels_of(vectors), arena);
    else
      over_pixels(work, part, depthwise_tile<kDepthwisePixels>, kDepthwisePixels, arena);
  }
}

INSTANTNET_AVX512_END

}  // namespace instantnet::runtime::avx512
