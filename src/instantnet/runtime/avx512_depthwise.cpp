// A window's rows are taken four at a time. For each input column the four rows' bytes of 64
// channels are interleaved: register v, 32-bit number c hold the four rows of channel 16 v + c. A
// dot product with weights in the same order then adds four products a channel.
#include "instantnet/runtime/avx512_depthwise.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "instantnet/runtime/avx512_epilogue.h"
#include "instantnet/runtime/avx512_layout.h"

namespace instantnet::runtime::avx512 {

bool takes_depthwise(const ConvProblem& problem) {
  return problem.shape.depthwise() && problem.weight_bits <= 8 && problem.input.bits <= 8 &&
         !problem.wide;
}

namespace {

constexpr int kRegisters = 4;  // that 64 channels of one column take
constexpr int64_t kColumnBytes = kRegisters * 64;

int row_groups(const ConvShape& shape) { return (shape.kernel_height + 3) / 4; }
int blocks_of(const ConvShape& shape) { return (shape.channels + 63) / 64; }
int columns_of(const ConvShape& shape) { return shape.width + 2 * shape.padding; }

/// Weights of a block, then -zero times the sum of W of its channels (32 bits).
int64_t block_bytes(const ConvShape& shape) {
  return (int64_t{row_groups(shape)} * shape.kernel_width + 1) * kColumnBytes;
}

}  // namespace

size_t depthwise_packed_bytes(const ConvProblem& problem) {
  return static_cast<size_t>(blocks_of(problem.shape) * block_bytes(problem.shape));
}

void depthwise_pack(const ConvProblem& problem, const WeightSource& weights, std::byte* packed) {
  const ConvShape& shape = problem.shape;
  const WeightForm form = weight_form(problem.lattice, problem.weight_bits, 8);
  std::memset(packed, 0, depthwise_packed_bytes(problem));
  std::vector<uint16_t> codes(static_cast<size_t>(shape.taps()));
  for (int c = 0; c < shape.channels; ++c) {
    weights.narrow(problem.weight_bits, c * shape.taps(), shape.taps(), codes.data());
    std::byte* block = packed + c / 64 * block_bytes(shape);
    const int place = c % 64;
    int32_t sum = 0;
    for (int column = 0; column < row_groups(shape) * shape.kernel_width; ++column) {
      const int first = column / shape.kernel_width * 4, s = column % shape.kernel_width;
      uint32_t four = 0;  // a byte each of rows first .. first + 3
      for (int r = first; r < std::min(first + 4, shape.kernel_height); ++r) {
        const int code = codes[static_cast<size_t>(r * shape.kernel_width + s)];
        const int number = packed_weight(form, problem.lattice, problem.weight_bits, code);
        four |= static_cast<uint32_t>(number & 0xFF) << 8 * (r - first);
        sum += whole_weight(problem.lattice, problem.weight_bits, code);
      }
      reinterpret_cast<uint32_t*>(block + column * kColumnBytes)[place] = four;
    }
    const int64_t corrections = int64_t{row_groups(shape)} * shape.kernel_width * kColumnBytes;
    reinterpret_cast<int32_t*>(block + corrections)[place] = -problem.input.zero * sum;
  }
}

size_t depthwise_scratch_bytes(const ConvProblem& problem) {
  return static_cast<size_t>(row_groups(problem.shape)) *
         static_cast<size_t>(columns_of(problem.shape)) * static_cast<size_t>(kColumnBytes);
}

INSTANTNET_AVX512_BEGIN

namespace {

inline void dot_bytes(__m512i& sum, __m512i codes, __m512i weights) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weights));
}

/// kRows rows of `columns` columns, interleaved; rows up to the fourth are zero.
template <int kRows>
void interleave(const std::byte* const* rows, int64_t pixel_stride, __mmask64 lanes, int columns,
                std::byte* to) {
  // Unpacking stays within 128 bits: 128-bit part L gets channels 4 L .. 4 L + 3 of each 16.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  for (int64_t x = 0; x < columns; ++x, to += kColumnBytes) {
    __m512i row[4];
    INSTANTNET_UNROLL
    for (int r = 0; r < 4; ++r)
      row[r] = r < kRows ? _mm512_permutexvar_epi32(
                               order, _mm512_maskz_loadu_epi8(lanes, rows[r] + x * pixel_stride))
                         : _mm512_setzero_si512();
    const __m512i low01 = _mm512_unpacklo_epi8(row[0], row[1]);
    const __m512i high01 = _mm512_unpackhi_epi8(row[0], row[1]);
    const __m512i low23 = _mm512_unpacklo_epi8(row[2], row[3]);
    const __m512i high23 = _mm512_unpackhi_epi8(row[2], row[3]);
    _mm512_store_si512(to, _mm512_unpacklo_epi16(low01, low23));
    _mm512_store_si512(to + 64, _mm512_unpackhi_epi16(low01, low23));
    _mm512_store_si512(to + 128, _mm512_unpacklo_epi16(high01, high23));
    _mm512_store_si512(to + 192, _mm512_unpackhi_epi16(high01, high23));
  }
}

