// What AVX-512 kernels do with sums: equation (5) of docs/integer-model.md for up to 64
// neighbouring channels of one pixel, streams, additions and codes.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "instantnet/runtime/avx512_target.h"
#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime::avx512 {

INSTANTNET_AVX512_BEGIN

constexpr int kLanes = 16;       // 32-bit numbers of a register
constexpr int kMostVectors = 4;  // registers of channels that are worked on at once

/// The first `count` lanes.
inline __mmask16 first_lanes(int count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xFFFF : (1 << std::max(count, 0)) - 1);
}

/// The numbers of 16 channels as 64-bit products come: of the even lanes, of the odd ones.
struct alignas(64) ChannelTable {
  __m512i multiplier, odd_multiplier;          // in the low half of each 64 bits
  __m512i box_multiplier, odd_box_multiplier;  // likewise
};
struct alignas(64) OffsetTable {
  __m512i even, odd;
};

inline __m512i odd_lanes(__m512i x) { return _mm512_srli_epi64(x, 32); }

inline ChannelTable channel_table(const Requant& requant, int64_t first, __mmask16 lanes) {
  ChannelTable table;
  table.multiplier = _mm512_maskz_loadu_epi32(lanes, requant.multiplier + first);
  table.odd_multiplier = odd_lanes(table.multiplier);
  table.box_multiplier = requant.box_multiplier == nullptr
                             ? _mm512_setzero_si512()
                             : _mm512_maskz_loadu_epi32(lanes, requant.box_multiplier + first);
  table.odd_box_multiplier = odd_lanes(table.box_multiplier);
  return table;
}

inline OffsetTable offset_table(const int64_t* offset, __mmask16 lanes) {
  const __m512i low = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(lanes), offset);
  const __m512i high = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(lanes >> 8), offset + 8);
  const __m512i evens = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
  const __m512i odds = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
  return {_mm512_permutex2var_epi64(low, evens, high), _mm512_permutex2var_epi64(low, odds, high)};
}

/// Which of the requant's shifts: from 32 places on, upper halves of products are enough.
enum class Shift { Long, Short };
inline Shift shift_of(const Requant& requant) {
  return requant.shift >= 32 ? Shift::Long : Shift::Short;
}

/// (sum * multiplier + box * box_multiplier + offset) >> shift; Shift::Short brings it into
/// least .. most, because 32 bits might not hold it.
template <bool kBox, Shift kShift>
inline __m512i position(__m512i sum, __m512i box, const ChannelTable& table,
                        const OffsetTable& offset, const Requant& requant) {
  __m512i even = _mm512_add_epi64(_mm512_mul_epi32(sum, table.multiplier), offset.even);
  __m512i odd =
      _mm512_add_epi64(_mm512_mul_epi32(odd_lanes(sum), table.odd_multiplier), offset.odd);
  if constexpr (kBox) {
    even = _mm512_add_epi64(even, _mm512_mul_epi32(box, table.box_multiplier));
    odd = _mm512_add_epi64(odd, _mm512_mul_epi32(odd_lanes(box), table.odd_box_multiplier));
  }
  if constexpr (kShift == Shift::Long) {
    // The upper halves: of the odd lanes where they are, of the even ones moved down.
    const __m512i halves = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
    return _mm512_sra_epi32(halves, _mm_cvtsi32_si128(requant.shift - 32));
  } else {
    const __m128i shift = _mm_cvtsi32_si128(requant.shift);
    const __m512i low = _mm512_set1_epi64(requant.least), high = _mm512_set1_epi64(requant.most);
    even = _mm512_min_epi64(_mm512_max_epi64(_mm512_sra_epi64(even, shift), low), high);
    odd = _mm512_min_epi64(_mm512_max_epi64(_mm512_sra_epi64(odd, shift), low), high);
    return _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
  }
}

inline __m512i clamped(__m512i x, int32_t least, int32_t most) {
  return _mm512_min_epi32(_mm512_max_epi32(x, _mm512_set1_epi32(least)), _mm512_set1_epi32(most));
}

