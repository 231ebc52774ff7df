// Convolutions over all channels of a group, by dot products of bytes or of 16 bits.
#pragma once

#include "instantnet/runtime/simd_box.h"
#include "instantnet/runtime/simd_epilogue.h"
#include "instantnet/runtime/simd_pack.h"

namespace instantnet::runtime::simd {

/// Byte codes times byte weights.
template <class V>
bool takes_bytes(const ConvProblem& problem) {
  if (problem.weight_bits > 8 || problem.input.bits > 8 || problem.wide) return false;
  // Numbers of 8 bits are packed less 128; a bound for both.
  return V::byte_steps(problem.input.largest(), largest_weight(problem)) >= V::kLeastByteSteps;
}

template <class V>
int channels_a_step(const ConvProblem& problem) {
  return takes_bytes<V>(problem) ? 4 : 2;
}

template <class V>
WeightForm dense_form(const ConvProblem& problem) {
  return weight_form(problem.lattice, problem.weight_bits, takes_bytes<V>(problem) ? 8 : 16);
}

template <class V>
bool dense_needs_box(const ConvProblem& problem) {
  return problem.box || dense_form<V>(problem).needs_box();
}

/// Byte codes are widened to 16 bits in scratch before 16-bit kernels read them.
template <class V>
bool dense_widens(const ConvProblem& problem) {
  return !takes_bytes<V>(problem) && problem.input.element() == Element::U8;
}

/// The weights, and a number an output channel.
template <class V>
size_t dense_packed_bytes(const ConvProblem& problem) {
  const GroupLayout layout = group_layout(problem.shape, channels_a_step<V>(problem));
  return static_cast<size_t>(problem.shape.groups * layout.group_bytes()) +
         static_cast<size_t>(problem.shape.groups * layout.blocks * kBlock) * sizeof(int64_t);
}

template <class V>
size_t dense_scratch_bytes(const ConvProblem& problem) {
  size_t bytes = dense_needs_box<V>(problem) ? box_scratch_bytes(problem.shape) : 0;
  if (dense_widens<V>(problem)) bytes += static_cast<size_t>(wide_image(problem.shape).bytes);
  return bytes;
}

// ---- Packing.

template <class V, class Number>
void dense_pack_as(const ConvProblem& problem, const WeightSource& weights, std::byte* packed) {
  const ConvShape& shape = problem.shape;
  const GroupLayout layout = group_layout(shape, kStepNumbers<Number>);
  const WeightForm form = dense_form<V>(problem);
  std::byte* corrections = packed + shape.groups * layout.group_bytes();
  std::vector<uint16_t> codes(static_cast<size_t>(shape.taps()));
  std::vector<Number> numbers(static_cast<size_t>(shape.taps()));
  for (int k = 0; k < shape.out_channels; ++k) {
    const int group = k / layout.out, in_group = k % layout.out;
    const int block = in_group / kBlock, lane = in_group % kBlock;
    weights.narrow(problem.weight_bits, k * shape.taps(), shape.taps(), codes.data());
    const int64_t sum = pack_numbers<V>(problem, form, codes.data(), shape.taps(), numbers.data());
    const int64_t place = int64_t{group} * layout.blocks + block;
    const int vectors = (std::min(kBlock, layout.out - block * kBlock) + V::kLanes - 1) / V::kLanes;
    pack_lane<V>(layout, numbers.data(), shape.group_channels(), lane % V::kLanes,
                 int64_t{4} * V::kLanes * vectors,
                 packed + place * layout.block_bytes + lane / V::kLanes * 4 * V::kLanes);
    store_correction(problem, corrections, place * kBlock + lane,
                     correction_of(problem, form, sum, sizeof(Number) == 1 ? V::kCodeOffset : 0));
  }
}

template <class V>
void dense_pack(const ConvProblem& problem, const WeightSource& weights, std::byte* packed) {
  std::memset(packed, 0, dense_packed_bytes<V>(problem));
  if (takes_bytes<V>(problem))
    dense_pack_as<V, int8_t>(problem, weights, packed);
  else
    dense_pack_as<V, int16_t>(problem, weights, packed);
}

// ---- Multiplying.

/// What stays the same for all tiles of a block of channels.
template <class V>
struct Block {
  const ConvProblem& problem;
  const GroupLayout& layout;
  const std::byte* weights;
  const std::byte* corrections;  // of the block's channels
  const int64_t* taps;           // bytes from a pixel to each window position
  SumForm form;
  const BoxSums* boxes;  // null: nothing needs them
};

/// One step of all pixels.
template <class V, int kPixels, int kVectors>
INSTANTNET_INLINE void add_step(Registers<V, kPixels, kVectors>& sums, const std::byte* const* from,
                                int64_t at, const std::byte* weights) {
  typename V::Int w[kVectors];
  INSTANTNET_UNROLL
  for (int v = 0; v < kVectors; ++v) w[v] = V::load(weights + 4 * V::kLanes * v);
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p) {
    const typename V::Bytes codes = V::load_bytes(from[p] + at);
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) V::template dot_bytes<0>(sums.of[p][v], codes, w[v]);
  }
}

