#include "instantnet/runtime/avx512_box.h"

#include <immintrin.h>

#include <algorithm>

#include "instantnet/runtime/avx512_target.h"

namespace instantnet::runtime::avx512 {

namespace {

int64_t whole_registers(int64_t numbers) { return (numbers + 15) / 16 * 16; }

}  // namespace

INSTANTNET_AVX512_BEGIN

namespace {

int32_t sum_of_bytes(const uint8_t* codes, int count) {
  __m512i sum = _mm512_setzero_si512();
  for (int c = 0; c < count; c += 64) {
    const __mmask64 lanes = count - c >= 64 ? ~__mmask64{0} : (__mmask64{1} << (count - c)) - 1;
    sum = _mm512_add_epi64(
        sum, _mm512_sad_epu8(_mm512_maskz_loadu_epi8(lanes, codes + c), _mm512_setzero_si512()));
  }
  return static_cast<int32_t>(_mm512_reduce_add_epi64(sum));
}

/// The same of up to 16 codes.
int32_t sum_of_few_bytes(const uint8_t* codes, __mmask16 lanes) {
  const __m128i sums = _mm_sad_epu8(_mm_maskz_loadu_epi8(lanes, codes), _mm_setzero_si128());
  return _mm_cvtsi128_si32(sums) + _mm_extract_epi32(sums, 2);
}

int32_t sum_of_words(const uint16_t* codes, int count) {
  int32_t sum = 0;
  for (int c = 0; c < count; ++c) sum += codes[c];
  return sum;
}

/// Sum over the group's channels of one pixel.
int32_t pixel_sum(const View& input, const std::byte* arena, int y, int x, int first, int count) {
  if (input.element == Element::U16)
    return sum_of_words(input.pixel<uint16_t>(arena, y, x) + first, count);
  const uint8_t* codes = input.pixel<uint8_t>(arena, y, x) + first;
  if (count <= 16) return sum_of_few_bytes(codes, static_cast<__mmask16>((1U << count) - 1));
  return sum_of_bytes(codes, count);
}

/// Two registers' neighbouring pairs of 64-bit numbers added: a's in the even places.
inline __m512i pairs(__m512i a, __m512i b) {
  return _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/// Each of four registers' eight 64-bit numbers added: four numbers of 32 bits.
inline __m128i sums_of_four(const __m512i* x) {
  const __m512i two = pairs(x[0], x[1]), others = pairs(x[2], x[3]);
  // Number 2 lane + i of `two` belongs to register i.
  const __m512i all = _mm512_add_epi64(_mm512_shuffle_i64x2(two, others, 0x88),
                                       _mm512_shuffle_i64x2(two, others, 0xDD));
  const __m512i both = _mm512_add_epi64(all, _mm512_shuffle_i64x2(all, all, 0xB1));
  // 0 and 1 of registers 0 and 1, 4 and 5 of 2 and 3.
  const __m512i order = _mm512_setr_epi64(0, 1, 4, 5, 0, 1, 4, 5);
  return _mm256_castsi256_si128(_mm512_cvtepi64_epi32(_mm512_permutexvar_epi64(order, both)));
}

/// Sums of `count` pixels of kChannels bytes each (16, 32), one behind the other. Reads and writes
/// whole registers.
template <int kChannels>
void sum_small_pixels(const uint8_t* codes, int count, int32_t* sums) {
  static_assert(kChannels == 16 || kChannels == 32);
  const __m512i zero = _mm512_setzero_si512();
  const auto halves = [&](int i) INSTANTNET_INLINE_LAMBDA {
    return _mm512_sad_epu8(_mm512_loadu_si512(codes + 64 * i), zero);
  };
  // 8 pixels of 16 bytes, or 4 of 32, in two registers.
  constexpr int kEach = 128 / kChannels;
  for (int x = 0; x < count; x += kEach, codes += 128, sums += kEach) {
    const __m512i a = halves(0), b = halves(1);
    if constexpr (kChannels == 16) {
      // Pixel 2 i of a and of b and so on: in their places after the pairs are put apart.
      const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums),
                          _mm512_cvtepi64_epi32(_mm512_permutexvar_epi64(order, pairs(a, b))));
    } else {
      const __m512i both = pairs(a, b);  // halves of pixel i at 4 i and 4 i + 2, of b one on
      const __m512i moved = _mm512_add_epi64(both, _mm512_shuffle_i64x2(both, both, 0xB1));
      const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 0, 4, 1, 5);
      _mm_storeu_si128(
          reinterpret_cast<__m128i*>(sums),
          _mm256_castsi256_si128(_mm512_cvtepi64_epi32(_mm512_permutexvar_epi64(order, moved))));
    }
  }
}

