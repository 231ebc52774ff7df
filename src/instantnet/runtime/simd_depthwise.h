// Depthwise convolutions, kBlock channels at a time. As many neighbouring columns of an input row
// as a product takes are interleaved, once for all windows: row after row goes into a ring.
#pragma once

#include "instantnet/runtime/simd_epilogue.h"
#include "instantnet/runtime/simd_pack.h"

namespace instantnet::runtime::simd {

/// What is multiplied: V::kByteTaps columns of bytes, or V::kWordTaps columns of 16 bits, whole or
/// as two planes.
enum class Columns { Bytes, Words, Planes };

template <class V>
Columns columns_kind(const ConvProblem& problem) {
  if (problem.weight_bits <= 8 && problem.input.bits <= 8 && !problem.wide &&
      V::takes_byte_columns(problem.input.largest(), largest_weight(problem), problem.shape.taps()))
    return Columns::Bytes;
  return two_planes(problem) ? Columns::Planes : Columns::Words;
}

template <class V>
ColumnLayout column_layout(const ConvProblem& problem) {
  const bool bytes = columns_kind<V>(problem) == Columns::Bytes;
  ColumnLayout layout;
  layout.taps = bytes ? V::kByteTaps : V::kWordTaps;
  layout.products = (problem.shape.kernel_width + layout.taps - 1) / layout.taps;
  layout.bytes = int64_t{kBlock} * layout.taps * (bytes ? 1 : 2);
  return layout;
}

/// Sums of a window fit 32 bits, of each plane when there are two.
template <class V>
bool takes_depthwise(const ConvProblem& problem) {
  return problem.shape.depthwise() &&
         (!problem.wide ||
          column_layout<V>(problem).products * problem.shape.kernel_height <= word_steps(problem));
}

template <class V>
WeightForm depthwise_form(const ConvProblem& problem) {
  const bool bytes = columns_kind<V>(problem) == Columns::Bytes;
  return weight_form(problem.lattice, problem.weight_bits, bytes ? 8 : 16);
}

template <class V>
int64_t depthwise_weight_bytes(const ConvProblem& problem) {
  const ColumnLayout layout = column_layout<V>(problem);
  return layout.bytes * layout.products * problem.shape.kernel_height;
}

/// Weights and constants of a block.
template <class V>
int64_t depthwise_block_bytes(const ConvProblem& problem) {
  return depthwise_weight_bytes<V>(problem) + kBlock * 8;
}

template <class V>
size_t depthwise_packed_bytes(const ConvProblem& problem) {
  return static_cast<size_t>(depthwise_blocks(problem.shape) * depthwise_block_bytes<V>(problem));
}

template <class V>
size_t depthwise_scratch_bytes(const ConvProblem& problem) {
  return static_cast<size_t>(column_layout<V>(problem).bytes * image_columns(problem.shape) *
                             ring_rows(problem.shape));
}

template <class V>
void depthwise_pack(const ConvProblem& problem, const WeightSource& weights, std::byte* packed) {
  const ConvShape& shape = problem.shape;
  const ColumnLayout layout = column_layout<V>(problem);
  const WeightForm form = depthwise_form<V>(problem);
  const bool bytes = columns_kind<V>(problem) == Columns::Bytes;
  const auto taps = static_cast<size_t>(shape.taps());
  std::memset(packed, 0, depthwise_packed_bytes<V>(problem));
  std::vector<uint16_t> codes(taps);
  std::vector<int16_t> numbers(taps);
  for (int c = 0; c < shape.channels; ++c) {
    weights.narrow(problem.weight_bits, c * shape.taps(), shape.taps(), codes.data());
    const int64_t sum = pack_numbers<V>(problem, form, codes.data(), shape.taps(), numbers.data());
    std::byte* block = packed + c / kBlock * depthwise_block_bytes<V>(problem);
    const int lane = c % kBlock;
    for (int r = 0; r < shape.kernel_height; ++r)
      for (int s = 0; s < shape.kernel_width; ++s) {
        const int16_t number = numbers[static_cast<size_t>(r * shape.kernel_width + s)];
        std::byte* operand =
            block + (int64_t{r} * layout.products + s / layout.taps) * layout.bytes;
        const int place = lane * layout.taps + s % layout.taps;
        if (bytes)
          operand[place] = static_cast<std::byte>(number & 0xFF);
        else
          std::memcpy(operand + 2 * place, &number, sizeof number);
      }
    store_correction(problem, block + depthwise_weight_bytes<V>(problem), lane,
                     correction_of(problem, form, sum, bytes ? V::kCodeOffset : 0));
  }
}

/// What stays the same for all pixels of a block of channels.
template <class V>
struct DepthwiseBlock {
  const ConvProblem& problem;
  const ConvCall& call;
  ColumnLayout layout;
  const std::byte* weights;
  const std::byte* corrections;
  int first;
  SumForm form;
};

/// Interleaves each column of an input row with those that follow it, `dilation` apart. Columns at
/// which no product starts are left out.
template <class V, Columns kColumns>
void interleave_row(const DepthwiseBlock<V>& block, int y, const std::byte* arena, std::byte* to) {
  constexpr int kTaps = kColumns == Columns::Bytes ? V::kByteTaps : V::kWordTaps;
  const ConvShape& shape = block.problem.shape;
  const View& input = block.call.input;
  const int64_t element = bytes_of(input.element);
  const std::byte* row =
      arena + input.offset +
      (y * input.row_stride - shape.padding * input.pixel_stride + block.first) * element;
  const int64_t pixel = input.pixel_stride * element;
  const int every =
      block.layout.products == 1 || kTaps * shape.dilation % shape.stride == 0 ? shape.stride : 1;
  const int width = image_columns(shape);
  for (int x = 0; x < width; x += every) {
    const std::byte* columns[kTaps];
    INSTANTNET_UNROLL
    for (int i = 0; i < kTaps; ++i) columns[i] = row + (x + i * shape.dilation) * pixel;
    const int count = std::min(kTaps, (width - 1 - x) / shape.dilation + 1);
    if constexpr (kColumns == Columns::Bytes)
      V::interleave_bytes(columns, count, to + x * block.layout.bytes);
    else
      V::interleave_words(columns, count, input.element == Element::U8,
                          to + x * block.layout.bytes);
  }
}

/// Rows [row, ...) of the ring, one window's.
struct RingRows {
  const std::byte* rows = nullptr;
  int64_t row_bytes = 0;
  int slots = 1, first = 0;
};

/// Sums of some windows beside each other: of packed weights times codes, and of codes.
template <class V, int kPixels>
struct WindowSums {
  Tile<V, kPixels, V::kVectors> low, high, boxes;  // high with two planes
};

/// Sums of byte columns; `at` are the windows' places in a row.
template <class V, bool kBoxes, int kPixels>
INSTANTNET_INLINE void sum_byte_windows(const DepthwiseBlock<V>& block, const RingRows& ring,
                                        const int64_t* at, WindowSums<V, kPixels>& sums) {
  const ConvShape& shape = block.problem.shape;
  const int64_t next = V::kByteTaps * shape.dilation * block.layout.bytes;
  constexpr int kRegister = 4 * V::kLanes;
  Registers<V, kPixels, V::kByteRegisters> of, boxes;
  of.clear();
  if constexpr (kBoxes) boxes.clear();
  const std::byte* weights = block.weights;
  int slot = ring.first;
  for (int r = 0; r < shape.kernel_height; ++r) {
    const std::byte* row = ring.rows + slot * ring.row_bytes;
    slot += shape.dilation;
    if (slot >= ring.slots) slot -= ring.slots;
    for (int product = 0; product < block.layout.products;
         ++product, weights += block.layout.bytes, row += next) {
      const typename V::Int ones =
          V::byte_ones(std::min(V::kByteTaps, shape.kernel_width - product * V::kByteTaps));
      INSTANTNET_UNROLL
      for (int v = 0; v < V::kByteRegisters; ++v) {
        const typename V::Int w = V::load(weights + kRegister * v);
        INSTANTNET_UNROLL
        for (int p = 0; p < kPixels; ++p) {
          const typename V::Int codes = V::load(row + at[p] + kRegister * v);
          V::dot_byte_column(of.of[p][v], codes, w);
          if constexpr (kBoxes) V::dot_byte_column(boxes.of[p][v], codes, ones);
        }
      }
    }
  }
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p) {
    V::widen_columns(of.of[p], sums.low.sum[p]);
    if constexpr (kBoxes) V::widen_columns(boxes.of[p], sums.boxes.sum[p]);
  }
}