/// Step kStep of the four at `codes`.
template <class V, int kPixels, int kVectors, int kStep>
INSTANTNET_INLINE void add_one_of_four(Registers<V, kPixels, kVectors>& sums,
                                       const typename V::Bytes* codes, const std::byte* weights) {
  INSTANTNET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const typename V::Int w = V::load(weights + 4 * V::kLanes * (kStep * kVectors + v));
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) V::template dot_bytes<kStep>(sums.of[p][v], codes[p], w);
  }
}

/// Adds sums to the tile, in 32 bits, and clears them.
template <class V, int kPixels, int kVectors>
INSTANTNET_INLINE void flush_bytes(Registers<V, kPixels, kVectors>& sums,
                                   Tile<V, kPixels, kVectors>& tile) {
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
  for (int v = 0; v < kVectors; ++v)
    tile.sum[p][v] = V::add(tile.sum[p][v], V::byte_sum(sums.of[p][v]));
  sums.clear();
}

/// Sets the tile to the sums of byte products; never more than 32 bits.
template <class V, int kPixels, int kVectors>
INSTANTNET_INLINE void sum_bytes(Tile<V, kPixels, kVectors>& tile, const std::byte* const* pixels,
                                 const int64_t* taps, const GroupLayout& layout, int most_steps,
                                 const std::byte* weights) {
  constexpr int kStepBytes = 4 * V::kLanes * kVectors;
  Registers<V, kPixels, kVectors> sums;
  sums.clear();
  tile.clear();
  int room = most_steps;
  for (int tap = 0; tap < layout.taps; ++tap) {
    const std::byte* from[kPixels];
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) from[p] = pixels[p] + taps[tap];
    for (int step = 0; step < layout.steps;) {
      int end = layout.steps;
      if constexpr (V::kBytesWiden) {
        end = std::min(layout.steps, step + room);
        room -= end - step;
      }
      if constexpr (V::kStepsAtOnce == 4) {
        for (; step + 4 <= end; step += 4, weights += 4 * kStepBytes) {
          typename V::Bytes codes[kPixels];
          INSTANTNET_UNROLL
          for (int p = 0; p < kPixels; ++p) codes[p] = V::load_bytes(from[p] + 4 * step);
          add_one_of_four<V, kPixels, kVectors, 0>(sums, codes, weights);
          add_one_of_four<V, kPixels, kVectors, 1>(sums, codes, weights);
          add_one_of_four<V, kPixels, kVectors, 2>(sums, codes, weights);
          add_one_of_four<V, kPixels, kVectors, 3>(sums, codes, weights);
        }
      }
      for (; step < end; ++step, weights += kStepBytes)
        add_step(sums, from, int64_t{4} * step, weights);
      if constexpr (V::kBytesWiden) {
        if (room > 0) continue;
        flush_bytes(sums, tile);
        room = most_steps;
      }
    }
  }
  flush_bytes(sums, tile);
}