/// The same of pixels of a multiple of 64 bytes.
void sum_large_pixels(const uint8_t* codes, int channels, int count, int32_t* sums) {
  const __m512i zero = _mm512_setzero_si512();
  int x = 0;
  for (; x + 4 <= count; x += 4, codes += 4 * channels) {
    __m512i four[4] = {zero, zero, zero, zero};
    for (int c = 0; c < channels; c += 64) {
      INSTANTNET_UNROLL
      for (int i = 0; i < 4; ++i)
        four[i] = _mm512_add_epi64(
            four[i], _mm512_sad_epu8(_mm512_loadu_si512(codes + i * channels + c), zero));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sums + x), sums_of_four(four));
  }
  for (; x < count; ++x, codes += channels) sums[x] = sum_of_bytes(codes, channels);
}

/// The same of pixels of 4 bytes, of which the first `channels` count.
void sum_tiny_pixels(const uint8_t* codes, int channels, int count, int32_t* sums) {
  const __m512i ones = _mm512_set1_epi32(static_cast<int>(0x01010101U >> 8 * (4 - channels)));
  for (int x = 0; x < count; x += 16)
    _mm512_storeu_si512(sums + x, _mm512_dpbusd_epi32(_mm512_setzero_si512(),
                                                      _mm512_loadu_si512(codes + 4 * x), ones));
}

/// Sums of the pixels of one row, halo included, when they are bytes one behind the other; false
/// when they are not. `behind`: bytes that can be read behind the row.
bool sum_row(const ConvShape& shape, const View& input, const uint8_t* codes, int count,
             int64_t behind, int32_t* sums) {
  if (input.element != Element::U8 || shape.groups != 1) return false;
  const int channels = shape.channels;
  if (input.pixel_stride == 4) return sum_tiny_pixels(codes, channels, count, sums), true;
  if (input.pixel_stride != channels) return false;
  if (channels % 64 == 0) return sum_large_pixels(codes, channels, count, sums), true;
  if (behind < 112) return false;
  if (channels == 16) return sum_small_pixels<16>(codes, count, sums), true;
  if (channels == 32) return sum_small_pixels<32>(codes, count, sums), true;
  return false;
}

/// to[x] = sum over i of from[i * apart + x]; whole registers.
void sum_down(const int32_t* from, int64_t apart, int terms, int count, int32_t* to) {
  for (int x = 0; x < count; x += 16) {
    __m512i sum = _mm512_loadu_si512(from + x);
    for (int i = 1; i < terms; ++i)
      sum = _mm512_add_epi32(sum, _mm512_loadu_si512(from + i * apart + x));
    _mm512_storeu_si512(to + x, sum);
  }
}

/// to[x] = sum over s of from[x * stride + s * dilation]; whole registers where the stride is 1.
void sum_windows(const ConvShape& shape, const int32_t* from, int32_t* to) {
  if (shape.stride == 1)
    return sum_down(from, shape.dilation, shape.kernel_width, shape.out_width, to);
  for (int x = 0; x < shape.out_width; ++x) {
    int32_t sum = 0;
    for (int s = 0; s < shape.kernel_width; ++s) sum += from[x * shape.stride + s * shape.dilation];
    to[x] = sum;
  }
}

}  // namespace

BoxSums sum_boxes(const ConvProblem& problem, const View& input, const Part& part, int group,
                  const std::byte* arena, std::byte* scratch) {
  const ConvShape& shape = problem.shape;
  const int columns = shape.width + 2 * shape.padding;
  const int channels = shape.group_channels();
  auto* pixels = reinterpret_cast<int32_t*>(scratch);
  int32_t* column_sums = pixels + int64_t{columns} * (shape.height + 2 * shape.padding);
  int32_t* sums = column_sums + whole_registers(columns);
  const int first = part.row_begin * shape.stride;
  const int last =
      std::min((part.row_end - 1) * shape.stride + (shape.kernel_height - 1) * shape.dilation,
               shape.height + 2 * shape.padding - 1);
  for (int y = first; y <= last; ++y) {
    const uint8_t* codes = input.pixel<uint8_t>(arena, y - shape.padding, -shape.padding);
    // What can be read behind the row: later rows, and 64 bytes behind the last.
    const int64_t behind =
        int64_t{shape.height + 2 * shape.padding - 1 - y} * input.row_stride + 64;
    if (sum_row(shape, input, codes, columns, behind, pixels + int64_t{y} * columns)) continue;
    for (int x = 0; x < columns; ++x)
      pixels[int64_t{y} * columns + x] =
          pixel_sum(input, arena, y - shape.padding, x - shape.padding, group * channels, channels);
  }
  for (int y = part.row_begin; y < part.row_end; ++y) {
    const int32_t* row = pixels + int64_t{y} * shape.stride * columns;
    sum_down(row, int64_t{shape.dilation} * columns, shape.kernel_height, columns, column_sums);
    sum_windows(shape, column_sums, sums + int64_t{y - part.row_begin} * shape.out_width);
  }
  return {sums, part.row_begin, shape.out_width};
}

INSTANTNET_AVX512_END

}  // namespace instantnet::runtime::avx512
