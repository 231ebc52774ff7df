#include "instantnet/runtime/avx512_box.h"

#include <immintrin.h>

#include <algorithm>

#include "instantnet/runtime/avx512_target.h"

namespace instantnet::runtime::avx512 {

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

/// Sums of `count` pixels of `channels` bytes each, a multiple of 16, one behind the other.
void sum_pixels(const uint8_t* codes, int channels, int count, int32_t* sums) {
  const int pieces = channels / 16;
  const __m512i zero = _mm512_setzero_si512();
  const __m512i evens = _mm512_setr_epi64(0, 2, 4, 6, 0, 2, 4, 6);
  int x = 0;
  for (; x + 4 <= count; x += 4, codes += 4 * channels) {
    __m512i halves = zero;  // two 64-bit sums a pixel
    for (int piece = 0; piece < pieces; ++piece) {
      const uint8_t* at = codes + 16 * piece;
      const auto piece_of = [&](int pixel) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + pixel * channels));
      };
      __m512i four = _mm512_castsi128_si512(piece_of(0));
      four = _mm512_inserti32x4(four, piece_of(1), 1);
      four = _mm512_inserti32x4(four, piece_of(2), 2);
      four = _mm512_inserti32x4(four, piece_of(3), 3);
      halves = _mm512_add_epi64(halves, _mm512_sad_epu8(four, zero));
    }
    const __m512i both = _mm512_add_epi64(halves, _mm512_shuffle_epi32(halves, _MM_PERM_BADC));
    const __m256i narrow = _mm512_cvtepi64_epi32(_mm512_permutexvar_epi64(evens, both));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(sums + x), _mm256_castsi256_si128(narrow));
  }
  for (; x < count; ++x, codes += channels) sums[x] = sum_of_bytes(codes, channels);
}

/// Whether a row of pixels is one run of bytes that sum_pixels takes.
bool contiguous(const ConvShape& shape, const View& input) {
  return input.element == Element::U8 && input.pixel_stride == shape.channels &&
         shape.groups == 1 && shape.channels % 16 == 0;
}

}  // namespace

BoxSums sum_boxes(const ConvProblem& problem, const View& input, const Part& part, int group,
                  const std::byte* arena, std::byte* scratch) {
  const ConvShape& shape = problem.shape;
  const int columns = shape.width + 2 * shape.padding;
  const int channels = shape.group_channels();
  auto* pixels = reinterpret_cast<int32_t*>(scratch);
  int32_t* column_sums = pixels + int64_t{columns} * (shape.height + 2 * shape.padding);
  int32_t* sums = column_sums + columns;
  const int first = part.row_begin * shape.stride;
  const int last =
      std::min((part.row_end - 1) * shape.stride + (shape.kernel_height - 1) * shape.dilation,
               shape.height + 2 * shape.padding - 1);
  const bool runs = contiguous(shape, input);
  for (int y = first; y <= last; ++y) {
    if (runs) {
      sum_pixels(input.pixel<uint8_t>(arena, y - shape.padding, -shape.padding), channels, columns,
                 pixels + int64_t{y} * columns);
      continue;
    }
    for (int x = 0; x < columns; ++x)
      pixels[int64_t{y} * columns + x] =
          pixel_sum(input, arena, y - shape.padding, x - shape.padding, group * channels, channels);
  }
  for (int y = part.row_begin; y < part.row_end; ++y) {
    const int32_t* row = pixels + int64_t{y} * shape.stride * columns;
    std::fill_n(column_sums, columns, 0);
    for (int r = 0; r < shape.kernel_height; ++r)
      for (int x = 0; x < columns; ++x)
        column_sums[x] += row[int64_t{r} * shape.dilation * columns + x];
    int32_t* to = sums + int64_t{y - part.row_begin} * shape.out_width;
    std::fill_n(to, shape.out_width, 0);
    for (int s = 0; s < shape.kernel_width; ++s)
      for (int x = 0; x < shape.out_width; ++x)
        to[x] += column_sums[x * shape.stride + s * shape.dilation];
  }
  return {sums, part.row_begin, shape.out_width};
}

INSTANTNET_AVX512_END

}  // namespace instantnet::runtime::avx512
