// What becomes of the sums of up to kBlock channels of one pixel: equation (5) of
// docs/integer-model.md, streams, additions and codes.
#pragma once

namespace instantnet::runtime::simd {

template <class V>
inline void copy_some(std::byte* to, const std::byte* from, int64_t bytes) {
  int64_t i = 0;
  for (; i + 4 <= bytes; i += 4) std::memcpy(to + i, from + i, 4);
  for (; i < bytes; ++i) to[i] = from[i];
}

template <class V, int kVectors>
INSTANTNET_INLINE void store_codes(bool bytes, const typename V::Limits& limits, std::byte* to,
                                   const typename V::Int* positions, int count) {
  if (count == kVectors * V::kLanes) {
    if (bytes)
      V::template store_bytes<kVectors>(to, positions, limits);
    else
      V::template store_words<kVectors>(to, positions, limits);
    return;
  }
  alignas(64) std::byte all[2 * kBlock];
  if (bytes)
    V::template store_bytes<kVectors>(all, positions, limits);
  else
    V::template store_words<kVectors>(all, positions, limits);
  copy_some<V>(to, all, bytes ? count : 2 * count);
}

template <class V, int kVectors>
INSTANTNET_INLINE void store_numbers(std::byte* to, const typename V::Int* numbers, int count) {
  if (count == kVectors * V::kLanes) {
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) V::store(to + 4 * V::kLanes * v, numbers[v]);
    return;
  }
  alignas(64) std::byte all[4 * kBlock];
  INSTANTNET_UNROLL
  for (int v = 0; v < kVectors; ++v) V::store(all + 4 * V::kLanes * v, numbers[v]);
  copy_some<V>(to, all, int64_t{4} * count);
}

/// kLanes numbers of a table that has `room` of them left: zeros behind its end.
template <class V, class Number>
inline const Number* with_zeros(const Number* at, int64_t room, Number* buffer) {
  if (room >= V::kLanes) return at;
  for (int64_t i = 0; i < V::kLanes; ++i) buffer[i] = i < room ? at[i] : 0;
  return buffer;
}

/// A requant's numbers for up to kBlock channels: made once, used for every pixel.
template <class V>
class ChannelNumbers {
 public:
  /// Most border classes whose offsets are kept here; others are read where they are used.
  static constexpr int kMostBorders = 9;

  /// kBlock channels from `first`, of those whose border classes are `stride` numbers apart.
  void make(const Requant& requant, int borders, int64_t stride, int64_t first) {
    requant_ = &requant;
    long_ = requant.shift >= 32;
    rounding_ = V::rounding(requant);
    first_ = first;
    stride_ = stride;
    int32_t buffer[V::kLanes], box_buffer[V::kLanes];
    for (int v = 0; v < V::kVectors; ++v) {
      const int64_t at = first + v * V::kLanes;
      const int32_t* box = nullptr;
      if (requant.box_multiplier != nullptr)
        box = with_zeros<V>(requant.box_multiplier + at, stride - at, box_buffer);
      channels_[v] = V::channels(with_zeros<V>(requant.multiplier + at, stride - at, buffer), box);
      for (int b = 0; b < std::min(borders, kMostBorders); ++b) offsets_[b][v] = offsets(b, v);
    }
  }

  /// Positions of all registers; boxes only with kBox.
  template <int kVectors, bool kBox>
  INSTANTNET_INLINE void positions(const typename V::Int* sums, const typename V::Int* boxes,
                                   int border, typename V::Int* result) const {
    if (border >= kMostBorders) return far<kVectors, kBox>(sums, boxes, border, result);
    all<kVectors, kBox>(sums, boxes, offsets_[border], result);
  }