/// 16-bit products of one tap's steps [begin, end): codes as they are, or their low and high bytes
/// apart.
template <class V, int kPixels, int kVectors, bool kTwoPlanes>
INSTANTNET_INLINE void add_words(Tile<V, kPixels, kVectors>& low, Tile<V, kPixels, kVectors>& high,
                                 const std::byte* const* from, int begin, int end,
                                 const std::byte* weights) {
  constexpr int kRegister = 4 * V::kLanes;
  Registers<V, kPixels, kVectors> lows, highs;
  lows.load(low);
  if constexpr (kTwoPlanes) highs.load(high);
  weights += int64_t{kRegister} * kVectors * begin;
  for (int step = begin; step < end; ++step, weights += kRegister * kVectors) {
    typename V::Int w[kVectors];
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) w[v] = V::load(weights + kRegister * v);
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) {
      const typename V::Words codes = V::load_words(from[p] + 4 * step);
      if constexpr (kTwoPlanes) {
        const typename V::Words lower = V::low_byte(codes), upper = V::high_byte(codes);
        INSTANTNET_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          V::dot_words(lows.of[p][v], lower, w[v]);
          V::dot_words(highs.of[p][v], upper, w[v]);
        }
      } else {
        INSTANTNET_UNROLL
        for (int v = 0; v < kVectors; ++v) V::dot_words(lows.of[p][v], codes, w[v]);
      }
    }
  }
  lows.store(low);
  if constexpr (kTwoPlanes) highs.store(high);
}

/// A tile's sums, of 32 or 64 bits, to the epilogue.
template <class V, bool kBox, bool kDirect, class Sums>
INSTANTNET_INLINE void finish_tile_as(const Sums& tile, const Block<V>& block, const Pixels& pixels,
                                      const BlockEpilogue<V>& epilogue, std::byte* arena) {
  constexpr int kVectors = Sums::kTileVectors;
  for (int p = 0; p < pixels.count; ++p) {
    typename V::Int stored[kVectors];
    const int box = block.boxes != nullptr ? block.boxes->at(pixels.y[p], pixels.x[p]) : 0;
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) stored[v] = V::set1(box);
    if constexpr (kDirect)
      finish_pixel<V, kVectors, false, true>(tile.sum[p], stored, block.form, block.corrections,
                                             pixels.y[p], pixels.x[p], epilogue, arena);
    else
      finish_pixel<V, kVectors, kBox>(tile.sum[p], stored, block.form, block.corrections,
                                      pixels.y[p], pixels.x[p], epilogue, arena);
  }
}

template <class V, bool kBox, int kPixels, int kVectors>
INSTANTNET_INLINE void finish_tile(const Tile<V, kPixels, kVectors>& tile, const Block<V>& block,
                                   const Pixels& pixels, const BlockEpilogue<V>& epilogue,
                                   std::byte* arena) {
  if constexpr (!kBox) {
    if (epilogue.is_direct(kVectors))
      return finish_tile_as<V, false, true>(tile, block, pixels, epilogue, arena);
  }
  finish_tile_as<V, kBox, false>(tile, block, pixels, epilogue, arena);
}

template <class V, int kPixels, int kVectors, bool kTwoPlanes, bool kBox>
void words_tile(const Block<V>& block, const Pixels& pixels, const BlockEpilogue<V>& epilogue,
                std::byte* arena) {
  Tile<V, kPixels, kVectors> low, high;
  low.clear();
  high.clear();
  const bool is_wide = block.problem.wide;
  WideTile<V, kPixels, kVectors> wide;
  if (is_wide) wide.clear();
  const int most_steps = word_steps(block.problem);
  const std::byte* weights = block.weights;
  int room = most_steps;
  for (int tap = 0; tap < block.layout.taps; ++tap) {
    const std::byte* from[kPixels];
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) from[p] = pixels.from[p] + block.taps[tap];
    for (int step = 0; step < block.layout.steps;) {
      const int end = is_wide ? std::min(block.layout.steps, step + room) : block.layout.steps;
      add_words<V, kPixels, kVectors, kTwoPlanes>(low, high, from, step, end, weights);
      room -= end - step;
      step = end;
      if (!is_wide || room > 0) continue;
      wide.take(low, 0);
      if (kTwoPlanes) wide.take(high, 8);
      room = most_steps;
    }
    weights += int64_t{4} * V::kLanes * kVectors * block.layout.steps;
  }
  if (is_wide) {
    wide.take(low, 0);
    if (kTwoPlanes) wide.take(high, 8);
    return finish_tile_as<V, kBox, false>(wide, block, pixels, epilogue, arena);
  }
  if (kTwoPlanes) add_high<V>(low, high);
  finish_tile<V, kBox>(low, block, pixels, epilogue, arena);
}