/// One output row's input columns, all row groups.
void interleave_row(const ConvShape& shape, const View& input, int y, int first, __mmask64 lanes,
                    const std::byte* arena, std::byte* columns) {
  using Function = void (*)(const std::byte* const*, int64_t, __mmask64, int, std::byte*);
  static constexpr Function kFunctions[4] = {interleave<1>, interleave<2>, interleave<3>,
                                             interleave<4>};
  const int top = y * shape.stride - shape.padding;
  for (int group = 0; group < row_groups(shape); ++group) {
    const int count = std::min(4, shape.kernel_height - 4 * group);
    const std::byte* rows[4] = {};
    for (int r = 0; r < count; ++r)
      rows[r] = reinterpret_cast<const std::byte*>(
          input.pixel<uint8_t>(arena, top + (4 * group + r) * shape.dilation, -shape.padding) +
          first);
    kFunctions[count - 1](rows, input.pixel_stride, lanes, columns_of(shape), columns);
    columns += columns_of(shape) * kColumnBytes;
  }
}

/// Output pixels whose sums are made before the epilogue takes them.
constexpr int kRun = 16;

/// What stays the same for all pixels of a block of channels.
struct Block {
  const ConvProblem& problem;
  const ConvCall& call;
  const std::byte* weights;
  const std::byte* corrections;
  int first, count;
  WeightForm form;
  __mmask64 lanes;
};

/// Sums of kRun pixels, `vectors` registers each, and of their codes.
struct Sums {
  __m512i of[kRun * kRegisters], boxes[kRun * kRegisters];
};

/// Equations (3) and (4) from sums of products and of codes.
template <bool kBoxes>
inline __m512i completed(__m512i sum, __m512i box, const WeightForm& form, __m512i correction) {
  if constexpr (kBoxes) {
    if (form.scale == 2)
      sum = _mm512_add_epi32(_mm512_slli_epi32(sum, 1), box);
    else if (form.offset != 0)
      sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(box, _mm512_set1_epi32(form.offset)));
  }
  return _mm512_add_epi32(sum, correction);
}

/// Register v of output pixels x .. x + count - 1, windows of three rows and columns.
template <bool kBoxes>
void sum_threes(const Block& block, const std::byte* columns, int v, int vectors, int x, int count,
                Sums& sums) {
  const ConvShape& shape = block.problem.shape;
  const WeightForm form = block.form;
  const __m512i ones = _mm512_set1_epi8(1), zero = _mm512_setzero_si512();
  const __m512i correction = _mm512_load_si512(block.corrections + 64 * v);
  __m512i w[3], codes[3], boxes[3] = {zero, zero, zero};
  INSTANTNET_UNROLL
  for (int s = 0; s < 3; ++s) w[s] = _mm512_load_si512(block.weights + kColumnBytes * s + 64 * v);
  const int stride = shape.stride, dilation = shape.dilation;
  const std::byte* column = columns + int64_t{x} * stride * kColumnBytes + 64 * v;
  const auto read = [&](int s) INSTANTNET_INLINE_LAMBDA {
    codes[s] = _mm512_load_si512(column + int64_t{s} * dilation * kColumnBytes);
    if constexpr (kBoxes) {
      boxes[s] = zero;
      dot_bytes(boxes[s], codes[s], ones);
    }
  };
  // Neighbouring windows share two columns where nothing is left out between them.
  const bool slides = stride == 1 && dilation == 1;
  if (slides) read(0), read(1);
  for (int p = 0; p < count; ++p, column += stride * kColumnBytes) {
    if (!slides) read(0), read(1);
    read(2);
    __m512i sum = zero;
    INSTANTNET_UNROLL
    for (int s = 0; s < 3; ++s) dot_bytes(sum, codes[s], w[s]);
    const __m512i box = _mm512_add_epi32(_mm512_add_epi32(boxes[0], boxes[1]), boxes[2]);
    sums.of[p * vectors + v] = completed<kBoxes>(sum, box, form, correction);
    if constexpr (kBoxes) sums.boxes[p * vectors + v] = box;
    codes[0] = codes[1], codes[1] = codes[2];
    boxes[0] = boxes[1], boxes[1] = boxes[2];
  }
}