  /// The same with a shift of 32 places at least, no box and one border class.
  template <int kVectors>
  INSTANTNET_INLINE void direct_positions(const typename V::Int* sums,
                                          typename V::Int* result) const {
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v)
      result[v] = V::template position<false, true>(sums[v], sums[v], channels_[v], offsets_[0][v],
                                                    rounding_);
  }

 private:
  template <int kVectors, bool kBox>
  INSTANTNET_INLINE void all(const typename V::Int* sums, const typename V::Int* boxes,
                             const typename V::Offsets* offsets, typename V::Int* result) const {
    if (long_) {
      INSTANTNET_UNROLL
      for (int v = 0; v < kVectors; ++v)
        result[v] = V::template position<kBox, true>(sums[v], kBox ? boxes[v] : sums[v],
                                                     channels_[v], offsets[v], rounding_);
    } else {
      INSTANTNET_UNROLL
      for (int v = 0; v < kVectors; ++v)
        result[v] = V::template position<kBox, false>(sums[v], kBox ? boxes[v] : sums[v],
                                                      channels_[v], offsets[v], rounding_);
    }
  }

  template <int kVectors, bool kBox>
  void far(const typename V::Int* sums, const typename V::Int* boxes, int border,
           typename V::Int* result) const {
    typename V::Offsets made[kVectors];
    for (int v = 0; v < kVectors; ++v) made[v] = offsets(border, v);
    all<kVectors, kBox>(sums, boxes, made, result);
  }

  typename V::Offsets offsets(int border, int v) const {
    int64_t buffer[V::kLanes];
    const int64_t at = first_ + v * V::kLanes;
    return V::offsets(
        with_zeros<V>(requant_->offset + border * stride_ + at, stride_ - at, buffer));
  }

  const Requant* requant_ = nullptr;
  bool long_ = true;
  typename V::Rounding rounding_;
  int64_t first_ = 0, stride_ = 0;
  typename V::Channels channels_[V::kVectors];
  typename V::Offsets offsets_[kMostBorders][V::kVectors];
};

/// The numbers of all readers of up to kBlock channels.
template <class V>
class ReaderNumbers {
 public:
  void make(std::span<const CodeTarget> targets, int borders, int64_t stride, int64_t first,
            int count) {
    targets_ = targets;
    borders_ = borders;
    stride_ = stride;
    first_ = first;
    count_ = count;
    for (size_t i = 0; i < std::min(targets.size(), kMost); ++i) {
      numbers_[i].make(targets[i].requant, borders, stride, first);
      limits_[i] = V::limits(targets[i]);
    }
  }

  template <int kVectors, bool kBox>
  INSTANTNET_INLINE void write(const typename V::Int* sums, const typename V::Int* boxes,
                               int border, int y, int x, std::byte* arena) const {
    for (size_t i = 0; i < std::min(targets_.size(), kMost); ++i)
      write_one<kVectors, kBox>(targets_[i], numbers_[i], limits_[i], sums, boxes, border, y, x,
                                arena);
    if (targets_.size() > kMost) write_rest<kVectors, kBox>(sums, boxes, border, y, x, arena);
  }

 private:
  template <int kVectors, bool kBox>
  INSTANTNET_INLINE void write_one(const CodeTarget& target, const ChannelNumbers<V>& numbers,
                                   const typename V::Limits& limits, const typename V::Int* sums,
                                   const typename V::Int* boxes, int border, int y, int x,
                                   std::byte* arena) const {
    typename V::Int positions[kVectors];
    numbers.template positions<kVectors, kBox>(sums, boxes, border, positions);
    store_codes<V, kVectors>(target.to.element == Element::U8, limits,
                             element_at(target.to, arena, y, x, first_), positions, count_);
  }

  /// Of readers whose numbers are not kept.
  template <int kVectors, bool kBox>
  void write_rest(const typename V::Int* sums, const typename V::Int* boxes, int border, int y,
                  int x, std::byte* arena) const {
    for (size_t i = kMost; i < targets_.size(); ++i) {
      ChannelNumbers<V> made;
      made.make(targets_[i].requant, borders_, stride_, first_);
      write_one<kVectors, kBox>(targets_[i], made, V::limits(targets_[i]), sums, boxes, border, y,
                                x, arena);
    }
  }