template <class V, int kPixels, int kVectors, bool kBox>
void bytes_tile(const Block<V>& block, const Pixels& pixels, const BlockEpilogue<V>& epilogue,
                std::byte* arena) {
  Tile<V, kPixels, kVectors> tile;
  const int steps = V::byte_steps(block.problem.input.largest(), largest_weight(block.problem));
  sum_bytes<V, kPixels, kVectors>(tile, pixels.from, block.taps, block.layout, steps,
                                  block.weights);
  finish_tile<V, kBox>(tile, block, pixels, epilogue, arena);
}

/// A kernel for some number of output pixels.
template <class V>
struct TileFunction {
  void (*run)(const Block<V>&, const Pixels&, const BlockEpilogue<V>&, std::byte*);
  int pixels;
};

/// For tiles that are full, or of one pixel.
template <class V, int kVectors, bool kBox, bool kOne>
TileFunction<V> tile_of(const ConvProblem& problem) {
  if constexpr (V::kLeastByteSteps < INT32_MAX) {
    constexpr int kPixels = kOne ? 1 : V::byte_pixels(kVectors);
    if (takes_bytes<V>(problem)) return {bytes_tile<V, kPixels, kVectors, kBox>, kPixels};
  }
  if (two_planes(problem)) {
    constexpr int kPixels = kOne ? 1 : V::plane_pixels(kVectors);
    return {words_tile<V, kPixels, kVectors, true, kBox>, kPixels};
  }
  constexpr int kPixels = kOne ? 1 : V::word_pixels(kVectors);
  return {words_tile<V, kPixels, kVectors, false, kBox>, kPixels};
}

template <class V, int kVectors = V::kVectors>
TileFunction<V> tile_function(const ConvProblem& problem, int vectors, bool one) {
  if constexpr (kVectors > 1) {
    if (vectors < kVectors) return tile_function<V, kVectors - 1>(problem, vectors, one);
  }
  if (one)
    return problem.box ? tile_of<V, kVectors, true, true>(problem)
                       : tile_of<V, kVectors, false, true>(problem);
  return problem.box ? tile_of<V, kVectors, true, false>(problem)
                     : tile_of<V, kVectors, false, false>(problem);
}

/// All output pixels of the part, one tile after the other. Places of a tile that is not full
/// repeat its last pixel; only `count` are written.
template <class V>
void over_pixels(const Block<V>& block, const Input& input, const Part& part, int vectors,
                 const BlockEpilogue<V>& epilogue, std::byte* arena) {
  const ConvShape& shape = block.problem.shape;
  const bool one = (part.row_end - part.row_begin) * shape.out_width == 1;
  const TileFunction<V> tile = tile_function<V>(block.problem, vectors, one);
  Pixels pixels;
  for (int y = part.row_begin; y < part.row_end; ++y)
    for (int x = 0; x < shape.out_width; ++x) {
      const int64_t row = int64_t{y} * shape.stride - shape.padding;
      const int64_t column = int64_t{x} * shape.stride - shape.padding;
      pixels.from[pixels.count] = input.origin + row * input.row + column * input.pixel;
      pixels.y[pixels.count] = y;
      pixels.x[pixels.count++] = x;
      if (pixels.count < tile.pixels) continue;
      tile.run(block, pixels, epilogue, arena);
      pixels.count = 0;
    }
  if (pixels.count == 0) return;
  for (int p = std::max(pixels.count, 1); p < tile.pixels; ++p) pixels.from[p] = pixels.from[p - 1];
  tile.run(block, pixels, epilogue, arena);
}

