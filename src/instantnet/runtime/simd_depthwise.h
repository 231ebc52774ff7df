// Depthwise convolutions, kBlock channels at a time. For each input column the codes of as many
// rows of the window as a product takes are interleaved once, and used by all windows over the
// column.
#pragma once

#include "instantnet/runtime/simd_epilogue.h"
#include "instantnet/runtime/simd_pack.h"

namespace instantnet::runtime::simd {

/// What is multiplied: four rows of bytes, or V::kWordRows rows of 16 bits, whole or as two planes.
enum class Columns { Bytes, Words, Planes };

template <class V>
Columns columns_kind(const ConvProblem& problem) {
  if (V::kByteColumns && problem.weight_bits <= 8 && problem.input.bits <= 8 && !problem.wide)
    return Columns::Bytes;
  return two_planes(problem) ? Columns::Planes : Columns::Words;
}

/// How a block's columns and weights lie: for each group of rows and column of the window, the
/// operands of kBlock channels.
struct ColumnLayout {
  int rows = 1, row_groups = 1;  // rows of a product, products down the window
  int64_t bytes = 0;             // of a column of one group
};

template <class V>
ColumnLayout column_layout(const ConvProblem& problem) {
  const bool bytes = columns_kind<V>(problem) == Columns::Bytes;
  ColumnLayout layout;
  layout.rows = bytes ? 4 : V::kWordRows;
  layout.row_groups = (problem.shape.kernel_height + layout.rows - 1) / layout.rows;
  layout.bytes = int64_t{kBlock} * layout.rows * (bytes ? 1 : 2);
  return layout;
}

/// Sums of a window fit 32 bits, of each plane when there are two.
template <class V>
bool takes_depthwise(const ConvProblem& problem) {
  return problem.shape.depthwise() &&
         (!problem.wide ||
          column_layout<V>(problem).row_groups * problem.shape.kernel_width <= word_steps(problem));
}

template <class V>
WeightForm depthwise_form(const ConvProblem& problem) {
  const bool bytes = columns_kind<V>(problem) == Columns::Bytes;
  return weight_form(problem.lattice, problem.weight_bits, bytes ? 8 : 16);
}

template <class V>
int64_t depthwise_weight_bytes(const ConvProblem& problem) {
  const ColumnLayout layout = column_layout<V>(problem);
  return layout.bytes * layout.row_groups * problem.shape.kernel_width;
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
  const ColumnLayout layout = column_layout<V>(problem);
  return static_cast<size_t>(layout.bytes * layout.row_groups * image_columns(problem.shape));
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
        std::byte* column =
            block + (int64_t{r} / layout.rows * shape.kernel_width + s) * layout.bytes;
        const int place = lane * layout.rows + r % layout.rows;
        if (bytes)
          column[place] = static_cast<std::byte>(number & 0xFF);
        else
          std::memcpy(column + 2 * place, &number, sizeof number);
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

/// One output row's input columns, all groups of rows.
template <class V, Columns kColumns>
void interleave_row(const DepthwiseBlock<V>& block, int y, const std::byte* arena,
                    std::byte* columns) {
  const ConvShape& shape = block.problem.shape;
  const View& input = block.call.input;
  const int64_t element = bytes_of(input.element);
  const int top = y * shape.stride - shape.padding;
  for (int group = 0; group < block.layout.row_groups; ++group) {
    const int first = group * block.layout.rows;
    const int count = std::min(block.layout.rows, shape.kernel_height - first);
    const std::byte* rows[4] = {};
    for (int r = 0; r < count; ++r)
      rows[r] = arena + input.offset +
                ((top + (first + r) * shape.dilation) * input.row_stride -
                 shape.padding * input.pixel_stride + block.first) *
                    element;
    for (int x = 0; x < image_columns(shape); ++x, columns += block.layout.bytes) {
      if constexpr (kColumns == Columns::Bytes)
        V::interleave_bytes(rows, count, columns);
      else
        V::interleave_words(rows, count, input.element == Element::U8, columns);
      for (int r = 0; r < count; ++r) rows[r] += input.pixel_stride * element;
    }
  }
}

/// Sums of some windows beside each other: of packed weights times codes, and of codes.
template <class V, int kPixels, int kVectors>
struct WindowSums {
  Tile<V, kPixels, kVectors> low, high, boxes;  // high with two planes
};

template <class V, Columns kColumns, bool kBoxes, int kPixels, int kVectors>
INSTANTNET_INLINE void sum_windows(const DepthwiseBlock<V>& block, const std::byte* const* from,
                                   WindowSums<V, kPixels, kVectors>& sums) {
  const ConvShape& shape = block.problem.shape;
  const int64_t next = shape.dilation * block.layout.bytes;
  const int64_t next_group = image_columns(shape) * block.layout.bytes;
  Registers<V, kPixels, kVectors> low, high, boxes;
  low.clear();
  if constexpr (kColumns == Columns::Planes) high.clear();
  if constexpr (kBoxes) boxes.clear();
  const std::byte* weights = block.weights;
  for (int group = 0; group < block.layout.row_groups; ++group)
    for (int s = 0; s < shape.kernel_width; ++s, weights += block.layout.bytes) {
      const int64_t at = group * next_group + s * next;
      INSTANTNET_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        if constexpr (kColumns == Columns::Bytes) {
          constexpr int kOperand = 4 * V::kLanes;
          const typename V::Int w = V::load(weights + kOperand * v);
          INSTANTNET_UNROLL
          for (int p = 0; p < kPixels; ++p) {
            const typename V::Int codes = V::load(from[p] + at + kOperand * v);
            V::dot_byte_column(low.of[p][v], codes, w);
            if constexpr (kBoxes) V::dot_byte_column(boxes.of[p][v], codes, V::byte_ones());
          }
        } else {
          constexpr int kOperand = 2 * V::kWordRows * V::kLanes;
          const typename V::Column w = V::load_column(weights + kOperand * v);
          INSTANTNET_UNROLL
          for (int p = 0; p < kPixels; ++p) {
            const typename V::Column codes = V::load_column(from[p] + at + kOperand * v);
            if constexpr (kColumns == Columns::Planes) {
              const typename V::Column lower = V::low_byte(codes), upper = V::high_byte(codes);
              V::dot_column(low.of[p][v], lower, w);
              V::dot_column(high.of[p][v], upper, w);
              if constexpr (kBoxes) {
                V::dot_column(boxes.of[p][v], lower, V::column_of(1));
                V::dot_column(boxes.of[p][v], upper, V::column_of(256));
              }
            } else {
              V::dot_column(low.of[p][v], codes, w);
              if constexpr (kBoxes) V::dot_column(boxes.of[p][v], codes, V::column_of(1));
            }
          }
        }
      }
    }
  low.store(sums.low);
  if constexpr (kColumns == Columns::Planes) high.store(sums.high);
  if constexpr (kBoxes) boxes.store(sums.boxes);
}

template <class V, Columns kColumns, bool kBox, int kPixels, int kVectors>
INSTANTNET_INLINE void finish_windows(const DepthwiseBlock<V>& block,
                                      WindowSums<V, kPixels, kVectors>& sums, int y, int x,
                                      int count, const BlockEpilogue<V>& epilogue,
                                      std::byte* arena) {
  const ConvShape& shape = block.problem.shape;
  if constexpr (kColumns == Columns::Bytes && V::kCodeOffset != 0) {
    const typename V::Int offset =
        V::set1(V::kCodeOffset * shape.kernel_height * shape.kernel_width);
    for (auto& pixel : sums.boxes.sum)
      for (auto& one : pixel) one = V::add(one, offset);
  }
  WideTile<V, kPixels, kVectors> wide;
  if (block.problem.wide) {
    wide.clear();
    wide.take(sums.low, 0);
    if constexpr (kColumns == Columns::Planes) wide.take(sums.high, 8);
  } else if constexpr (kColumns == Columns::Planes) {
    add_high<V>(sums.low, sums.high);
  }
  for (int p = 0; p < count; ++p) {
    if (block.problem.wide)
      finish_pixel<V, kVectors, kBox>(wide.sum[p], sums.boxes.sum[p], block.form, block.corrections,
                                      y, x + p, epilogue, arena);
    else
      finish_pixel<V, kVectors, kBox>(sums.low.sum[p], sums.boxes.sum[p], block.form,
                                      block.corrections, y, x + p, epilogue, arena);
  }
}

/// kBoxes: some form of sums of codes is needed; kBox: by the requant, too.
template <class V, Columns kColumns, bool kBoxes, bool kBox, int kVectors>
void depthwise_rows(const DepthwiseBlock<V>& block, const Part& part,
                    const BlockEpilogue<V>& epilogue, std::byte* arena, std::byte* columns) {
  constexpr int kPixels =
      kColumns == Columns::Planes || kBoxes ? V::kPlaneColumnPixels : V::kColumnPixels;
  const ConvShape& shape = block.problem.shape;
  for (int y = part.row_begin; y < part.row_end; ++y) {
    interleave_row<V, kColumns>(block, y, arena, columns);
    for (int x = 0; x < shape.out_width; x += kPixels) {
      const int count = std::min(kPixels, shape.out_width - x);
      const std::byte* from[kPixels];
      for (int p = 0; p < kPixels; ++p)
        from[p] = columns + int64_t{x + std::min(p, count - 1)} * shape.stride * block.layout.bytes;
      WindowSums<V, kPixels, kVectors> sums;
      sum_windows<V, kColumns, kBoxes>(block, from, sums);
      if constexpr (!kBoxes) sums.boxes.clear();
      finish_windows<V, kColumns, kBox>(block, sums, y, x, count, epilogue, arena);
    }
  }
}

template <class V>
using DepthwiseFunction = void (*)(const DepthwiseBlock<V>&, const Part&, const BlockEpilogue<V>&,
                                   std::byte*, std::byte*);

template <class V, Columns kColumns, int kVectors>
DepthwiseFunction<V> depthwise_of(const ConvProblem& problem) {
  if (problem.box) return depthwise_rows<V, kColumns, true, true, kVectors>;
  if (depthwise_form<V>(problem).needs_box())
    return depthwise_rows<V, kColumns, true, false, kVectors>;
  return depthwise_rows<V, kColumns, false, false, kVectors>;
}

/// Blocks with fewer channels than registers hold compute all: their weights are zeros.
template <class V, int kVectors = V::kVectors>
DepthwiseFunction<V> depthwise_function(const ConvProblem& problem, int vectors) {
  if constexpr (kVectors > 1) {
    if (vectors < kVectors) return depthwise_function<V, kVectors - 1>(problem, vectors);
  }
  const Columns kind = columns_kind<V>(problem);
  if constexpr (V::kByteColumns) {
    if (kind == Columns::Bytes) return depthwise_of<V, Columns::Bytes, kVectors>(problem);
  }
  if (kind == Columns::Planes) return depthwise_of<V, Columns::Planes, kVectors>(problem);
  return depthwise_of<V, Columns::Words, kVectors>(problem);
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
    depthwise_function<V>(problem, (count + V::kLanes - 1) / V::kLanes)(
        block, part, epilogue, memory.arena, memory.scratch);
  }
}

}  // namespace instantnet::runtime::simd