  static constexpr size_t kMost = 3;  // whose numbers are kept here
  std::span<const CodeTarget> targets_;
  int borders_ = 1;
  int64_t stride_ = 0, first_ = 0;
  int count_ = 0;
  ChannelNumbers<V> numbers_[kMost];
  typename V::Limits limits_[kMost];
};

/// One call's epilogue for up to kBlock neighbouring channels.
template <class V>
class BlockEpilogue {
 public:
  using Int = typename V::Int;

  /// Channels first .. first + count - 1 of out_channels.
  BlockEpilogue(const Epilogue& epilogue, const Borders& borders, int64_t out_channels,
                int64_t first, int count)
      : epilogue_(epilogue), borders_(borders), first_(first), count_(count) {
    const int64_t stride = padded(out_channels);
    if (epilogue.to_stream) stream_.make(epilogue.requant, borders.count, stride, first);
    readers_.make(epilogue.codes, epilogue.to_stream ? 1 : borders.count, stride, first, count);
    if (epilogue.to_stream || epilogue.codes.size() != 1 || borders.count != 1) return;
    const CodeTarget& target = epilogue.codes[0];
    if (target.to.element != Element::U8 || target.requant.shift < 32) return;
    direct_.possible = true;
    direct_.numbers.make(target.requant, 1, stride, first);
    direct_.limits = V::limits(target);
    direct_.origin = target.to.offset + first;
    direct_.row = target.to.row_stride;
    direct_.pixel = target.to.pixel_stride;
  }

  /// Whether finish_direct may be called with sums of so many registers: nothing is to be done but
  /// byte codes for one reader, with one border class and a long shift.
  bool is_direct(int vectors) const { return direct_.possible && count_ == vectors * V::kLanes; }

  template <int kVectors>
  INSTANTNET_INLINE void finish_direct(const Int* sums, int y, int x, std::byte* arena) const {
    Int positions[kVectors];
    direct_.numbers.template direct_positions<kVectors>(sums, positions);
    V::template store_bytes<kVectors>(arena + direct_.origin + y * direct_.row + x * direct_.pixel,
                                      positions, direct_.limits);
  }

  /// Sums (and boxes, with kBox) of the channels at output pixel (y, x).
  /// A call, or every kernel that does not finish directly holds all of it.
  template <int kVectors, bool kBox>
  INSTANTNET_OUT_OF_LINE void finish(const Int* sums, const Int* boxes, int y, int x,
                                     std::byte* arena) const {
    const int border = borders_.count == 1 ? 0 : borders_.row[y] + borders_.column[x];
    if (!epilogue_.to_stream)
      return readers_.template write<kVectors, kBox>(sums, boxes, border, y, x, arena);
    Int values[kVectors];
    stream_.template positions<kVectors, kBox>(sums, boxes, border, values);
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      values[v] = V::clamp(values[v], epilogue_.requant.least, epilogue_.requant.most);
      if (!epilogue_.has_addend) continue;
      const Int other = V::load(element_at(epilogue_.addend, arena, y, x, first_ + v * V::kLanes));
      values[v] = V::clamp(V::add(values[v], other), epilogue_.add_least, epilogue_.add_most);
    }
    if (epilogue_.store_stream)
      store_numbers<V, kVectors>(element_at(epilogue_.stream, arena, y, x, first_), values, count_);
    readers_.template write<kVectors, false>(values, values, 0, y, x, arena);
  }

 private:
  const Epilogue& epilogue_;
  const Borders& borders_;
  int64_t first_;
  int count_;
  ChannelNumbers<V> stream_;
  ReaderNumbers<V> readers_;
  struct Direct {
    bool possible = false;
    ChannelNumbers<V> numbers;
    typename V::Limits limits;
    int64_t origin = 0, row = 0, pixel = 0;
  } direct_;
};

/// Sums of packed weights times stored codes of a tile, in memory.
template <class V, int kPixels, int kVectors>
struct Tile {
  static constexpr int kTileVectors = kVectors;
  typename V::Int sum[kPixels][kVectors];
  void clear() {
    for (auto& row : sum)
      for (auto& one : row) one = V::zero();
  }
};