/// Sums of 16-bit columns, as they are or their low and high bytes apart.
template <class V, bool kPlanes, bool kBoxes, int kPixels>
INSTANTNET_INLINE void sum_word_windows(const DepthwiseBlock<V>& block, const RingRows& ring,
                                        const int64_t* at, WindowSums<V, kPixels>& sums) {
  const ConvShape& shape = block.problem.shape;
  const int64_t next = V::kWordTaps * shape.dilation * block.layout.bytes;
  constexpr int kOperand = 2 * V::kWordTaps * V::kLanes;
  Registers<V, kPixels, V::kVectors> low, high, boxes;
  low.clear();
  if constexpr (kPlanes) high.clear();
  if constexpr (kBoxes) boxes.clear();
  const std::byte* weights = block.weights;
  int slot = ring.first;
  for (int r = 0; r < shape.kernel_height; ++r) {
    const std::byte* row = ring.rows + slot * ring.row_bytes;
    slot += shape.dilation;
    if (slot >= ring.slots) slot -= ring.slots;
    for (int product = 0; product < block.layout.products;
         ++product, weights += block.layout.bytes, row += next) {
      const int taps = std::min(V::kWordTaps, shape.kernel_width - product * V::kWordTaps);
      INSTANTNET_UNROLL
      for (int v = 0; v < V::kVectors; ++v) {
        const typename V::Column w = V::load_column(weights + kOperand * v);
        INSTANTNET_UNROLL
        for (int p = 0; p < kPixels; ++p) {
          const typename V::Column codes = V::load_column(row + at[p] + kOperand * v);
          if constexpr (kPlanes) {
            const typename V::Column lower = V::low_byte(codes), upper = V::high_byte(codes);
            V::dot_column(low.of[p][v], lower, w);
            V::dot_column(high.of[p][v], upper, w);
            if constexpr (kBoxes) {
              V::dot_column(boxes.of[p][v], lower, V::column_of(1, taps));
              V::dot_column(boxes.of[p][v], upper, V::column_of(256, taps));
            }
          } else {
            V::dot_column(low.of[p][v], codes, w);
            if constexpr (kBoxes) V::dot_column(boxes.of[p][v], codes, V::column_of(1, taps));
          }
        }
      }
    }
  }
  low.store(sums.low);
  if constexpr (kPlanes) high.store(sums.high);
  if constexpr (kBoxes) boxes.store(sums.boxes);
}