/// The ends of codes in all bytes of a register.
struct ByteEnds {
  __m512i least, most;
  ByteEnds(int32_t low, int32_t high)
      : least(_mm512_set1_epi8(static_cast<char>(low))),
        most(_mm512_set1_epi8(static_cast<char>(high))) {}
};

/// Four registers to bytes between the ends; 128-bit lane L then holds the four bytes of lane L of
/// each register in turn.
inline __m512i bytes_of_registers(const __m512i* x, const ByteEnds& ends) {
  const __m512i codes =
      _mm512_packus_epi16(_mm512_packs_epi32(x[0], x[1]), _mm512_packs_epi32(x[2], x[3]));
  return _mm512_min_epu8(_mm512_max_epu8(codes, ends.least), ends.most);
}

inline __mmask64 first_bytes(int count) { return ~__mmask64{0} >> (64 - count); }

inline std::byte* element_at(const View& view, std::byte* arena, int y, int x, int64_t channel) {
  return arena + view.offset +
         (y * view.row_stride + x * view.pixel_stride + channel) * bytes_of(view.element);
}

// Stores with a mask take many times as long as those without, so these have none when all of their
// lanes are wanted.

inline void store_words(std::byte* to, int count, __m256i codes) {
  if (count >= kLanes)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), codes);
  else
    _mm256_mask_storeu_epi16(to, first_lanes(count), codes);
}

inline void store_numbers(std::byte* to, int count, __m512i numbers) {
  if (count >= kLanes)
    _mm512_storeu_si512(to, numbers);
  else
    _mm512_mask_storeu_epi32(to, first_lanes(count), numbers);
}

/// The first `count` bytes in pieces of 16, 8 and 4.
inline void store_piecewise(std::byte* to, int count, __m512i codes) {
  if (count % 4 != 0) return _mm512_mask_storeu_epi8(to, first_bytes(count), codes);
  alignas(64) std::byte all[64];
  _mm512_store_si512(all, codes);
  int at = 0;
  for (; at + 16 <= count; at += 16) std::memcpy(to + at, all + at, 16);
  if (at + 8 <= count) {
    std::memcpy(to + at, all + at, 8);
    at += 8;
  }
  if (at < count) std::memcpy(to + at, all + at, 4);
}

/// The first `count` bytes of up to 16 kVectors.
template <int kVectors>
inline void store_bytes(std::byte* to, int count, __m512i codes) {
  if (count != kVectors * kLanes) return store_piecewise(to, count, codes);
  const auto piece = [&](int i) { return reinterpret_cast<__m128i*>(to) + i; };
  if constexpr (kVectors == 1) _mm_storeu_si128(piece(0), _mm512_castsi512_si128(codes));
  if constexpr (kVectors == 4) _mm512_storeu_si512(to, codes);
  if constexpr (kVectors == 2 || kVectors == 3)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(codes));
  if constexpr (kVectors == 3) _mm_storeu_si128(piece(2), _mm512_extracti32x4_epi32(codes, 2));
}

/// Puts what bytes_of_registers gives back into the registers' order.
inline __m512i in_order(__m512i codes) {
  return _mm512_permutexvar_epi32(
      _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), codes);
}

/// Stores positions of `count` channels as codes at `to`.
template <int kVectors>
inline void store_codes(const CodeTarget& target, std::byte* to, const __m512i* positions,
                        int count) {
  const int32_t least = target.requant.least, most = target.requant.most;
  if (target.to.element == Element::U16) {
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v)
      store_words(to + 32 * v, count - v * kLanes,
                  _mm512_cvtepi32_epi16(clamped(positions[v], least, most)));
    return;
  }
  if constexpr (kVectors == 1) {
    store_bytes<1>(
        to, count,
        _mm512_castsi128_si512(_mm512_cvtepi32_epi8(clamped(positions[0], least, most))));
  } else {
    __m512i all[kMostVectors];
    INSTANTNET_UNROLL
    for (int v = 0; v < kMostVectors; ++v) all[v] = positions[std::min(v, kVectors - 1)];
    store_bytes<kVectors>(to, count, in_order(bytes_of_registers(all, {least, most})));
  }
}

