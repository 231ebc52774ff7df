// NEON registers as simd_*.h use them, with dot products of signed bytes (kDot) or without.
//
// Codes are unsigned bytes, and there is no product of those with signed weights that all
// processors have: 128 is taken from each code, and 128 times the sum of the weights added to the
// channel's constant. Without dot products, and above 8 bits, all is multiplied in 16 bits.
#pragma once

namespace instantnet::runtime::simd {

template <bool kDot>
struct Neon {
  static constexpr std::string_view kName = kDot ? "neon-dotprod" : "neon";
  using Int = int32x4_t;
  using Float = float32x4_t;
  struct Wide {  // 4 numbers of 64 bits
    int64x2_t low, high;
  };
  static constexpr int kLanes = 4;
  static constexpr int kVectors = kBlock / kLanes;

  // ---- 32 bits.

  static INSTANTNET_INLINE Int zero() { return vdupq_n_s32(0); }
  static INSTANTNET_INLINE Int set1(int32_t x) { return vdupq_n_s32(x); }
  static INSTANTNET_INLINE Int load(const void* at) {
    return vreinterpretq_s32_u8(vld1q_u8(static_cast<const uint8_t*>(at)));
  }
  static INSTANTNET_INLINE void store(void* at, Int x) {
    vst1q_u8(static_cast<uint8_t*>(at), vreinterpretq_u8_s32(x));
  }
  static INSTANTNET_INLINE Int add(Int a, Int b) { return vaddq_s32(a, b); }
  static INSTANTNET_INLINE Int shl(Int x, int places) { return vshlq_s32(x, set1(places)); }
  static INSTANTNET_INLINE Int clamp(Int x, int32_t least, int32_t most) {
    return vminq_s32(vmaxq_s32(x, set1(least)), set1(most));
  }

  // ---- 64 bits.

  static INSTANTNET_INLINE Wide wide_zero() { return {vdupq_n_s64(0), vdupq_n_s64(0)}; }
  static INSTANTNET_INLINE Wide widen(Int x) {
    return {vmovl_s32(vget_low_s32(x)), vmovl_high_s32(x)};
  }
  static INSTANTNET_INLINE Wide load_wide(const int64_t* at) {
    return {vld1q_s64(at), vld1q_s64(at + 2)};
  }
  static INSTANTNET_INLINE Wide add(Wide a, Wide b) {
    return {vaddq_s64(a.low, b.low), vaddq_s64(a.high, b.high)};
  }
  static INSTANTNET_INLINE Wide shl(Wide x, int places) {
    const int64x2_t by = vdupq_n_s64(places);
    return {vshlq_s64(x.low, by), vshlq_s64(x.high, by)};
  }
  /// x >> places, of which the result's 32 bits are wanted.
  static INSTANTNET_INLINE Int narrow(Wide x, int places) {
    const Wide y = shl(x, -places);
    return vmovn_high_s64(vmovn_s64(y.low), y.high);
  }

  // ---- Dot products of a step: 4 channels of bytes, or 2 of 16 bits.

  /// Sums of bytes have 32 bits.
  static int byte_steps(int, int) { return kDot ? INT32_MAX : 0; }
  static constexpr int kLeastByteSteps = kDot ? 1 : INT32_MAX;
  static constexpr int kCodeOffset = 128;
  static constexpr bool kBytesWiden = false;
  static constexpr int kStepsAtOnce = 4;
  using Bytes = int8x16_t;
  static INSTANTNET_INLINE Bytes load_bytes(const std::byte* at) {
    return centred(vld1q_u8(reinterpret_cast<const uint8_t*>(at)));
  }
  template <int kStep>
  static INSTANTNET_INLINE void dot_bytes(Int& sum, Bytes codes, Int weights) {
    sum = dot_lane<kStep>(sum, vreinterpretq_s8_s32(weights), codes);
  }
  static INSTANTNET_INLINE Int byte_sum(Int x) { return x; }