/// The same of any window.
template <bool kBoxes>
void sum_windows(const Block& block, const std::byte* columns, int v, int vectors, int x, int count,
                 Sums& sums) {
  const ConvShape& shape = block.problem.shape;
  const __m512i ones = _mm512_set1_epi8(1);
  const __m512i correction = _mm512_load_si512(block.corrections + 64 * v);
  for (int p = 0; p < count; ++p) {
    __m512i sum = _mm512_setzero_si512(), box = sum;
    const std::byte* weights = block.weights + 64 * v;
    for (int group = 0; group < row_groups(shape); ++group)
      for (int s = 0; s < shape.kernel_width; ++s, weights += kColumnBytes) {
        const int64_t column = int64_t{group} * columns_of(shape) + (x + p) * shape.stride +
                               int64_t{s} * shape.dilation;
        const __m512i codes = _mm512_load_si512(columns + column * kColumnBytes + 64 * v);
        dot_bytes(sum, codes, _mm512_load_si512(weights));
        if constexpr (kBoxes) dot_bytes(box, codes, ones);
      }
    sums.of[p * vectors + v] = completed<kBoxes>(sum, box, block.form, correction);
    if constexpr (kBoxes) sums.boxes[p * vectors + v] = box;
  }
}

/// Sums of one run of pixels to the epilogue.
template <int kVectors>
INSTANTNET_OUT_OF_LINE void finish(const Block& block, Sums& sums, const Epilogue64& epilogue,
                                   const PixelRun& pixels, std::byte* arena) {
  if (!block.problem.box && epilogue.takes_runs())
    return epilogue.finish_run(kVectors, sums.of, pixels, arena);
  const __m512i zeros =
      _mm512_set1_epi32(block.problem.input.zero * static_cast<int>(block.problem.shape.taps()));
  for (int p = 0; p < pixels.count; ++p) {
    __m512i* of = sums.of + p * kVectors;
    __m512i* boxes = sums.boxes + p * kVectors;
    if (!block.problem.box) {
      epilogue.finish<kVectors, false>(of, of, pixels.y[p], pixels.x[p], arena);
      continue;
    }
    for (int v = 0; v < kVectors; ++v) boxes[v] = _mm512_sub_epi32(boxes[v], zeros);
    epilogue.finish<kVectors, true>(of, boxes, pixels.y[p], pixels.x[p], arena);
  }
}

using FinishFunction = void (*)(const Block&, Sums&, const Epilogue64&, const PixelRun&,
                                std::byte*);
constexpr FinishFunction kFinish[kRegisters] = {finish<1>, finish<2>, finish<3>, finish<4>};

template <bool kBoxes>
void block_rows(const Block& block, const Part& part, std::byte* arena, std::byte* columns) {
  const ConvShape& shape = block.problem.shape;
  const int vectors = (block.count + kLanes - 1) / kLanes;
  const Epilogue64 epilogue(block.call.epilogue, block.call.borders, shape.out_channels,
                            block.first, block.count);
  const bool threes = shape.kernel_height == 3 && shape.kernel_width == 3;
  Sums sums;
  int ys[kRun], xs[kRun];
  for (int y = part.row_begin; y < part.row_end; ++y) {
    interleave_row(shape, block.call.input, y, block.first, block.lanes, arena, columns);
    for (int x = 0; x < shape.out_width; x += kRun) {
      const int count = std::min(kRun, shape.out_width - x);
      for (int v = 0; v < vectors; ++v)
        if (threes)
          sum_threes<kBoxes>(block, columns, v, vectors, x, count, sums);
        else
          sum_windows<kBoxes>(block, columns, v, vectors, x, count, sums);
      for (int p = 0; p < count; ++p) ys[p] = y, xs[p] = x + p;
      kFinish[vectors - 1](block, sums, epilogue, {ys, xs, count}, arena);
    }
  }
}

}  // namespace

void depthwise_convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                        const Memory& memory) {
  const ConvShape& shape = problem.shape;
  const WeightForm form = weight_form(problem.lattice, problem.weight_bits, 8);
  const int64_t corrections = int64_t{row_groups(shape)} * shape.kernel_width * kColumnBytes;
  for (int b = 0; b < blocks_of(shape); ++b) {
    const std::byte* weights = call.weights + b * block_bytes(shape);
    const int count = std::min(64, shape.channels - 64 * b);
    const Block block{problem, call,  weights, weights + corrections,
                      64 * b,  count, form,    first_bytes(count)};
    const bool boxes = problem.box || form.needs_box();
    if (boxes)
      block_rows<true>(block, part, memory.arena, memory.scratch);
    else
      block_rows<false>(block, part, memory.arena, memory.scratch);
  }
}

INSTANTNET_AVX512_END

}  // namespace instantnet::runtime::avx512