/// Neighbouring output pixels, in a row or at its end and the next one's beginning.
struct PixelRun {
  const int *y = nullptr, *x = nullptr;
  int count = 0;
  bool in_one_row() const { return y[0] == y[count - 1]; }
  PixelRun part(int first, int most) const {
    return {y + first, x + first, std::min(most, count - first)};
  }
};

/// Where a run's pixels lie in a view.
class Places {
 public:
  Places(const View& view, const PixelRun& pixels, int64_t channel, std::byte* arena)
      : view_(view), pixels_(pixels), channel_(channel), arena_(arena) {
    first_ = element_at(view, arena, pixels.y[0], pixels.x[0], channel);
    distance_ = pixels.in_one_row() ? view.pixel_stride * bytes_of(view.element) : 0;
  }
  std::byte* at(int pixel) const {
    if (distance_ != 0) return first_ + pixel * distance_;
    return element_at(view_, arena_, pixels_.y[pixel], pixels_.x[pixel], channel_);
  }

 private:
  const View& view_;
  const PixelRun& pixels_;
  int64_t channel_;
  std::byte* arena_;
  std::byte* first_;
  int64_t distance_;
};

/// 16 bytes each of four pixels that lie `stride` bytes apart.
inline void store_four(std::byte* to, int64_t stride, __m512i codes) {
  if (stride == kLanes) return _mm512_storeu_si512(to, codes);
  const auto piece = [&](int64_t i) { return reinterpret_cast<__m128i*>(to + i * stride); };
  _mm_storeu_si128(piece(0), _mm512_castsi512_si128(codes));
  _mm_storeu_si128(piece(1), _mm512_extracti32x4_epi32(codes, 1));
  _mm_storeu_si128(piece(2), _mm512_extracti32x4_epi32(codes, 2));
  _mm_storeu_si128(piece(3), _mm512_extracti32x4_epi32(codes, 3));
}

/// Stores positions of 16 channels from `first` on, `channels` of them wanted, of up to four
/// pixels.
__attribute__((always_inline)) inline void store_codes(const CodeTarget& target,
                                                       const __m512i* positions,
                                                       const PixelRun& pixels, int64_t first,
                                                       int channels, std::byte* arena) {
  const int32_t least = target.requant.least, most = target.requant.most;
  const auto place = [&](int pixel) {
    return element_at(target.to, arena, pixels.y[pixel], pixels.x[pixel], first);
  };
  if (target.to.element == Element::U16) {
    for (int i = 0; i < pixels.count; ++i)
      store_words(place(i), channels, _mm512_cvtepi32_epi16(clamped(positions[i], least, most)));
    return;
  }
  const __m512i codes = in_order(bytes_of_registers(positions, {least, most}));
  if (channels < kLanes) {
    for (int i = 0; i < pixels.count; ++i)
      store_piecewise(place(i), channels,
                      _mm512_maskz_compress_epi32(static_cast<__mmask16>(0xF << 4 * i), codes));
    return;
  }
  if (pixels.count == 4 && pixels.in_one_row())
    return store_four(place(0), target.to.pixel_stride, codes);
  for (int i = 0; i < pixels.count; ++i)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(place(i)),
                     _mm512_castsi512_si128(
                         _mm512_maskz_compress_epi32(static_cast<__mmask16>(0xF << 4 * i), codes)));
}

/// A requant's numbers for up to 64 channels: made once, used for every pixel.
class ChannelNumbers {
 public:
  /// Most border classes whose offsets are kept here; others are read where they are used.
  static constexpr int kMostBorders = 9;

