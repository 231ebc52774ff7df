// float32 convolutions by fused multiply-adds, with weights as the portable set packs them;
// additions of streams and their codes.
#pragma once

#include "instantnet/runtime/simd_epilogue.h"

namespace instantnet::runtime::simd {

/// Where windows begin, and where results and addends go: channel 0 of each pixel.
struct FloatPixels {
  const float* from[kMostPixels];
  float* to[kMostPixels];
  const float* addend[kMostPixels];
  int count = 0;
};

/// kBlock output channels of a call.
struct FloatWork {
  const ConvShape& shape;
  const FloatCall& call;
  int64_t channel = 0;  // the first
  int count = 0;        // of them
};

/// Scale, shift, clamp, addend, clamp of kBlock sums; as the portable set, operation by operation.
template <class V>
INSTANTNET_INLINE void finish_block(const FloatCall& call, const typename V::Float* sums,
                                    const float* scale, const float* shift, const float* addend,
                                    float* to) {
  INSTANTNET_UNROLL
  for (int v = 0; v < V::kVectors; ++v) {
    const int at = v * V::kLanes;
    typename V::Float y = V::float_add(V::float_multiply(sums[v], V::float_load(scale + at)),
                                       V::float_load(shift + at));
    y = V::float_clamp(y, call.least, call.most);
    if (addend != nullptr)
      y = V::float_clamp(V::float_add(y, V::float_load(addend + at)), call.add_least,
                         call.add_most);
    V::float_store(to + at, y);
  }
}

template <class V>
INSTANTNET_INLINE void finish_floats(const FloatWork& work, const FloatPixels& pixels, int p,
                                     const typename V::Float* sums) {
  const FloatCall& call = work.call;
  const float *scale = call.scale + work.channel, *shift = call.shift + work.channel;
  const float* addend = call.has_addend ? pixels.addend[p] + work.channel : nullptr;
  float* to = pixels.to[p] + work.channel;
  if (work.count == kBlock) return finish_block<V>(call, sums, scale, shift, addend, to);
  float scales[kBlock] = {}, shifts[kBlock] = {}, addends[kBlock] = {}, all[kBlock];
  std::copy_n(scale, work.count, scales);
  std::copy_n(shift, work.count, shifts);
  if (addend != nullptr) std::copy_n(addend, work.count, addends);
  finish_block<V>(call, sums, scales, shifts, addend != nullptr ? addends : nullptr, all);
  std::copy_n(all, work.count, to);
}

/// Every sum runs over the window's taps in the order of the weights, each product added without
/// rounding in between (the portable set rounds it): results of the two sets differ in the last
/// places.
template <class V, int kPixels>
void float_tile(const FloatWork& work, const FloatPixels& pixels) {
  const ConvShape& shape = work.shape;
  const View& input = work.call.input;
  const auto* weights =
      reinterpret_cast<const float*>(work.call.weights) + work.channel * shape.taps();
  typename V::Float sums[kPixels][V::kVectors];
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
  for (int v = 0; v < V::kVectors; ++v) sums[p][v] = V::float_zero();
  for (int64_t r = 0; r < shape.kernel_height; ++r)
    for (int64_t s = 0; s < shape.kernel_width; ++s) {
      const int64_t tap = (r * input.row_stride + s * input.pixel_stride) * shape.dilation;
      const float* from[kPixels];
      INSTANTNET_UNROLL
      for (int p = 0; p < kPixels; ++p) from[p] = pixels.from[p] + tap;
      for (int64_t c = 0; c < shape.channels; ++c, weights += kBlock) {
        typename V::Float w[V::kVectors];
        INSTANTNET_UNROLL
        for (int v = 0; v < V::kVectors; ++v) w[v] = V::float_load(weights + v * V::kLanes);
        INSTANTNET_UNROLL
        for (int p = 0; p < kPixels; ++p) {
          const typename V::Float x = V::float_set1(from[p][c]);
          INSTANTNET_UNROLL
          for (int v = 0; v < V::kVectors; ++v) sums[p][v] = V::fma(x, w[v], sums[p][v]);
        }
      }
    }
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p)
    if (p < pixels.count) finish_floats<V>(work, pixels, p, sums[p]);
}

