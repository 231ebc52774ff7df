#include "instantnet/runtime/avx512_depthwide.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "instantnet/runtime/avx512_box.h"
#include "instantnet/runtime/avx512_epilogue.h"
#include "instantnet/runtime/avx512_layout.h"

namespace instantnet::runtime::avx512 {
namespace {

constexpr int kChannels = 16;  // of a register
/// Output pixels whose sums are made before the epilogue takes them, and at once.
constexpr int kRun = 16, kAtOnce = 4;

int vectors_of(const ConvShape& shape) { return (shape.channels + kChannels - 1) / kChannels; }

/// W of 16 channels, one window position after the other, then -zero times the sum of W.
int64_t vector_bytes(const ConvShape& shape) { return shape.taps() * 64 + 128; }

}  // namespace

size_t depthwide_packed_bytes(const ConvProblem& problem) {
  return static_cast<size_t>(vectors_of(problem.shape) * vector_bytes(problem.shape));
}

void depthwide_pack(const ConvProblem& problem, const WeightSource& weights, std::byte* packed) {
  const ConvShape& shape = problem.shape;
  std::memset(packed, 0, depthwide_packed_bytes(problem));
  std::vector<uint16_t> codes(static_cast<size_t>(shape.taps()));
  for (int c = 0; c < shape.channels; ++c) {
    weights.narrow(problem.weight_bits, c * shape.taps(), shape.taps(), codes.data());
    std::byte* vector = packed + c / kChannels * vector_bytes(shape);
    auto* numbers = reinterpret_cast<int32_t*>(vector);
    int64_t sum = 0;
    for (size_t i = 0; i < codes.size(); ++i) {
      const int w = whole_weight(problem.lattice, problem.weight_bits, codes[i]);
      numbers[i * kChannels + static_cast<size_t>(c % kChannels)] = w;
      sum += w;
    }
    reinterpret_cast<int64_t*>(vector + shape.taps() * 64)[c % kChannels] =
        -problem.input.zero * sum;
  }
}

INSTANTNET_AVX512_BEGIN

namespace {

/// What stays the same for all pixels of a block of up to 64 channels.
struct Block {
  const ConvProblem& problem;
  const std::byte* weights;
  const int64_t* taps;  // bytes from a pixel to each window position
  int sum_shift;
};

/// 16 codes; lanes beyond the channels have no weight.
template <class Code>
inline __m512i codes_at(const std::byte* at) {
  if constexpr (sizeof(Code) == 1)
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  else
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}

/// 64-bit sums of even and odd lanes, shifted, as 32-bit ones.
inline __m512i joined(__m512i even, __m512i odd, __m128i shift) {
  even = _mm512_sra_epi64(even, shift);
  return _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(_mm512_sra_epi64(odd, shift), 32));
}

/// Complete sums of kAtOnce pixels' 16 channels, and sums of their stored codes.
template <class Code, bool kWide>
void sum_four(const Block& block, const std::byte* weights, const std::byte* const* windows,
              int vectors, __m512i* sums, __m512i* boxes) {
  const __m512i zero = _mm512_setzero_si512();
  __m512i even[kAtOnce] = {zero, zero, zero, zero}, odd[kAtOnce] = {zero, zero, zero, zero};
  __m512i box[kAtOnce] = {zero, zero, zero, zero};
  const int taps = static_cast<int>(block.problem.shape.taps());
  for (int tap = 0; tap < taps; ++tap) {
    const __m512i w = _mm512_load_si512(weights + 64 * tap);
    INSTANTNET_UNROLL
    for (int p = 0; p < kAtOnce; ++p) {
      const __m512i x = codes_at<Code>(windows[p] + block.taps[tap]);
      box[p] = _mm512_add_epi32(box[p], x);
      if constexpr (kWide) {
        even[p] = _mm512_add_epi64(even[p], _mm512_mul_epi32(x, w));
        odd[p] = _mm512_add_epi64(odd[p], _mm512_mul_epi32(odd_lanes(x), odd_lanes(w)));
      } else {
        even[p] = _mm512_add_epi32(even[p], _mm512_mullo_epi32(x, w));
      }
    }
  }
  const std::byte* corrections = weights + int64_t{64} * taps;
  const __m512i low = _mm512_load_si512(corrections), high = _mm512_load_si512(corrections + 64);
  const __m128i shift = _mm_cvtsi32_si128(block.sum_shift);
  const __m512i evens = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
  const __m512i odds = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
  const __m512i even_correction = _mm512_permutex2var_epi64(low, evens, high);
  const __m512i odd_correction = _mm512_permutex2var_epi64(low, odds, high);
  const __m512i correction =
      _mm512_mask_blend_epi32(0xAAAA, even_correction, _mm512_slli_epi64(odd_correction, 32));
  INSTANTNET_UNROLL
  for (int p = 0; p < kAtOnce; ++p) {
    sums[p * vectors] = kWide ? joined(_mm512_add_epi64(even[p], even_correction),
                                       _mm512_add_epi64(odd[p], odd_correction), shift)
                              : _mm512_add_epi32(even[p], correction);
    boxes[p * vectors] = box[p];
  }
}

template <int kVectors>
INSTANTNET_OUT_OF_LINE void finish(const Block& block, __m512i* sums, __m512i* boxes,
                                   const Epilogue64& epilogue, const PixelRun& pixels,
                                   std::byte* arena) {
  if (!block.problem.box && epilogue.takes_runs())
    return epilogue.finish_run(kVectors, sums, pixels, arena);
  const __m512i zeros =
      _mm512_set1_epi32(block.problem.input.zero * static_cast<int>(block.problem.shape.taps()));
  for (int p = 0; p < pixels.count; ++p, sums += kVectors, boxes += kVectors) {
    for (int v = 0; v < kVectors; ++v) boxes[v] = _mm512_sub_epi32(boxes[v], zeros);
    if (block.problem.box)
      epilogue.finish<kVectors, true>(sums, boxes, pixels.y[p], pixels.x[p], arena);
    else
      epilogue.finish<kVectors, false>(sums, boxes, pixels.y[p], pixels.x[p], arena);
  }
}

using FinishFunction = void (*)(const Block&, __m512i*, __m512i*, const Epilogue64&,
                                const PixelRun&, std::byte*);
constexpr FinishFunction kFinish[kMostVectors] = {finish<1>, finish<2>, finish<3>, finish<4>};

template <class Code, bool kWide>
void block_rows(const Block& block, const View& input, const Part& part, const Epilogue64& epilogue,
                int first, int vectors, std::byte* arena) {
  const ConvShape& shape = block.problem.shape;
  __m512i sums[kRun * kMostVectors], boxes[kRun * kMostVectors];
  const std::byte* windows[kRun];
  int ys[kRun], xs[kRun];
  for (int y = part.row_begin; y < part.row_end; ++y)
    for (int x = 0; x < shape.out_width; x += kRun) {
      const int count = std::min(kRun, shape.out_width - x);
      for (int p = 0; p < kRun; ++p) {
        ys[p] = y;
        xs[p] = x + std::min(p, count - 1);
        windows[p] = reinterpret_cast<const std::byte*>(
            input.pixel<Code>(arena, y * shape.stride - shape.padding,
                              xs[p] * shape.stride - shape.padding) +
            first);
      }
      for (int v = 0; v < vectors; ++v) {
        const std::byte* weights = block.weights + v * vector_bytes(shape);
        const std::byte* of_vector[kRun];
        for (int p = 0; p < kRun; ++p)
          of_vector[p] = windows[p] + v * kChannels * static_cast<int64_t>(sizeof(Code));
        for (int p = 0; p < count; p += kAtOnce)
          sum_four<Code, kWide>(block, weights, of_vector + p, vectors, sums + p * vectors + v,
                                boxes + p * vectors + v);
      }
      kFinish[vectors - 1](block, sums, boxes, epilogue, {ys, xs, count}, arena);
    }
}

using RowsFunction = void (*)(const Block&, const View&, const Part&, const Epilogue64&, int, int,
                              std::byte*);

}  // namespace