  /// Channels first .. first + count - 1 of those whose border classes are `stride` numbers apart.
  void make(const Requant& requant, int borders, int64_t stride, int64_t first, int count) {
    requant_ = &requant;
    offset_ = requant.offset + first;
    stride_ = stride;
    for (int v = 0; v * kLanes < count; ++v) {
      lanes_[v] = first_lanes(count - v * kLanes);
      channels_[v] = channel_table(requant, first + v * kLanes, lanes_[v]);
      for (int b = 0; b < std::min(borders, kMostBorders); ++b)
        offsets_[b][v] = offset_table(offset_ + b * stride + v * kLanes, lanes_[v]);
    }
  }

  /// Positions of all registers; boxes only with kBox.
  template <int kVectors, bool kBox>
  inline void positions(const __m512i* sums, const __m512i* boxes, int border,
                        __m512i* result) const {
    if (border >= kMostBorders) return far<kVectors, kBox>(sums, boxes, border, result);
    if (shift_of(*requant_) == Shift::Long)
      all<kVectors, kBox, Shift::Long>(sums, boxes, offsets_[border], result);
    else
      all<kVectors, kBox, Shift::Short>(sums, boxes, offsets_[border], result);
  }

  /// Calls work(numbers of register v's channels: sums to positions), without boxes; `border` is
  /// less than kMostBorders.
  template <class Work>
  __attribute__((always_inline)) inline void with_register(int v, int border,
                                                           const Work& work) const {
    // Copies stay in registers while `work` stores to memory.
    const ChannelTable channels = channels_[v];
    const OffsetTable offsets = offsets_[border][v];
    const Requant requant = *requant_;
    if (shift_of(requant) == Shift::Long)
      work([&](__m512i sum) INSTANTNET_INLINE_LAMBDA {
        return position<false, Shift::Long>(sum, sum, channels, offsets, requant);
      });
    else
      work([&](__m512i sum) INSTANTNET_INLINE_LAMBDA {
        return position<false, Shift::Short>(sum, sum, channels, offsets, requant);
      });
  }

 private:
  template <int kVectors, bool kBox, Shift kShift>
  inline void all(const __m512i* sums, const __m512i* boxes, const OffsetTable* offsets,
                  __m512i* result) const {
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v)
      result[v] = position<kBox, kShift>(sums[v], kBox ? boxes[v] : sums[v], channels_[v],
                                         offsets[v], *requant_);
  }

  template <int kVectors, bool kBox>
  void far(const __m512i* sums, const __m512i* boxes, int border, __m512i* result) const {
    OffsetTable offsets[kVectors];
    for (int v = 0; v < kVectors; ++v)
      offsets[v] = offset_table(offset_ + border * stride_ + v * kLanes, lanes_[v]);
    if (shift_of(*requant_) == Shift::Long)
      all<kVectors, kBox, Shift::Long>(sums, boxes, offsets, result);
    else
      all<kVectors, kBox, Shift::Short>(sums, boxes, offsets, result);
  }

  const Requant* requant_ = nullptr;
  const int64_t* offset_ = nullptr;
  int64_t stride_ = 0;
  __mmask16 lanes_[kMostVectors] = {};
  ChannelTable channels_[kMostVectors];
  OffsetTable offsets_[kMostBorders][kMostVectors];
};

/// The numbers of all readers of up to 64 channels.
class ReaderNumbers {
 public:
  void make(std::span<const CodeTarget> targets, int borders, int64_t stride, int64_t first,
            int count) {
    targets_ = targets;
    borders_ = borders;
    stride_ = stride;
    first_ = first;
    count_ = count;
    for (size_t i = 0; i < std::min(targets.size(), kMost); ++i)
      numbers_[i].make(targets[i].requant, borders, stride, first, count);
  }

  template <int kVectors, bool kBox>
  INSTANTNET_OUT_OF_LINE void write(const __m512i* sums, const __m512i* boxes, int border, int y,
                                    int x, std::byte* arena) const {
    for (size_t i = 0; i < targets_.size(); ++i) {
      __m512i positions[kVectors];
      if (i < kMost) {
        numbers_[i].template positions<kVectors, kBox>(sums, boxes, border, positions);
      } else {
        ChannelNumbers made;
        made.make(targets_[i].requant, borders_, stride_, first_, count_);
        made.template positions<kVectors, kBox>(sums, boxes, border, positions);
      }
      store_codes<kVectors>(targets_[i], element_at(targets_[i].to, arena, y, x, first_), positions,
                            count_);
    }
  }