  /// A step's two codes, twice.
  using Words = int16x4_t;
  static INSTANTNET_INLINE Words load_words(const std::byte* at) {
    int32_t two;
    std::memcpy(&two, at, sizeof two);
    return vreinterpret_s16_s32(vdup_n_s32(two));
  }
  static INSTANTNET_INLINE void dot_words(Int& sum, Words codes, Int weights) {
    const int16x8_t w = vreinterpretq_s16_s32(weights);
    sum = vmlal_lane_s16(sum, vget_low_s16(w), codes, 0);
    sum = vmlal_high_lane_s16(sum, w, codes, 1);
  }
  static INSTANTNET_INLINE Words low_byte(Words x) { return vand_s16(x, vdup_n_s16(0xFF)); }
  static INSTANTNET_INLINE Words high_byte(Words x) {
    return vreinterpret_s16_u16(vshr_n_u16(vreinterpret_u16_s16(x), 8));
  }
  /// A register has the first numbers of all lanes, then the second ones.
  static constexpr bool kWordPairs = false;

  /// Output pixels of a tile, so that sums, weights and codes fit the registers.
  static constexpr int byte_pixels(int vectors) { return vectors == 4 ? 5 : vectors == 3 ? 6 : 8; }
  static constexpr int word_pixels(int vectors) { return vectors == 4 ? 5 : vectors == 3 ? 6 : 8; }
  static constexpr int plane_pixels(int vectors) { return vectors == 4 ? 2 : vectors == 3 ? 3 : 4; }

  // ---- Products lane by lane, for depthwise convolutions.

  /// One tap of 16-bit codes, sums of 32 bits.
  static constexpr int kWordTaps = 1;
  static constexpr int kColumnPixels = 4, kPlaneColumnPixels = 2;
  using Column = int16x4_t;
  static INSTANTNET_INLINE Column load_column(const std::byte* at) {
    return vreinterpret_s16_u8(vld1_u8(reinterpret_cast<const uint8_t*>(at)));
  }
  static INSTANTNET_INLINE void dot_column(Int& sum, Column codes, Column weights) {
    sum = vmlal_s16(sum, codes, weights);
  }
  static INSTANTNET_INLINE Column column_of(int x, int) {
    return vdup_n_s16(static_cast<int16_t>(x));
  }
  static INSTANTNET_INLINE void interleave_words(const std::byte* const* columns, int, bool bytes,
                                                 std::byte* to) {
    const auto* from = reinterpret_cast<const uint8_t*>(columns[0]);
    auto* at = reinterpret_cast<uint8_t*>(to);
    const uint8x16_t first = vld1q_u8(from);
    if (bytes) {
      vst1q_u8(at, vreinterpretq_u8_u16(vmovl_u8(vget_low_u8(first))));
      vst1q_u8(at + 16, vreinterpretq_u8_u16(vmovl_high_u8(first)));
    } else {
      vst1q_u8(at, first);
      vst1q_u8(at + 16, vld1q_u8(from + 16));
    }
  }

  /// Four taps of bytes, sums of 32 bits.
  static constexpr int kByteTaps = kDot ? 4 : 0, kByteRegisters = 4;
  static bool takes_byte_columns(int, int, int64_t) { return kDot; }
  static INSTANTNET_INLINE void dot_byte_column(Int& sum, Int codes, Int weights) {
    sum = dot(sum, vreinterpretq_s8_s32(codes), vreinterpretq_s8_s32(weights));
  }
  static INSTANTNET_INLINE Int byte_ones(int count) { return set1(0x01010101 >> 8 * (4 - count)); }
  static INSTANTNET_INLINE void interleave_bytes(const std::byte* const* columns, int count,
                                                 std::byte* to) {
    uint8x16_t column[4];
    INSTANTNET_UNROLL
    for (int i = 0; i < 4; ++i)
      column[i] = i < count ? vreinterpretq_u8_s8(load_bytes(columns[i])) : vdupq_n_u8(0);
    const uint8x16x2_t first = vzipq_u8(column[0], column[1]);
    const uint8x16x2_t second = vzipq_u8(column[2], column[3]);
    auto* at = reinterpret_cast<uint8_t*>(to);
    INSTANTNET_UNROLL
    for (int half = 0; half < 2; ++half) {
      const uint16x8x2_t four =
          vzipq_u16(vreinterpretq_u16_u8(first.val[half]), vreinterpretq_u16_u8(second.val[half]));
      vst1q_u8(at + 32 * half, vreinterpretq_u8_u16(four.val[0]));
      vst1q_u8(at + 32 * half + 16, vreinterpretq_u8_u16(four.val[1]));
    }
  }
  static INSTANTNET_INLINE void widen_columns(const Int* sums, Int* to) {
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) to[v] = sums[v];
  }