void depthwide_convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                        const Memory& memory) {
  const ConvShape& shape = problem.shape;
  const bool bytes = call.input.element == Element::U8;
  const int64_t element = bytes_of(call.input.element);
  std::array<int64_t, kMostWindow> taps;
  for (int r = 0; r < shape.kernel_height; ++r)
    for (int s = 0; s < shape.kernel_width; ++s)
      taps[static_cast<size_t>(r * shape.kernel_width + s)] =
          (r * call.input.row_stride + s * call.input.pixel_stride) * shape.dilation * element;
  const Requant& requant =
      call.epilogue.to_stream ? call.epilogue.requant : call.epilogue.codes[0].requant;
  for (int first = 0; first < shape.channels; first += 64) {
    const int count = std::min(64, shape.channels - first);
    const int vectors = (count + kChannels - 1) / kChannels;
    const Block block{problem, call.weights + first / kChannels * vector_bytes(shape), taps.data(),
                      requant.sum_shift};
    const Epilogue64 epilogue(call.epilogue, call.borders, shape.out_channels, first, count);
    RowsFunction rows = problem.wide ? block_rows<uint16_t, true> : block_rows<uint16_t, false>;
    if (bytes) rows = problem.wide ? block_rows<uint8_t, true> : block_rows<uint8_t, false>;
    rows(block, call.input, part, epilogue, first, vectors, memory.arena);
  }
}

INSTANTNET_AVX512_END

}  // namespace instantnet::runtime::avx512