template <class V, Columns kColumns, bool kBox, int kPixels>
INSTANTNET_INLINE void finish_windows(const DepthwiseBlock<V>& block, WindowSums<V, kPixels>& sums,
                                      int y, int x, int count, const BlockEpilogue<V>& epilogue,
                                      std::byte* arena) {
  constexpr int kVectors = V::kVectors;
  const ConvShape& shape = block.problem.shape;
  if constexpr (kColumns == Columns::Bytes && V::kCodeOffset != 0) {
    const typename V::Int offset =
        V::set1(V::kCodeOffset * shape.kernel_height * shape.kernel_width);
    for (auto& pixel : sums.boxes.sum)
      for (auto& one : pixel) one = V::add(one, offset);
  }
  if (kColumns != Columns::Bytes && block.problem.wide) {
    WideTile<V, kPixels, kVectors> wide;
    wide.clear();
    wide.take(sums.low, 0);
    if constexpr (kColumns == Columns::Planes) wide.take(sums.high, 8);
    for (int p = 0; p < count; ++p)
      finish_pixel<V, kVectors, kBox>(wide.sum[p], sums.boxes.sum[p], block.form, block.corrections,
                                      y, x + p, epilogue, arena);
    return;
  }
  if constexpr (kColumns == Columns::Planes) add_high<V>(sums.low, sums.high);
  if constexpr (!kBox) {
    if (epilogue.is_direct(kVectors)) {
      for (int p = 0; p < count; ++p)
        finish_pixel<V, kVectors, false, true>(sums.low.sum[p], sums.boxes.sum[p], block.form,
                                               block.corrections, y, x + p, epilogue, arena);
      return;
    }
  }
  for (int p = 0; p < count; ++p)
    finish_pixel<V, kVectors, kBox>(sums.low.sum[p], sums.boxes.sum[p], block.form,
                                    block.corrections, y, x + p, epilogue, arena);
}

