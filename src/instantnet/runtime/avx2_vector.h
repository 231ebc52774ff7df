// AVX2 registers as simd_*.h use them. Included between INSTANTNET_AVX2_BEGIN and _END.
//
// There is no dot product of bytes that is always exact: vpmaddubsw adds two products in 16 bits
// and saturates. Codes and weights so narrow that it cannot are summed in 16 bits for as many steps
// as fit; all others are widened to 16 bits and multiplied by vpmaddwd, whose sums have 32 bits.
#pragma once

namespace instantnet::runtime::simd {

struct Avx2 {
  static constexpr std::string_view kName = "avx2";
  using Int = __m256i;  // 8 numbers of 32 bits
  using Float = __m256;
  struct Wide {  // 8 numbers of 64 bits
    __m256i low, high;
  };
  static constexpr int kLanes = 8;
  static constexpr int kVectors = kBlock / kLanes;

  // ---- 32 bits.

  static INSTANTNET_INLINE Int zero() { return _mm256_setzero_si256(); }
  static INSTANTNET_INLINE Int set1(int32_t x) { return _mm256_set1_epi32(x); }
  static INSTANTNET_INLINE Int load(const void* at) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(at));
  }
  static INSTANTNET_INLINE void store(void* at, Int x) {
    _mm256_storeu_si256(static_cast<__m256i*>(at), x);
  }
  static INSTANTNET_INLINE Int add(Int a, Int b) { return _mm256_add_epi32(a, b); }
  static INSTANTNET_INLINE Int shl(Int x, int places) {
    return _mm256_sll_epi32(x, _mm_cvtsi32_si128(places));
  }
  static INSTANTNET_INLINE Int clamp(Int x, int32_t least, int32_t most) {
    return _mm256_min_epi32(_mm256_max_epi32(x, set1(least)), set1(most));
  }

  // ---- 64 bits.

  static INSTANTNET_INLINE Wide wide_zero() { return {zero(), zero()}; }
  static INSTANTNET_INLINE Wide widen(Int x) {
    return {_mm256_cvtepi32_epi64(_mm256_castsi256_si128(x)),
            _mm256_cvtepi32_epi64(_mm256_extracti128_si256(x, 1))};
  }
  static INSTANTNET_INLINE Wide load_wide(const int64_t* at) { return {load(at), load(at + 4)}; }
  static INSTANTNET_INLINE Wide add(Wide a, Wide b) {
    return {_mm256_add_epi64(a.low, b.low), _mm256_add_epi64(a.high, b.high)};
  }
  static INSTANTNET_INLINE Wide shl(Wide x, int places) {
    const __m128i by = _mm_cvtsi32_si128(places);
    return {_mm256_sll_epi64(x.low, by), _mm256_sll_epi64(x.high, by)};
  }
  /// x >> places, places <= 32, of which the result's 32 bits are wanted.
  static INSTANTNET_INLINE Int narrow(Wide x, int places) {
    const __m128i by = _mm_cvtsi32_si128(places);
    const __m256i evens = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
    const __m256i low = _mm256_permutevar8x32_epi32(_mm256_srl_epi64(x.low, by), evens);
    const __m256i high = _mm256_permutevar8x32_epi32(_mm256_srl_epi64(x.high, by), evens);
    return _mm256_blend_epi32(low, high, 0xF0);
  }

  // ---- Dot products of a step: 4 channels of bytes, or 2 of 16 bits.

  /// Steps whose sums of bytes fit 16 bits, for codes up to x and weights up to w.
  static int byte_steps(int x, int w) { return 32767 / (2 * x * w); }
  static constexpr int kLeastByteSteps = 4;  // fewer are slower than 16-bit products
  static constexpr int kCodeOffset = 0;      // what load_bytes takes from codes
  static constexpr bool kBytesWiden = true;  // sums of bytes have 16 bits until byte_sum
  static constexpr int kStepsAtOnce = 1;     // of load_bytes
  using Bytes = __m256i;
  static INSTANTNET_INLINE Bytes load_bytes(const std::byte* at) { return load_words(at); }
  template <int kStep>
  static INSTANTNET_INLINE void dot_bytes(Int& sum, Bytes codes, Int weights) {
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, weights));
  }
  static INSTANTNET_INLINE Int byte_sum(Int x) {
    return _mm256_madd_epi16(x, _mm256_set1_epi16(1));
  }

  /// A step's two codes, in all lanes.
  using Words = __m256i;
  static INSTANTNET_INLINE Words load_words(const std::byte* at) {
    int32_t two;
    std::memcpy(&two, at, sizeof two);
    return _mm256_set1_epi32(two);
  }
  static INSTANTNET_INLINE void dot_words(Int& sum, Words codes, Int weights) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(codes, weights));
  }
  static INSTANTNET_INLINE Words low_byte(Words x) {
    return _mm256_and_si256(x, _mm256_set1_epi16(0xFF));
  }
  static INSTANTNET_INLINE Words high_byte(Words x) { return _mm256_srli_epi16(x, 8); }
  /// The two numbers of a step lie side by side in a lane.
  static constexpr bool kWordPairs = true;

  /// Output pixels of a tile, so that sums, weights and codes fit the registers.
  static constexpr int byte_pixels(int vectors) { return vectors == 2 ? 6 : 8; }
  static constexpr int word_pixels(int vectors) { return vectors == 2 ? 6 : 8; }
  static constexpr int plane_pixels(int vectors) { return vectors == 2 ? 2 : 4; }

  // ---- Products lane by lane, for depthwise convolutions.

  /// Two taps of 16-bit codes, sums of 32 bits.
  static constexpr int kWordTaps = 2;
  static constexpr int kColumnPixels = 4, kPlaneColumnPixels = 2;
  using Column = __m256i;
  static INSTANTNET_INLINE Column load_column(const std::byte* at) { return load(at); }
  static INSTANTNET_INLINE void dot_column(Int& sum, Column codes, Column weights) {
    dot_words(sum, codes, weights);
  }
  /// `x` for the first `count` taps, 0 for the others.
  static INSTANTNET_INLINE Column column_of(int x, int count) {
    return set1(count == 2 ? x | x << 16 : x);
  }
  /// 16 channels of two columns (one when count is 1), byte codes or 16-bit ones, side by side.
  static INSTANTNET_INLINE void interleave_words(const std::byte* const* columns, int count,
                                                 bool bytes, std::byte* to) {
    if (bytes) {
      const __m128i a = load_half(columns[0]);
      const __m128i b = count > 1 ? load_half(columns[1]) : _mm_setzero_si128();
      store(to, _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)));
      store(to + 32, _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b)));
      return;
    }
    const __m256i a = load(columns[0]), b = count > 1 ? load(columns[1]) : zero();
    const __m256i low = _mm256_unpacklo_epi16(a, b), high = _mm256_unpackhi_epi16(a, b);
    store(to, _mm256_permute2x128_si256(low, high, 0x20));
    store(to + 32, _mm256_permute2x128_si256(low, high, 0x31));
  }

  /// Two taps of byte codes, sums of 16 channels in 16 bits.
  static constexpr int kByteTaps = 2, kByteRegisters = 1;
  static bool takes_byte_columns(int x, int w, int64_t taps) { return taps * x * w <= 32767; }
  static INSTANTNET_INLINE void dot_byte_column(Int& sum, Int codes, Int weights) {
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, weights));
  }
  static INSTANTNET_INLINE Int byte_ones(int count) {
    return _mm256_set1_epi16(count == 2 ? 0x0101 : 0x0001);
  }
  static INSTANTNET_INLINE void interleave_bytes(const std::byte* const* columns, int count,
                                                 std::byte* to) {
    const __m128i a = load_half(columns[0]);
    const __m128i b = count > 1 ? load_half(columns[1]) : _mm_setzero_si128();
    auto* at = reinterpret_cast<__m128i*>(to);
    _mm_storeu_si128(at, _mm_unpacklo_epi8(a, b));
    _mm_storeu_si128(at + 1, _mm_unpackhi_epi8(a, b));
  }
  /// Sums of byte columns as 32-bit numbers.
  static INSTANTNET_INLINE void widen_columns(const Int* sums, Int* to) {
    to[0] = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(sums[0]));
    to[1] = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(sums[0], 1));
  }

  // ---- Equation (5).

  /// The numbers of 8 channels as 64-bit products come: of the even lanes, of the odd ones.
  struct Channels {
    __m256i multiplier, odd_multiplier, box_multiplier, odd_box_multiplier;
  };
  struct Offsets {
    __m256i even, odd;
  };
  /// What comes after the multiplication, with the shift's 32 places less where kLong.
  struct Rounding {
    __m128i places;
    int32_t least, most;
  };
  static Rounding rounding(const Requant& requant) {
    const int places = requant.shift >= 32 ? requant.shift - 32 : requant.shift;
    return {_mm_cvtsi32_si128(places), requant.least, requant.most};
  }
  /// The ends of a grid, in elements of its codes.
  struct Limits {
    __m256i least, most;
  };
  static Limits limits(const CodeTarget& target) {
    const int32_t least = target.requant.least, most = target.requant.most;
    if (target.to.element == Element::U8)
      return {_mm256_set1_epi8(static_cast<char>(least)),
              _mm256_set1_epi8(static_cast<char>(most))};
    return {_mm256_set1_epi16(static_cast<int16_t>(least)),
            _mm256_set1_epi16(static_cast<int16_t>(most))};
  }

  static INSTANTNET_INLINE Int odd_lanes(Int x) { return _mm256_srli_epi64(x, 32); }
  static INSTANTNET_INLINE Channels channels(const int32_t* multiplier,
                                             const int32_t* box_multiplier) {
    const Int m = load(multiplier), b = box_multiplier == nullptr ? zero() : load(box_multiplier);
    return {m, odd_lanes(m), b, odd_lanes(b)};
  }
  static INSTANTNET_INLINE Offsets offsets(const int64_t* at) {
    const __m256i low = load(at), high = load(at + 4);
    const __m256i even = _mm256_unpacklo_epi64(low, high);  // 0 4 2 6
    const __m256i odd = _mm256_unpackhi_epi64(low, high);   // 1 5 3 7
    return {_mm256_permute4x64_epi64(even, 0xD8), _mm256_permute4x64_epi64(odd, 0xD8)};
  }

  /// (sum multiplier + box box_multiplier + offset) >> shift, brought into least .. most where 32
  /// bits might not hold it. kLong: the shift is 32 at least, so that upper halves are enough.
  template <bool kBox, bool kLong>
  static INSTANTNET_INLINE Int position(Int sum, Int box, const Channels& c, const Offsets& offset,
                                        const Rounding& rounding) {
    __m256i even = _mm256_add_epi64(_mm256_mul_epi32(sum, c.multiplier), offset.even);
    __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(odd_lanes(sum), c.odd_multiplier), offset.odd);
    if constexpr (kBox) {
      even = _mm256_add_epi64(even, _mm256_mul_epi32(box, c.box_multiplier));
      odd = _mm256_add_epi64(odd, _mm256_mul_epi32(odd_lanes(box), c.odd_box_multiplier));
    }
    if constexpr (kLong) {
      const __m256i halves = _mm256_blend_epi32(odd_lanes(even), odd, 0xAA);
      return _mm256_sra_epi32(halves, rounding.places);
    } else {
      even = clamp64(shifted(even, rounding.places), rounding.least, rounding.most);
      odd = clamp64(shifted(odd, rounding.places), rounding.least, rounding.most);
      return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    }
  }

  /// Registers of positions as codes within the limits.
  template <int kCount>
  static INSTANTNET_INLINE void store_bytes(std::byte* to, const Int* x, const Limits& limits) {
    // 128-bit lanes of words: 0-3 of x[0], 0-3 of x[1]; 4-7 of each.
    const __m256i words = _mm256_packs_epi32(x[0], x[kCount - 1]);
    const __m256i bytes = _mm256_packus_epi16(words, words);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5);
    __m128i codes = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(bytes, order));
    codes = _mm_max_epu8(codes, _mm256_castsi256_si128(limits.least));
    codes = _mm_min_epu8(codes, _mm256_castsi256_si128(limits.most));
    auto* at = reinterpret_cast<__m128i*>(to);
    if constexpr (kCount == 2)
      _mm_storeu_si128(at, codes);
    else
      _mm_storel_epi64(at, codes);
  }
  template <int kCount>
  static INSTANTNET_INLINE void store_words(std::byte* to, const Int* x, const Limits& limits) {
    __m256i codes = _mm256_permute4x64_epi64(_mm256_packus_epi32(x[0], x[kCount - 1]), 0xD8);
    codes = _mm256_min_epu16(_mm256_max_epu16(codes, limits.least), limits.most);
    if constexpr (kCount == 2)
      store(to, codes);
    else
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(codes));
  }

  // ---- Sums of codes.

  static int32_t sum_of_bytes(const uint8_t* codes, int count) {
    __m256i sums = zero();
    int c = 0;
    for (; c + 32 <= count; c += 32)
      sums = _mm256_add_epi64(sums, _mm256_sad_epu8(load(codes + c), zero()));
    __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    for (; c + 8 <= count; c += 8)
      half = _mm_add_epi64(
          half, _mm_sad_epu8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes + c)),
                             _mm_setzero_si128()));
    int32_t sum = _mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 2);
    for (; c < count; ++c) sum += codes[c];
    return sum;
  }

  // ---- float32.

  static constexpr int kFloatPixels = 6, kFloatColumnPixels = 4;
  static INSTANTNET_INLINE Float float_zero() { return _mm256_setzero_ps(); }
  static INSTANTNET_INLINE Float float_set1(float x) { return _mm256_set1_ps(x); }
  static INSTANTNET_INLINE Float float_load(const float* at) { return _mm256_loadu_ps(at); }
  static INSTANTNET_INLINE void float_store(float* at, Float x) { _mm256_storeu_ps(at, x); }
  static INSTANTNET_INLINE Float float_add(Float a, Float b) { return _mm256_add_ps(a, b); }
  static INSTANTNET_INLINE Float float_multiply(Float a, Float b) { return _mm256_mul_ps(a, b); }
  static INSTANTNET_INLINE Float float_clamp(Float x, float least, float most) {
    return _mm256_min_ps(_mm256_max_ps(x, float_set1(least)), float_set1(most));
  }
  /// a b + c, rounded once.
  static INSTANTNET_INLINE Float fma(Float a, Float b, Float c) { return _mm256_fmadd_ps(a, b, c); }

 private:
  static INSTANTNET_INLINE __m128i load_half(const std::byte* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  }
  /// Arithmetic shift of 64 bits.
  static INSTANTNET_INLINE __m256i shifted(__m256i x, __m128i places) {
    const __m256i top = _mm256_set1_epi64x(INT64_MIN);
    return _mm256_sub_epi64(_mm256_srl_epi64(_mm256_xor_si256(x, top), places),
                            _mm256_srl_epi64(top, places));
  }
  static INSTANTNET_INLINE __m256i clamp64(__m256i x, int32_t least, int32_t most) {
    const __m256i low = _mm256_set1_epi64x(least), high = _mm256_set1_epi64x(most);
    x = _mm256_blendv_epi8(x, low, _mm256_cmpgt_epi64(low, x));
    return _mm256_blendv_epi8(x, high, _mm256_cmpgt_epi64(x, high));
  }
};

}  // namespace instantnet::runtime::simd
