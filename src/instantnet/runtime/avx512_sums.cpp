#include "instantnet/runtime/avx512_sums.h"

#include <immintrin.h>

#include <algorithm>

#include "instantnet/runtime/avx512_target.h"

namespace instantnet::runtime::avx512 {

INSTANTNET_AVX512_BEGIN

namespace {

constexpr int64_t kEach = 32;  // 16-bit numbers of a register
/// A lane's 32 bits take two numbers of at most 2^15 each time.
constexpr int64_t kPiece = 16384 * kEach;

/// 16 numbers of 32 bits.
inline int64_t total(__m512i numbers) {
  return _mm512_reduce_add_epi64(
      _mm512_add_epi64(_mm512_cvtepi32_epi64(_mm512_castsi512_si256(numbers)),
                       _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(numbers, 1))));
}

}  // namespace

CodeSums sum_nested(const uint16_t* master, int64_t count, int shift, int bits) {
  const __m512i half = _mm512_set1_epi16(static_cast<int16_t>(1 << (bits - 1)));
  const __m512i ones = _mm512_set1_epi16(1), minus = _mm512_set1_epi16(-1);
  const __m128i places = _mm_cvtsi32_si128(shift);
  CodeSums sums;
  for (int64_t start = 0; start < count; start += kPiece) {
    const int64_t end = std::min(count, start + kPiece);
    __m512i sum = _mm512_setzero_si512(), size = _mm512_setzero_si512();
    for (int64_t i = start; i < end; i += kEach) {
      const __mmask32 lanes = end - i >= kEach ? ~__mmask32{0} : (__mmask32{1} << (end - i)) - 1;
      const __m512i code = _mm512_srl_epi16(_mm512_maskz_loadu_epi16(lanes, master + i), places);
      const __m512i p = _mm512_maskz_sub_epi16(lanes, code, half);
      // Lanes without a number have p = 0 and add 0.
      const __m512i without_sign = _mm512_max_epi16(p, _mm512_xor_si512(p, minus));
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(p, ones));
      size = _mm512_add_epi32(size, _mm512_madd_epi16(without_sign, ones));
    }
    sums.sum += total(sum);
    sums.size += total(size);
  }
  return sums;
}

INSTANTNET_AVX512_END

}  // namespace instantnet::runtime::avx512
