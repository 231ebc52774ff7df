// A window's rows are taken four at a time. For each input column the four rows' bytes of 64
// channels are interleaved: register i, 128-bit lane L, 32-bit number j hold the four rows of
// channel 16 L + 4 i + j. A dot product with weights in the same order then adds four products a
// channel, and packing four registers of results to bytes puts channels back into their order.
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

/// Weights of a block, then -zero times the sum of W of its channels (32 bits), in registers'
/// order.
int64_t block_bytes(const ConvShape& shape) {
  return (int64_t{row_groups(shape)} * shape.kernel_width + 1) * kColumnBytes;
}

/// Place of a block's channel among 64 numbers in registers' order.
int place_of(int channel) {
  const int lane = channel / 16, within = channel % 16;
  return within / 4 * 16 + lane * 4 + within % 4;
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
    const int place = place_of(c % 64);
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

/// Sums of 64 channels in registers' order, and of their codes.
struct Sums {
  __m512i of[kRegisters], boxes[kRegisters];
};

/// Four rows of one column, interleaved; rows beyond the window are zero.
inline void interleave(const std::byte* const* rows, int count, __mmask64 lanes, std::byte* to) {
  __m512i row[4];
  for (int r = 0; r < 4; ++r)
    row[r] = r < count ? _mm512_maskz_loadu_epi8(lanes, rows[r]) : _mm512_setzero_si512();
  const __m512i low01 = _mm512_unpacklo_epi8(row[0], row[1]);
  const __m512i high01 = _mm512_unpackhi_epi8(row[0], row[1]);
  const __m512i low23 = _mm512_unpacklo_epi8(row[2], row[3]);
  const __m512i high23 = _mm512_unpackhi_epi8(row[2], row[3]);
  _mm512_store_si512(to, _mm512_unpacklo_epi16(low01, low23));
  _mm512_store_si512(to + 64, _mm512_unpackhi_epi16(low01, low23));
  _mm512_store_si512(to + 128, _mm512_unpacklo_epi16(high01, high23));
  _mm512_store_si512(to + 192, _mm512_unpackhi_epi16(high01, high23));
}

/// One output row's input columns, all row groups.
void interleave_row(const ConvShape& shape, const View& input, int y, int first, __mmask64 lanes,
                    const std::byte* arena, std::byte* columns) {
  const int top = y * shape.stride - shape.padding;
  for (int group = 0; group < row_groups(shape); ++group) {
    const int count = std::min(4, shape.kernel_height - 4 * group);
    const std::byte* rows[4] = {};
    for (int r = 0; r < count; ++r)
      rows[r] = reinterpret_cast<const std::byte*>(
          input.pixel<uint8_t>(arena, top + (4 * group + r) * shape.dilation, -shape.padding) +
          first);
    for (int x = 0; x < columns_of(shape); ++x) {
      interleave(rows, count, lanes, columns);
      columns += kColumnBytes;
      for (int r = 0; r < count; ++r) rows[r] += input.pixel_stride;
    }
  }
}

template <bool kBoxes>
inline Sums window(const ConvShape& shape, int x, const std::byte* columns,
                   const std::byte* weights) {
  Sums sums;
  INSTANTNET_UNROLL
  for (int i = 0; i < kRegisters; ++i) sums.of[i] = sums.boxes[i] = _mm512_setzero_si512();
  const __m512i ones = _mm512_set1_epi8(1);
  for (int group = 0; group < row_groups(shape); ++group)
    for (int s = 0; s < shape.kernel_width; ++s, weights += kColumnBytes) {
      const std::byte* column =
          columns + (int64_t{group} * columns_of(shape) + x * shape.stride + s * shape.dilation) *
                        kColumnBytes;
      INSTANTNET_UNROLL
      for (int i = 0; i < kRegisters; ++i) {
        const __m512i codes = _mm512_load_si512(column + 64 * i);
        dot_bytes(sums.of[i], codes, _mm512_load_si512(weights + 64 * i));
        if constexpr (kBoxes) dot_bytes(sums.boxes[i], codes, ones);
      }
    }
  return sums;
}

/// Sums of equations (3) and (4).
template <bool kBoxes>
inline void complete(Sums& sums, const WeightForm& form, const __m512i* corrections) {
  INSTANTNET_UNROLL
  for (int i = 0; i < kRegisters; ++i) {
    if constexpr (kBoxes) {
      if (form.scale == 2)
        sums.of[i] = _mm512_add_epi32(_mm512_slli_epi32(sums.of[i], 1), sums.boxes[i]);
      else if (form.offset != 0)
        sums.of[i] = _mm512_add_epi32(
            sums.of[i], _mm512_mullo_epi32(sums.boxes[i], _mm512_set1_epi32(form.offset)));
    }
    sums.of[i] = _mm512_add_epi32(sums.of[i], corrections[i]);
  }
}

/// Registers' order to 16 neighbouring channels a register.
inline void to_channel_order(__m512i* x) {
  const __m512i a = _mm512_shuffle_i32x4(x[0], x[1], 0x44);
  const __m512i b = _mm512_shuffle_i32x4(x[0], x[1], 0xEE);
  const __m512i c = _mm512_shuffle_i32x4(x[2], x[3], 0x44);
  const __m512i d = _mm512_shuffle_i32x4(x[2], x[3], 0xEE);
  x[0] = _mm512_shuffle_i32x4(a, c, 0x88);
  x[1] = _mm512_shuffle_i32x4(a, c, 0xDD);
  x[2] = _mm512_shuffle_i32x4(b, d, 0x88);
  x[3] = _mm512_shuffle_i32x4(b, d, 0xDD);
}

/// One target's numbers in registers' order, when sums become its codes at once.
class OrderedCodes {
 public:
  OrderedCodes(const CodeTarget& target, int first, int count) : target_(target) {
    alignas(64) int32_t multipliers[64] = {};
    alignas(64) int64_t offsets[64] = {};
    for (int c = 0; c < count; ++c) {
      multipliers[place_of(c)] = target.requant.multiplier[first + c];
      offsets[place_of(c)] = target.requant.offset[first + c];
    }
    for (int i = 0; i < kRegisters; ++i) {
      channels_[i].multiplier = _mm512_load_si512(multipliers + 16 * i);
      channels_[i].odd_multiplier = odd_lanes(channels_[i].multiplier);
      offsets_[i] = offset_table(offsets + 16 * i, 0xFFFF);
    }
  }

  void finish(const Sums& sums, __mmask64 lanes, std::byte* at) const {
    if (shift_of(target_.requant) == Shift::Long)
      store<Shift::Long>(sums, lanes, at);
    else
      store<Shift::Short>(sums, lanes, at);
  }

 private:
  template <Shift kShift>
  void store(const Sums& sums, __mmask64 lanes, std::byte* at) const {
    __m512i positions[kRegisters];
    INSTANTNET_UNROLL
    for (int i = 0; i < kRegisters; ++i)
      positions[i] = position<false, kShift>(sums.of[i], sums.of[i], channels_[i], offsets_[i],
                                             target_.requant);
    const Requant& requant = target_.requant;
    _mm512_mask_storeu_epi8(at, lanes, bytes_of_registers(positions, requant.least, requant.most));
  }

  const CodeTarget target_;  // a copy: what it is made from may be a temporary
  ChannelTable channels_[kRegisters];
  OffsetTable offsets_[kRegisters];
};

/// What stays the same for all pixels of a block of channels.
struct Block {
  const ConvProblem& problem;
  const ConvCall& call;
  const std::byte* weights;
  int first, count;
  WeightForm form;
  __m512i corrections[kRegisters];
  __mmask64 lanes;
};

template <bool kBoxes>
void finish_in_order(const Block& block, Sums& sums, const Epilogue64& epilogue, int y, int x,
                     std::byte* arena) {
  to_channel_order(sums.of);
  if constexpr (kBoxes) to_channel_order(sums.boxes);
  if (!block.problem.box) return epilogue.finish<kRegisters, false>(sums.of, sums.of, y, x, arena);
  const __m512i zeros =
      _mm512_set1_epi32(block.problem.input.zero * static_cast<int>(block.problem.shape.taps()));
  for (__m512i& box : sums.boxes) box = _mm512_sub_epi32(box, zeros);
  epilogue.finish<kRegisters, true>(sums.of, sums.boxes, y, x, arena);
}

template <bool kBoxes>
void block_rows(const Block& block, const Part& part, std::byte* arena, std::byte* columns) {
  const ConvShape& shape = block.problem.shape;
  const Epilogue& after = block.call.epilogue;
  const bool at_once = !after.to_stream && after.codes.size() == 1 && !block.problem.box &&
                       block.call.borders.count == 1 && after.codes[0].to.element == Element::U8;
  const Epilogue64 general(after, block.call.borders, shape.out_channels, block.first, block.count);
  const OrderedCodes ordered(at_once ? after.codes[0] : CodeTarget{}, block.first,
                             at_once ? block.count : 0);
  for (int y = part.row_begin; y < part.row_end; ++y) {
    interleave_row(shape, block.call.input, y, block.first, block.lanes, arena, columns);
    for (int x = 0; x < shape.out_width; ++x) {
      Sums sums = window<kBoxes>(shape, x, columns, block.weights);
      complete<kBoxes>(sums, block.form, block.corrections);
      if (at_once) {
        ordered.finish(sums, block.lanes, element_at(after.codes[0].to, arena, y, x, block.first));
        continue;
      }
      finish_in_order<kBoxes>(block, sums, general, y, x, arena);
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
    Block block{problem, call, weights, 64 * b, count, form, {}, first_bytes(count)};
    for (int i = 0; i < kRegisters; ++i)
      block.corrections[i] = _mm512_load_si512(weights + corrections + 64 * i);
    if (problem.box || form.needs_box())
      block_rows<true>(block, part, memory.arena, memory.scratch);
    else
      block_rows<false>(block, part, memory.arena, memory.scratch);
  }
}

INSTANTNET_AVX512_END

}  // namespace instantnet::runtime::avx512