/// kBoxes: some form of sums of codes is needed; kBox: by the requant, too.
template <class V, Columns kColumns, bool kBoxes, bool kBox>
void depthwise_rows(const DepthwiseBlock<V>& block, const Part& part,
                    const BlockEpilogue<V>& epilogue, std::byte* arena, std::byte* scratch) {
  constexpr int kPixels =
      kColumns == Columns::Planes || kBoxes ? V::kPlaneColumnPixels : V::kColumnPixels;
  const ConvShape& shape = block.problem.shape;
  RingRows ring{scratch, block.layout.bytes * image_columns(shape), ring_rows(shape), 0};
  int ready = part.row_begin * shape.stride;  // rows before it are in the ring, from the padding's
  for (int y = part.row_begin; y < part.row_end; ++y) {
    const int top = y * shape.stride;
    for (ready = std::max(ready, top); ready < top + ring.slots; ++ready)
      interleave_row<V, kColumns>(block, ready - shape.padding, arena,
                                  scratch + ready % ring.slots * ring.row_bytes);
    ring.first = top % ring.slots;
    for (int x = 0; x < shape.out_width; x += kPixels) {
      const int count = std::min(kPixels, shape.out_width - x);
      int64_t at[kPixels];
      INSTANTNET_UNROLL
      for (int p = 0; p < kPixels; ++p)
        at[p] = int64_t{x + std::min(p, count - 1)} * shape.stride * block.layout.bytes;
      WindowSums<V, kPixels> sums;
      if constexpr (!kBoxes) sums.boxes.clear();
      if constexpr (kColumns == Columns::Bytes)
        sum_byte_windows<V, kBoxes>(block, ring, at, sums);
      else
        sum_word_windows<V, kColumns == Columns::Planes, kBoxes>(block, ring, at, sums);
      finish_windows<V, kColumns, kBox>(block, sums, y, x, count, epilogue, arena);
    }
  }
}

template <class V>
using DepthwiseFunction = void (*)(const DepthwiseBlock<V>&, const Part&, const BlockEpilogue<V>&,
                                   std::byte*, std::byte*);

template <class V, Columns kColumns>
DepthwiseFunction<V> depthwise_of(const ConvProblem& problem) {
  if (problem.box) return depthwise_rows<V, kColumns, true, true>;
  if (depthwise_form<V>(problem).needs_box()) return depthwise_rows<V, kColumns, true, false>;
  return depthwise_rows<V, kColumns, false, false>;
}

template <class V>
DepthwiseFunction<V> depthwise_function(const ConvProblem& problem) {
  const Columns kind = columns_kind<V>(problem);
  if (kind == Columns::Planes) return depthwise_of<V, Columns::Planes>(problem);
  if constexpr (V::kByteTaps > 0) {
    if (kind == Columns::Bytes) return depthwise_of<V, Columns::Bytes>(problem);
  }
  return depthwise_of<V, Columns::Words>(problem);
}

template <class V>
void depthwise_convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                        const Memory& memory) {
  const ConvShape& shape = problem.shape;
  for (int b = 0; b < depthwise_blocks(shape); ++b) {
    const std::byte* weights = call.weights + b * depthwise_block_bytes<V>(problem);
    const int first = b * kBlock, count = std::min(kBlock, shape.channels - first);
    const DepthwiseBlock<V> block{problem,
                                  call,
                                  column_layout<V>(problem),
                                  weights,
                                  weights + depthwise_weight_bytes<V>(problem),
                                  first,
                                  sum_form(problem, depthwise_form<V>(problem), call.epilogue)};
    const BlockEpilogue<V> epilogue(call.epilogue, call.borders, shape.out_channels, first, count);
    depthwise_function<V>(problem)(block, part, epilogue, memory.arena, memory.scratch);
  }
}

}  // namespace instantnet::runtime::simd