/// Each channel its own sum.
template <class V, int kPixels>
void float_column_tile(const FloatWork& work, const FloatPixels& pixels) {
  const ConvShape& shape = work.shape;
  const View& input = work.call.input;
  const int64_t row = (shape.channels + kBlock - 1) / kBlock * kBlock;
  const auto* weights = reinterpret_cast<const float*>(work.call.weights) + work.channel;
  typename V::Float sums[kPixels][V::kVectors];
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
  for (int v = 0; v < V::kVectors; ++v) sums[p][v] = V::float_zero();
  for (int64_t r = 0; r < shape.kernel_height; ++r)
    for (int64_t s = 0; s < shape.kernel_width; ++s, weights += row) {
      const int64_t tap =
          (r * input.row_stride + s * input.pixel_stride) * shape.dilation + work.channel;
      INSTANTNET_UNROLL
      for (int v = 0; v < V::kVectors; ++v) {
        const typename V::Float w = V::float_load(weights + v * V::kLanes);
        INSTANTNET_UNROLL
        for (int p = 0; p < kPixels; ++p)
          sums[p][v] = V::fma(V::float_load(pixels.from[p] + tap + v * V::kLanes), w, sums[p][v]);
      }
    }
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p)
    if (p < pixels.count) finish_floats<V>(work, pixels, p, sums[p]);
}

/// All output pixels of the part, one tile after the other. Places of a tile that is not full
/// repeat its last pixel; only `count` are written.
template <class V>
void over_float_pixels(const FloatWork& work, const Part& part,
                       void (*tile)(const FloatWork&, const FloatPixels&), int pixels_at_once,
                       std::byte* arena) {
  const ConvShape& shape = work.shape;
  const FloatCall& call = work.call;
  const std::byte* from = arena;
  FloatPixels pixels;
  for (int64_t y = part.row_begin; y < part.row_end; ++y)
    for (int64_t x = 0; x < shape.out_width; ++x) {
      const int p = pixels.count++;
      pixels.from[p] = call.input.pixel<float>(from, y * shape.stride - shape.padding,
                                               x * shape.stride - shape.padding);
      pixels.to[p] = call.output.pixel<float>(arena, y, x);
      if (call.has_addend) pixels.addend[p] = call.addend.pixel<float>(from, y, x);
      if (pixels.count < pixels_at_once) continue;
      tile(work, pixels);
      pixels.count = 0;
    }
  if (pixels.count == 0) return;
  for (int p = std::max(pixels.count, 1); p < pixels_at_once; ++p)
    pixels.from[p] = pixels.from[p - 1];
  tile(work, pixels);
}

template <class V>
void float_convolve(const ConvShape& shape, const FloatCall& call, const Part& part,
                    std::byte* arena) {
  const bool one = (part.row_end - part.row_begin) * shape.out_width == 1;
  for (int64_t k = part.channel_begin; k < part.channel_end; k += kBlock) {
    const FloatWork work{shape, call, k,
                         static_cast<int>(std::min<int64_t>(kBlock, part.channel_end - k))};
    if (shape.groups != 1)
      over_float_pixels<V>(work, part, float_column_tile<V, V::kFloatColumnPixels>,
                           V::kFloatColumnPixels, arena);
    else if (one)
      over_float_pixels<V>(work, part, float_tile<V, 1>, 1, arena);
    else
      over_float_pixels<V>(work, part, float_tile<V, V::kFloatPixels>, V::kFloatPixels, arena);
  }
}

template <class V>
void combine(const CombineCall& call, const Part& part, std::byte* arena) {
  const View& shape = call.inputs[0];
  for (int64_t first = 0; first < shape.channels; first += kBlock) {
    const int count = static_cast<int>(std::min<int64_t>(kBlock, shape.channels - first));
    ReaderNumbers<V> readers;
    readers.make(call.codes, 1, padded(shape.channels), first, count);
    for (int y = part.row_begin; y < part.row_end; ++y)
      for (int x = 0; x < shape.width; ++x) {
        typename V::Int values[V::kVectors];
        INSTANTNET_UNROLL
        for (int v = 0; v < V::kVectors; ++v) {
          values[v] = V::zero();
          for (const View& input : call.inputs)
            values[v] =
                V::add(values[v], V::load(element_at(input, arena, y, x, first + v * V::kLanes)));
          values[v] = V::clamp(values[v], call.least, call.most);
        }
        if (call.store_stream)
          store_numbers<V, V::kVectors>(element_at(call.stream, arena, y, x, first), values, count);
        readers.template write<V::kVectors, false>(values, values, 0, y, x, arena);
      }
  }
}

}  // namespace instantnet::runtime::simd