  // ---- Equation (5).

  struct Channels {
    int32x4_t multiplier, box_multiplier;
  };
  using Offsets = Wide;
  struct Rounding {
    int64x2_t left;  // the shift, negative
  };
  struct Limits {
    uint8x16_t least, most;  // in elements of the codes
  };

  static INSTANTNET_INLINE Channels channels(const int32_t* multiplier,
                                             const int32_t* box_multiplier) {
    return {load(multiplier), box_multiplier == nullptr ? zero() : load(box_multiplier)};
  }
  static INSTANTNET_INLINE Offsets offsets(const int64_t* at) { return load_wide(at); }
  static Rounding rounding(const Requant& requant) { return {vdupq_n_s64(-requant.shift)}; }
  static Limits limits(const CodeTarget& target) {
    const int32_t least = target.requant.least, most = target.requant.most;
    if (target.to.element == Element::U8)
      return {vdupq_n_u8(static_cast<uint8_t>(least)), vdupq_n_u8(static_cast<uint8_t>(most))};
    return {vreinterpretq_u8_u16(vdupq_n_u16(static_cast<uint16_t>(least))),
            vreinterpretq_u8_u16(vdupq_n_u16(static_cast<uint16_t>(most)))};
  }

  /// (sum multiplier + box box_multiplier + offset) >> shift, the nearest number of 32 bits.
  template <bool kBox, bool kLong>
  static INSTANTNET_INLINE Int position(Int sum, Int box, const Channels& c, const Offsets& offset,
                                        const Rounding& rounding) {
    int64x2_t low = vmlal_s32(offset.low, vget_low_s32(sum), vget_low_s32(c.multiplier));
    int64x2_t high = vmlal_high_s32(offset.high, sum, c.multiplier);
    if constexpr (kBox) {
      low = vmlal_s32(low, vget_low_s32(box), vget_low_s32(c.box_multiplier));
      high = vmlal_high_s32(high, box, c.box_multiplier);
    }
    return vqmovn_high_s64(vqmovn_s64(vshlq_s64(low, rounding.left)),
                           vshlq_s64(high, rounding.left));
  }

  /// Registers of positions as codes within the limits.
  template <int kCount>
  static INSTANTNET_INLINE void store_bytes(std::byte* to, const Int* x, const Limits& limits) {
    const uint16x8_t low = words(x[0], x[kCount > 1 ? 1 : 0]);
    const uint16x8_t high = words(x[kCount > 2 ? 2 : 0], x[kCount - 1]);
    uint8x16_t codes = vqmovn_high_u16(vqmovn_u16(low), high);
    codes = vminq_u8(vmaxq_u8(codes, limits.least), limits.most);
    store_some<4 * kCount>(to, codes);
  }
  template <int kCount>
  static INSTANTNET_INLINE void store_words(std::byte* to, const Int* x, const Limits& limits) {
    const auto least = vreinterpretq_u16_u8(limits.least);
    const auto most = vreinterpretq_u16_u8(limits.most);
    uint16x8_t low = words(x[0], x[kCount > 1 ? 1 : 0]);
    low = vminq_u16(vmaxq_u16(low, least), most);
    store_some<kCount == 1 ? 8 : 16>(to, vreinterpretq_u8_u16(low));
    if constexpr (kCount > 2) {
      uint16x8_t high = words(x[2], x[kCount - 1]);
      high = vminq_u16(vmaxq_u16(high, least), most);
      store_some<kCount == 3 ? 8 : 16>(to + 16, vreinterpretq_u8_u16(high));
    }
  }