/// The rows that the part reads, 8 bits to 16, halo included.
template <class V>
Input widened(const ConvShape& shape, const ConvCall& call, const Part& part,
              const std::byte* arena, std::byte* scratch) {
  const WideImage image = wide_image(shape);
  auto* to = reinterpret_cast<uint16_t*>(scratch) + shape.padding * image.row +
             shape.padding * image.pixel;
  const int first = part.row_begin * shape.stride - shape.padding;
  const int last = std::min((part.row_end - 1) * shape.stride - shape.padding +
                                (shape.kernel_height - 1) * shape.dilation,
                            shape.height - 1 + shape.padding);
  const int columns = shape.width + 2 * shape.padding;
  // Pixels without a gap between them are one run; what fills them up may be anything.
  const bool runs = call.input.pixel_stride == image.pixel;
  for (int y = first; y <= last; ++y) {
    const auto* from = call.input.pixel<uint8_t>(arena, y, -shape.padding);
    uint16_t* row = to + y * image.row - shape.padding * image.pixel;
    const int64_t count = runs ? columns * image.pixel : shape.channels;
    for (int x = 0; x < (runs ? 1 : columns); ++x, from += call.input.pixel_stride)
      for (int64_t c = 0; c < count; ++c) row[x * image.pixel + c] = from[c];
  }
  return {reinterpret_cast<const std::byte*>(to), image.row * 2, image.pixel * 2};
}

template <class V>
void dense_convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                    const Memory& memory) {
  const ConvShape& shape = problem.shape;
  const int64_t element = bytes_of(call.input.element);
  Input input{memory.arena + call.input.offset, call.input.row_stride * element,
              call.input.pixel_stride * element};
  std::byte* scratch = memory.scratch;
  if (dense_widens<V>(problem)) {
    input = widened<V>(shape, call, part, memory.arena, scratch);
    scratch += wide_image(shape).bytes;
  }
  const int64_t read_element = takes_bytes<V>(problem) ? 1 : 2;
  const GroupLayout layout = group_layout(shape, channels_a_step<V>(problem));
  std::array<int64_t, kMostWindow> taps;
  for (int r = 0; r < shape.kernel_height; ++r)
    for (int s = 0; s < shape.kernel_width; ++s)
      taps[static_cast<size_t>(r * shape.kernel_width + s)] =
          r * shape.dilation * input.row + s * shape.dilation * input.pixel;
  const std::byte* corrections = call.weights + shape.groups * layout.group_bytes();
  const int64_t correction_bytes = kBlock * (problem.wide ? 8 : 4);
  for (int group = 0; group < shape.groups; ++group) {
    BoxSums boxes;
    const bool needs_box = dense_needs_box<V>(problem);
    if (needs_box) boxes = sum_boxes<V>(shape, call.input, part, group, memory.arena, scratch);
    for (int block = 0; block < layout.blocks; ++block) {
      const int channel = group * layout.out + block * kBlock;
      if (channel < part.channel_begin || channel >= part.channel_end) continue;
      const int count = std::min(kBlock, layout.out - block * kBlock);
      const int64_t place = int64_t{group} * layout.blocks + block;
      const Block<V> work{problem,
                          layout,
                          call.weights + place * layout.block_bytes,
                          corrections + place * correction_bytes,
                          taps.data(),
                          sum_form(problem, dense_form<V>(problem), call.epilogue),
                          needs_box ? &boxes : nullptr};
      const BlockEpilogue<V> epilogue(call.epilogue, call.borders, shape.out_channels, channel,
                                      count);
      Input of_group = input;
      of_group.origin += group * shape.group_channels() * read_element;
      over_pixels<V>(work, of_group, part, (count + V::kLanes - 1) / V::kLanes, epilogue,
                     memory.arena);
    }
  }
}

}  // namespace instantnet::runtime::simd