  /// Whether write_run may be called.
  bool takes_runs() const { return targets_.size() <= kMost; }
  /// sums: `vectors` registers a pixel.
  /// Not inlined, or its registers end in memory.
  INSTANTNET_OUT_OF_LINE void write_run(int vectors, const __m512i* sums, const PixelRun& pixels,
                                        int border, std::byte* arena) const {
    for (size_t i = 0; i < targets_.size(); ++i)
      for (int v = 0; v < vectors; ++v)
        numbers_[i].with_register(v, border, [&](const auto& position) INSTANTNET_INLINE_LAMBDA {
          const int fours = write_fours(targets_[i], position, sums + v, vectors, v, pixels, arena);
          const int last = pixels.count - 1;
          for (int p = fours; p <= last; p += 4) {
            __m512i positions[4];
            INSTANTNET_UNROLL
            for (int j = 0; j < 4; ++j)
              positions[j] = position(sums[std::min(p + j, last) * vectors + v]);
            store_codes(targets_[i], positions, pixels.part(p, 4), first_ + v * kLanes,
                        count_ - v * kLanes, arena);
          }
        });
  }

 private:
  /// Bytes of register v's channels of as many pixels as can be taken four at a time without a look
  /// at each; returns how many.
  template <class Position>
  __attribute__((always_inline)) inline int write_fours(const CodeTarget& target,
                                                        const Position& position,
                                                        const __m512i* sums, int vectors, int v,
                                                        const PixelRun& pixels,
                                                        std::byte* arena) const {
    if (target.to.element != Element::U8 || count_ - v * kLanes < kLanes) return 0;
    const ByteEnds ends(target.requant.least, target.requant.most);
    const int64_t stride = target.to.pixel_stride;
    int p = 0;
    for (; p + 4 <= pixels.count && pixels.y[p] == pixels.y[p + 3]; p += 4, sums += 4 * vectors) {
      __m512i positions[4];
      INSTANTNET_UNROLL
      for (int j = 0; j < 4; ++j) positions[j] = position(sums[j * vectors]);
      store_four(element_at(target.to, arena, pixels.y[p], pixels.x[p], first_ + v * kLanes),
                 stride, in_order(bytes_of_registers(positions, ends)));
    }
    return p;
  }

  static constexpr size_t kMost = 3;  // whose numbers are kept here
  std::span<const CodeTarget> targets_;
  int borders_ = 1;
  int64_t stride_ = 0, first_ = 0;
  int count_ = 0;
  ChannelNumbers numbers_[kMost];
};

/// One call's epilogue for up to 64 neighbouring channels.
class Epilogue64 {
 public:
  /// Channels first .. first + count - 1 of out_channels, count <= 64.
  Epilogue64(const Epilogue& epilogue, const Borders& borders, int64_t out_channels, int64_t first,
             int count)
      : epilogue_(epilogue), borders_(borders), first_(first), count_(count) {
    const int64_t stride = padded(out_channels);
    if (epilogue.to_stream) stream_.make(epilogue.requant, borders.count, stride, first, count);
    readers_.make(epilogue.codes, epilogue.to_stream ? 1 : borders.count, stride, first, count);
  }