  // ---- Sums of codes.

  static int32_t sum_of_bytes(const uint8_t* codes, int count) {
    int32_t sum = 0;
    int c = 0;
    for (; c + 16 <= count; c += 16) sum += vaddlvq_u8(vld1q_u8(codes + c));
    for (; c < count; ++c) sum += codes[c];
    return sum;
  }

  // ---- float32.

  static constexpr int kFloatPixels = 5, kFloatColumnPixels = 4;
  static INSTANTNET_INLINE Float float_zero() { return vdupq_n_f32(0); }
  static INSTANTNET_INLINE Float float_set1(float x) { return vdupq_n_f32(x); }
  static INSTANTNET_INLINE Float float_load(const float* at) { return vld1q_f32(at); }
  static INSTANTNET_INLINE void float_store(float* at, Float x) { vst1q_f32(at, x); }
  static INSTANTNET_INLINE Float float_add(Float a, Float b) { return vaddq_f32(a, b); }
  static INSTANTNET_INLINE Float float_multiply(Float a, Float b) { return vmulq_f32(a, b); }
  static INSTANTNET_INLINE Float float_clamp(Float x, float least, float most) {
    return vminq_f32(vmaxq_f32(x, float_set1(least)), float_set1(most));
  }
  /// a b + c, rounded once.
  static INSTANTNET_INLINE Float fma(Float a, Float b, Float c) { return vfmaq_f32(c, a, b); }

 private:
  static INSTANTNET_INLINE int8x16_t centred(uint8x16_t codes) {
    return vreinterpretq_s8_u8(veorq_u8(codes, vdupq_n_u8(0x80)));
  }

  // Clang before 16 has the intrinsics only where the whole file is compiled for them.
  template <int kStep>
  static INSTANTNET_INLINE Int dot_lane(Int sum, int8x16_t weights, int8x16_t codes) {
#if defined(__clang__) && __clang_major__ < 16
    __asm__("sdot %0.4s, %1.16b, %2.4b[%3]" : "+w"(sum) : "w"(weights), "w"(codes), "i"(kStep));
    return sum;
#else
    return vdotq_laneq_s32(sum, weights, codes, kStep);
#endif
  }
  static INSTANTNET_INLINE Int dot(Int sum, int8x16_t a, int8x16_t b) {
#if defined(__clang__) && __clang_major__ < 16
    __asm__("sdot %0.4s, %1.16b, %2.16b" : "+w"(sum) : "w"(a), "w"(b));
    return sum;
#else
    return vdotq_s32(sum, a, b);
#endif
  }

  /// Two registers as numbers of 16 bits, negative ones as 0.
  static INSTANTNET_INLINE uint16x8_t words(Int a, Int b) {
    return vqmovun_high_s32(vqmovun_s32(a), b);
  }
  template <int kBytes>
  static INSTANTNET_INLINE void store_some(std::byte* to, uint8x16_t x) {
    auto* at = reinterpret_cast<uint8_t*>(to);
    if constexpr (kBytes == 16) {
      vst1q_u8(at, x);
    } else {
      if constexpr (kBytes >= 8) vst1_u8(at, vget_low_u8(x));
      if constexpr (kBytes % 8 == 4) {
        const uint32_t four = vgetq_lane_u32(vreinterpretq_u32_u8(x), kBytes / 4 - 1);
        std::memcpy(at + kBytes - 4, &four, sizeof four);
      }
    }
  }
};

}  // namespace instantnet::runtime::simd