/// A tile while products are added: indexed by constants only, so that it stays in registers.
template <class V, int kPixels, int kVectors>
struct Registers {
  typename V::Int of[kPixels][kVectors];

  INSTANTNET_INLINE void clear() {
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) of[p][v] = V::zero();
  }
  INSTANTNET_INLINE void load(const Tile<V, kPixels, kVectors>& tile) {
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) of[p][v] = tile.sum[p][v];
  }
  INSTANTNET_INLINE void store(Tile<V, kPixels, kVectors>& tile) const {
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) tile.sum[p][v] = of[p][v];
  }
};

/// The sum of both planes, where 32 bits hold it.
template <class V, int kPixels, int kVectors>
inline void add_high(Tile<V, kPixels, kVectors>& low, const Tile<V, kPixels, kVectors>& high) {
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
  for (int v = 0; v < kVectors; ++v)
    low.sum[p][v] = V::add(low.sum[p][v], V::shl(high.sum[p][v], 8));
}

/// 64-bit sums of a tile, in memory.
template <class V, int kPixels, int kVectors>
struct WideTile {
  static constexpr int kTileVectors = kVectors;
  typename V::Wide sum[kPixels][kVectors];

  void clear() {
    for (auto& row : sum)
      for (auto& one : row) one = V::wide_zero();
  }
  /// Adds a tile's sums times 2^shift and clears it.
  void take(Tile<V, kPixels, kVectors>& tile, int shift) {
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      sum[p][v] = V::add(sum[p][v], V::shl(V::widen(tile.sum[p][v]), shift));
      tile.sum[p][v] = V::zero();
    }
  }
};

/// Sums of a pixel's packed weights times stored codes, and of the stored codes, to those of
/// equations (3) and (4), and on to the epilogue.
template <class V, int kVectors, bool kBox, bool kDirect = false>
INSTANTNET_INLINE void finish_pixel(const typename V::Int* of, const typename V::Int* stored,
                                    const SumForm& form, const std::byte* corrections, int y, int x,
                                    const BlockEpilogue<V>& epilogue, std::byte* arena) {
  typename V::Int sums[kVectors], boxes[kVectors];
  INSTANTNET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    sums[v] = of[v];
    if (form.adds_box)
      sums[v] = V::add(V::shl(sums[v], form.scale_shift), V::shl(stored[v], form.offset_shift));
    sums[v] = V::add(sums[v], V::load(corrections + 4 * V::kLanes * v));
    if constexpr (kBox) boxes[v] = V::add(stored[v], V::set1(-form.zero_taps));
  }
  if constexpr (kDirect)
    epilogue.template finish_direct<kVectors>(sums, y, x, arena);
  else
    epilogue.template finish<kVectors, kBox>(sums, kBox ? boxes : sums, y, x, arena);
}

/// The same with sums of 64 bits, which are shifted into 32.
template <class V, int kVectors, bool kBox>
INSTANTNET_INLINE void finish_pixel(const typename V::Wide* of, const typename V::Int* stored,
                                    const SumForm& form, const std::byte* corrections, int y, int x,
                                    const BlockEpilogue<V>& epilogue, std::byte* arena) {
  typename V::Int sums[kVectors], boxes[kVectors];
  const auto* constants = reinterpret_cast<const int64_t*>(corrections);
  INSTANTNET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    typename V::Wide sum = of[v];
    if (form.adds_box)
      sum = V::add(V::shl(sum, form.scale_shift), V::shl(V::widen(stored[v]), form.offset_shift));
    sum = V::add(sum, V::load_wide(constants + V::kLanes * v));
    sums[v] = V::narrow(sum, form.sum_shift);
    if constexpr (kBox) boxes[v] = V::add(stored[v], V::set1(-form.zero_taps));
  }
  epilogue.template finish<kVectors, kBox>(sums, kBox ? boxes : sums, y, x, arena);
}

}  // namespace instantnet::runtime::simd