  /// Sums (and boxes, with kBox) of the channels at output pixel (y, x).
  template <int kVectors, bool kBox>
  INSTANTNET_OUT_OF_LINE void finish(const __m512i* sums, const __m512i* boxes, int y, int x,
                                     std::byte* arena) const {
    const int border = borders_.count == 1 ? 0 : borders_.row[y] + borders_.column[x];
    if (!epilogue_.to_stream)
      return readers_.write<kVectors, kBox>(sums, boxes, border, y, x, arena);
    __m512i values[kVectors];
    stream_.positions<kVectors, kBox>(sums, boxes, border, values);
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const int64_t channel = first_ + v * kLanes;
      const __mmask16 lanes = first_lanes(count_ - v * kLanes);
      values[v] = clamped(values[v], epilogue_.requant.least, epilogue_.requant.most);
      if (epilogue_.has_addend) {
        const __m512i other =
            _mm512_maskz_loadu_epi32(lanes, element_at(epilogue_.addend, arena, y, x, channel));
        values[v] =
            clamped(_mm512_add_epi32(values[v], other), epilogue_.add_least, epilogue_.add_most);
      }
      if (epilogue_.store_stream)
        store_numbers(element_at(epilogue_.stream, arena, y, x, channel), count_ - v * kLanes,
                      values[v]);
    }
    readers_.write<kVectors, false>(values, values, 0, y, x, arena);
  }

  /// Whether finish_run may be called.
  bool takes_runs() const {
    return borders_.count <= ChannelNumbers::kMostBorders && readers_.takes_runs();
  }
  /// finish of many pixels without boxes; `sums` as write_run's, overwritten.
  inline void finish_run(int vectors, __m512i* sums, const PixelRun& pixels,
                         std::byte* arena) const {
    if (borders_.count == 1) return finish_alike(vectors, sums, pixels, 0, arena);
    const auto border = [&](int p) {
      return borders_.row[pixels.y[p]] + borders_.column[pixels.x[p]];
    };
    for (int p = 0, next = 0; p < pixels.count; p = next) {
      for (next = p + 1; next < pixels.count && border(next) == border(p);) ++next;
      finish_alike(vectors, sums + p * vectors, pixels.part(p, next - p), border(p), arena);
    }
  }

 private:
  /// Pixels of one border class.
  inline void finish_alike(int vectors, __m512i* sums, const PixelRun& pixels, int border,
                           std::byte* arena) const {
    if (!epilogue_.to_stream) return readers_.write_run(vectors, sums, pixels, border, arena);
    for (int v = 0; v < vectors; ++v) stream_run(vectors, sums, v, pixels, border, arena);
    readers_.write_run(vectors, sums, pixels, 0, arena);
  }

  /// Register v of each pixel to stream values.
  INSTANTNET_OUT_OF_LINE void stream_run(int vectors, __m512i* sums, int v, const PixelRun& pixels,
                                         int border, std::byte* arena) const {
    const int64_t channel = first_ + v * kLanes;
    const int count = count_ - v * kLanes;
    const __m512i least = _mm512_set1_epi32(epilogue_.requant.least);
    const __m512i most = _mm512_set1_epi32(epilogue_.requant.most);
    const __m512i add_least = _mm512_set1_epi32(epilogue_.add_least);
    const __m512i add_most = _mm512_set1_epi32(epilogue_.add_most);
    const __mmask16 lanes = first_lanes(count);
    const bool adds = epilogue_.has_addend, stores = epilogue_.store_stream;
    const Places addend(adds ? epilogue_.addend : epilogue_.stream, pixels, channel, arena);
    const Places stream(stores ? epilogue_.stream : epilogue_.addend, pixels, channel, arena);
    stream_.with_register(v, border, [&](const auto& position) INSTANTNET_INLINE_LAMBDA {
      for (int p = 0; p < pixels.count; ++p) {
        __m512i value = position(sums[p * vectors + v]);
        value = _mm512_min_epi32(_mm512_max_epi32(value, least), most);
        if (adds) {
          value = _mm512_add_epi32(value, _mm512_maskz_loadu_epi32(lanes, addend.at(p)));
          value = _mm512_min_epi32(_mm512_max_epi32(value, add_least), add_most);
        }
        if (stores) store_numbers(stream.at(p), count, value);
        sums[p * vectors + v] = value;
      }
    });
  }

  const Epilogue& epilogue_;
  const Borders& borders_;
  int64_t first_;
  int count_;
  ChannelNumbers stream_;
  ReaderNumbers readers_;
};

INSTANTNET_AVX512_END

}  // namespace instantnet::runtime::avx512
