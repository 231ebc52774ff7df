#include "instantnet/runtime/avx512_dense.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "instantnet/runtime/avx512_box.h"
#include "instantnet/runtime/avx512_epilogue.h"
#include "instantnet/runtime/avx512_layout.h"

namespace instantnet::runtime::avx512 {

bool takes_bytes(const ConvProblem& problem) {
  return problem.weight_bits <= 8 && problem.input.bits <= 8 && !problem.wide;
}

namespace {

/// Output pixels worked on at once.
constexpr int kMostPixels = 16;

/// How products are made.
enum class Way {
  Bytes,  // both sides are bytes
  Split,  // codes are bytes; wider weights are two bytes, high and low
  Words,  // 16 bits
};

Way way_of(const ConvProblem& problem) {
  if (takes_bytes(problem)) return Way::Bytes;
  const bool bytes_in = problem.input.element() == Element::U8;
  return bytes_in && !problem.wide ? Way::Split : Way::Words;
}

/// How 16-bit kernels split codes: one plane of up to 15 bits, or two of 8.
struct Planes {
  int count = 1;
  /// Window positions times steps after which 32-bit sums must move to 64-bit ones (wide only).
  int flush = 1;
};

Planes planes_of(const ConvProblem& problem) {
  Planes planes;
  planes.count = problem.input.bits > 12 ? 2 : 1;
  const int bits = problem.input.bits > 12 ? 8 : problem.input.bits;
  // A step adds two products of at most 2^15 x 2^bits.
  planes.flush = std::max(1, 1 << (30 - 15 - bits));
  return planes;
}

int channels_a_step(const ConvProblem& problem) { return way_of(problem) == Way::Words ? 2 : 4; }

/// Weights of all groups; split ones take twice what a step's four bytes take.
GroupLayout layout_of(const ConvProblem& problem) {
  GroupLayout layout = group_layout(problem.shape, channels_a_step(problem));
  if (way_of(problem) == Way::Split) layout.block_bytes *= 2;
  return layout;
}

bool needs_box(const ConvProblem& problem) {
  const int packed_bits = takes_bytes(problem) ? 8 : 16;
  return problem.box || weight_form(problem.lattice, problem.weight_bits, packed_bits).needs_box();
}

/// 8-bit pixels are widened to 16 bits in scratch before 16-bit kernels read them.
bool widens(const ConvProblem& problem) {
  return way_of(problem) == Way::Words && problem.input.element() == Element::U8;
}

struct WideImage {
  int64_t row = 0, pixel = 0;  // elements
  int64_t bytes = 0;
};

WideImage wide_image(const ConvShape& shape) {
  WideImage image;
  image.pixel = (shape.channels + 3) / 4 * 4;
  image.row = image.pixel * (shape.width + 2 * shape.padding);
  image.bytes = (image.row * (shape.height + 2 * shape.padding) * 2 + 64 + 63) / 64 * 64;
  return image;
}

/// Where the input's pixels and a window's positions lie, in bytes.
struct Input {
  const std::byte* origin = nullptr;  // pixel (0, 0)
  int64_t row = 0, pixel = 0;
};

}  // namespace

size_t dense_packed_bytes(const ConvProblem& problem) {
  const GroupLayout layout = layout_of(problem);
  // The weights, and for each output channel -zero times the sum of W.
  return static_cast<size_t>(problem.shape.groups * layout.group_bytes()) +
         static_cast<size_t>(problem.shape.groups * layout.blocks * 64) * sizeof(int64_t);
}

size_t dense_scratch_bytes(const ConvProblem& problem) {
  size_t bytes = needs_box(problem) ? box_scratch_bytes(problem.shape) : 0;
  if (widens(problem)) bytes += static_cast<size_t>(wide_image(problem.shape).bytes);
  return bytes;
}

INSTANTNET_AVX512_BEGIN

namespace {

// ---- Packing.

/// 16 rows of 16 numbers of 32 bits, turned.
inline void transpose(__m512i* rows) {
  __m512i a[kLanes], b[kLanes];
  INSTANTNET_UNROLL
  for (int i = 0; i < kLanes; i += 2) {
    a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  INSTANTNET_UNROLL
  for (int i = 0; i < kLanes; i += 4) {
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  // b[4 j + i]: column 4 lane + i of rows 4 j .. 4 j + 3.
  INSTANTNET_UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m512i low = _mm512_shuffle_i32x4(b[i], b[4 + i], 0x88);
    const __m512i low_odd = _mm512_shuffle_i32x4(b[i], b[4 + i], 0xDD);
    const __m512i high = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0x88);
    const __m512i high_odd = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0xDD);
    rows[i] = _mm512_shuffle_i32x4(low, high, 0x88);
    rows[8 + i] = _mm512_shuffle_i32x4(low, high, 0xDD);
    rows[4 + i] = _mm512_shuffle_i32x4(low_odd, high_odd, 0x88);
    rows[12 + i] = _mm512_shuffle_i32x4(low_odd, high_odd, 0xDD);
  }
}

/// WeightSource::narrow of the sbm lattice, 16 at a time; `codes` has room for a multiple of 16.
void divide_row(const WeightSource& weights, int bits, int64_t first, int64_t count,
                uint16_t* codes) {
  const int master = weights.master_bits;
  const __m512i largest = _mm512_set1_epi32((1 << bits) - 1);
  const __m512i half = _mm512_set1_epi32(((1 << master) - 2) / 2), one = _mm512_set1_epi32(1);
  const __m128i places = _mm_cvtsi32_si128(master);
  for (int64_t i = 0; i < count; i += kLanes) {
    const __mmask16 lanes = first_lanes(static_cast<int>(std::min<int64_t>(kLanes, count - i)));
    const __m512i from =
        _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, weights.master + first + i));
    const __m512i v = _mm512_add_epi32(_mm512_mullo_epi32(from, largest), half);
    const __m512i quotient = _mm512_srl_epi32(
        _mm512_add_epi32(_mm512_add_epi32(v, _mm512_srl_epi32(v, places)), one), places);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes + i), _mm512_cvtepi32_epi16(quotient));
  }
}

/// Codes shifted right by `narrower` to packed numbers, as they lie in a register's 32 bits:
/// `count` of them, of one byte each or of two. Returns the sum of the shifted codes.
int64_t pack_row(const WeightForm& form, const ConvProblem& problem, const uint16_t* codes,
                 int narrower, int count, bool bytes, std::byte* to) {
  const bool centred = form.needs_box() || problem.lattice == Lattice::Sbm;
  const __m512i offset = _mm512_set1_epi16(
      static_cast<int16_t>(centred ? -form.half : 1 - (1 << problem.weight_bits)));
  const __m128i places = _mm_cvtsi32_si128(centred ? 0 : 1), right = _mm_cvtsi32_si128(narrower);
  const __m512i low_bytes = _mm512_set1_epi16(0xFF), zero = _mm512_setzero_si512();
  __m512i low_sums = zero, high_sums = zero;
  constexpr int kEach = 32;
  for (int i = 0; i < count; i += kEach) {
    const __mmask32 lanes = count - i >= kEach ? ~__mmask32{0} : (__mmask32{1} << (count - i)) - 1;
    const __m512i code = _mm512_srl_epi16(_mm512_maskz_loadu_epi16(lanes, codes + i), right);
    low_sums = _mm512_add_epi64(low_sums, _mm512_sad_epu8(_mm512_and_si512(code, low_bytes), zero));
    high_sums = _mm512_add_epi64(high_sums, _mm512_sad_epu8(_mm512_srli_epi16(code, 8), zero));
    const __m512i number = _mm512_add_epi16(_mm512_sll_epi16(code, places), offset);
    // Stores with a mask take many times as long as those without.
    if (bytes && count - i >= kEach)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), _mm512_cvtepi16_epi8(number));
    else if (bytes)
      _mm256_mask_storeu_epi8(to + i, lanes, _mm512_cvtepi16_epi8(number));
    else if (count - i >= kEach)
      _mm512_storeu_si512(to + 2 * i, number);
    else
      _mm512_mask_storeu_epi16(to + 2 * i, lanes, number);
  }
  return _mm512_reduce_add_epi64(low_sums) + 256 * _mm512_reduce_add_epi64(high_sums);
}

}  // namespace

namespace {

/// Numbers of 16 bits as high bytes (signed) and low bytes (unsigned). Returns the sum of the low
/// ones.
int64_t split_row(const std::byte* numbers, int count, std::byte* high, std::byte* low) {
  int64_t sum = 0;
  for (int i = 0; i < count; ++i) {
    int16_t number;
    std::memcpy(&number, numbers + 2 * i, sizeof number);
    high[i] = static_cast<std::byte>(number >> 8);
    low[i] = static_cast<std::byte>(number & 0xFF);
    sum += number & 0xFF;
  }
  return sum;
}

/// One block's 16 channels as rows of 32-bit numbers, turned so that a register has one number of
/// each, `apart` bytes from one register to the next.
void turn(const std::byte* rows, int64_t row_bytes, int numbers, int64_t apart, std::byte* to) {
  for (int at = 0; at < numbers; at += kLanes) {
    __m512i lines[kLanes];
    INSTANTNET_UNROLL
    for (int i = 0; i < kLanes; ++i)
      lines[i] = _mm512_loadu_si512(rows + i * row_bytes + int64_t{4} * at);
    transpose(lines);
    for (int i = 0; i < std::min(kLanes, numbers - at); ++i)
      _mm512_store_si512(to + apart * (at + i), lines[i]);
  }
}

}  // namespace

void dense_pack(const ConvProblem& problem, const WeightSource& weights, std::byte* packed) {
  const ConvShape& shape = problem.shape;
  const Way way = way_of(problem);
  const bool bytes = way == Way::Bytes, split = way == Way::Split;
  const int step = channels_a_step(problem);
  const GroupLayout layout = layout_of(problem);
  const WeightForm form = weight_form(problem.lattice, problem.weight_bits, bytes ? 8 : 16);
  const int channels = shape.group_channels();
  const int numbers = layout.taps * layout.steps;  // registers of a vector, of 32 bits a lane
  const int64_t row_bytes = (int64_t{4} * numbers + 63) / 64 * 64;
  const bool full = channels % step == 0;  // nothing fills up a step
  // Nested codes are shifted as they are packed; rounding division has a loop of its own.
  const bool nested = problem.lattice == Lattice::Nested;
  const int narrower = nested ? weights.master_bits - problem.weight_bits : 0;
  auto* corrections = reinterpret_cast<int64_t*>(packed + shape.groups * layout.group_bytes());
  std::fill_n(corrections, int64_t{shape.groups} * layout.blocks * 64, 0);
  std::vector<uint16_t> codes(static_cast<size_t>(shape.taps() + kLanes));
  std::vector<std::byte> rows(static_cast<size_t>(kLanes * row_bytes));
  std::vector<std::byte> low_rows(split ? rows.size() : 0);
  std::vector<std::byte> words(split ? static_cast<size_t>(2 * shape.taps() + 64) : 0);
  for (int group = 0; group < shape.groups; ++group)
    for (int first = 0; first < layout.out; first += kLanes) {
      const int count = std::min(kLanes, layout.out - first), block = first / 64;
      // Lanes without a channel, and what fills up a step, are zeros.
      if (count < kLanes || !full) {
        std::fill(rows.begin(), rows.end(), std::byte{0});
        std::fill(low_rows.begin(), low_rows.end(), std::byte{0});
      }
      for (int lane = 0; lane < count; ++lane) {
        const int64_t at = (int64_t{group} * layout.out + first + lane) * shape.taps();
        const uint16_t* row_codes = codes.data();
        if (nested || problem.weight_bits == weights.master_bits)
          row_codes = weights.master + at;
        else
          divide_row(weights, problem.weight_bits, at, shape.taps(), codes.data());
        std::byte* row = rows.data() + lane * row_bytes;
        int64_t sum = 0, low_sum = 0;
        const int pieces = full ? 1 : layout.taps;  // that lie one behind the other
        const int piece = full ? layout.taps * channels : channels;
        for (int i = 0; i < pieces; ++i) {
          const int64_t to = int64_t{4} * i * layout.steps;
          const uint16_t* from = row_codes + i * piece;
          sum += pack_row(form, problem, from, narrower, piece, bytes,
                          split ? words.data() : row + to);
          if (split)
            low_sum +=
                split_row(words.data(), piece, row + to, low_rows.data() + lane * row_bytes + to);
        }
        if (nested) sum = 2 * sum + shape.taps() * (1 - (int64_t{1} << problem.weight_bits));
        // Low bytes are multiplied with stored codes less 128 (sum_split).
        corrections[(group * layout.blocks + block) * 64 + first % 64 + lane] =
            -problem.input.zero * sum + form.scale * 128 * low_sum;
      }
      const int vectors = (std::min(64, layout.out - block * 64) + kLanes - 1) / kLanes;
      const int64_t apart = int64_t{split ? 128 : 64} * vectors;
      std::byte* to = packed + group * layout.group_bytes() + block * layout.block_bytes +
                      first % 64 / kLanes * 64;
      turn(rows.data(), row_bytes, numbers, apart, to);
      if (split) turn(low_rows.data(), row_bytes, numbers, apart, to + 64 * vectors);
    }
}

namespace {

// The compilers put a register move before each of the intrinsics (g++ 12), so these are written
// out.
inline void dot_bytes(__m512i& sum, __m512i codes, __m512i weights) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weights));
}
inline void dot_words(__m512i& sum, __m512i codes, __m512i weights) {
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weights));
}

inline __m512i spread(const std::byte* at) {
  int32_t four;
  std::memcpy(&four, at, sizeof four);
  return _mm512_set1_epi32(four);
}

/// One tile's sums of packed weights times stored codes: kPixels pixels by kVectors x 16 channels.
template <int kPixels, int kVectors>
struct Tile {
  __m512i sum[kPixels][kVectors];
  void clear() {
    for (auto& row : sum)
      for (__m512i& one : row) one = _mm512_setzero_si512();
  }
};

/// A tile while products are added: indexed by constants only, so that it stays in registers.
template <int kPixels, int kVectors>
struct Registers {
  __m512i of[kPixels][kVectors];

  Registers() {
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) of[p][v] = _mm512_setzero_si512();
  }
  explicit Registers(const Tile<kPixels, kVectors>& tile) {
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) of[p][v] = tile.sum[p][v];
  }
  void store(Tile<kPixels, kVectors>& tile) const { store(tile.sum[0]); }
  void store(__m512i* to) const {
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) to[p * kVectors + v] = of[p][v];
  }
};

/// Where a tile's windows begin: anywhere, or `distance` bytes apart.
struct Windows {
  const std::byte* const* from = nullptr;
  int64_t distance = 0;  // 0: anywhere
};

/// Sets kPixels times kVectors registers to the sums of 8-bit products; never more than 32 bits.
/// kRow: windows are `distance` apart. Not inlined, or g++ keeps the sums in memory.
template <int kPixels, int kVectors, bool kRow>
INSTANTNET_OUT_OF_LINE void sum_bytes(__m512i* result, const Windows& windows, const int64_t* taps,
                                      int tap_count, int steps, const std::byte* weights) {
  Registers<kPixels, kVectors> sums;
  const int64_t distance = windows.distance, four = 4 * distance;
  for (int tap = 0; tap < tap_count; ++tap) {
    const std::byte* from[kRow ? (kPixels + 3) / 4 : kPixels];
    if constexpr (kRow) {
      INSTANTNET_UNROLL
      for (int i = 0; i < (kPixels + 3) / 4; ++i) from[i] = windows.from[0] + taps[tap] + i * four;
    } else {
      INSTANTNET_UNROLL
      for (int p = 0; p < kPixels; ++p) from[p] = windows.from[p] + taps[tap];
    }
    for (int step = 0; step < steps; ++step, weights += 64 * kVectors) {
      __m512i w[kVectors];
      INSTANTNET_UNROLL
      for (int v = 0; v < kVectors; ++v) w[v] = _mm512_load_si512(weights + 64 * v);
      INSTANTNET_UNROLL
      for (int p = 0; p < kPixels; ++p) {
        const __m512i codes =
            kRow ? spread(from[p / 4] + (p % 4) * distance) : spread(from[p] + 4 * step);
        INSTANTNET_UNROLL
        for (int v = 0; v < kVectors; ++v) dot_bytes(sums.of[p][v], codes, w[v]);
      }
      if constexpr (kRow) {
        INSTANTNET_UNROLL
        for (int i = 0; i < (kPixels + 3) / 4; ++i) from[i] += 4;
      }
    }
  }
  sums.store(result);
}

/// sum_bytes of weights 256 high + low: low bytes are unsigned, so they are multiplied with stored
/// codes less 128, and the rest is in the corrections. Sums wrap, their total fits.
template <int kPixels, int kVectors>
INSTANTNET_OUT_OF_LINE void sum_split(__m512i* result, const Windows& windows, const int64_t* taps,
                                      int tap_count, int steps, const std::byte* weights) {
  Registers<kPixels, kVectors> highs, lows;
  const __m512i top_bits = _mm512_set1_epi8(static_cast<char>(0x80));
  for (int tap = 0; tap < tap_count; ++tap) {
    const std::byte* from[kPixels];
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) from[p] = windows.from[p] + taps[tap];
    for (int step = 0; step < steps; ++step, weights += 128 * kVectors) {
      INSTANTNET_UNROLL
      for (int p = 0; p < kPixels; ++p) {
        const __m512i codes = spread(from[p] + 4 * step);
        const __m512i centred = _mm512_xor_si512(codes, top_bits);
        INSTANTNET_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          dot_bytes(highs.of[p][v], codes, _mm512_load_si512(weights + 64 * v));
          dot_bytes(lows.of[p][v], _mm512_load_si512(weights + 64 * (kVectors + v)), centred);
        }
      }
    }
  }
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
  for (int v = 0; v < kVectors; ++v)
    lows.of[p][v] = _mm512_add_epi32(lows.of[p][v], _mm512_slli_epi32(highs.of[p][v], 8));
  lows.store(result);
}

/// 16-bit products of one tap's steps [begin, end): codes as they are, or their low and high bytes
/// apart.
template <int kPixels, int kVectors, bool kTwoPlanes>
INSTANTNET_OUT_OF_LINE void add_words(Tile<kPixels, kVectors>& low, Tile<kPixels, kVectors>& high,
                                      const std::byte* const* from, int begin, int end,
                                      const std::byte* weights) {
  const __m512i bytes = _mm512_set1_epi16(0xFF);
  Registers<kPixels, kVectors> lows(low), highs(high);
  for (int step = begin; step < end; ++step) {
    __m512i w[kVectors];
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v)
      w[v] = _mm512_load_si512(weights + 64 * (step * kVectors + v));
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) {
      const __m512i codes = spread(from[p] + 4 * step);
      if constexpr (kTwoPlanes) {
        const __m512i lower = _mm512_and_si512(codes, bytes), upper = _mm512_srli_epi16(codes, 8);
        INSTANTNET_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          dot_words(lows.of[p][v], lower, w[v]);
          dot_words(highs.of[p][v], upper, w[v]);
        }
      } else {
        INSTANTNET_UNROLL
        for (int v = 0; v < kVectors; ++v) dot_words(lows.of[p][v], codes, w[v]);
      }
    }
  }
  lows.store(low);
  if constexpr (kTwoPlanes) highs.store(high);
}

/// 64-bit sums of a tile, in memory.
template <int kPixels, int kVectors>
struct WideTile {
  alignas(64) int64_t sum[kPixels][kVectors][kLanes];
  void clear() { std::memset(sum, 0, sizeof sum); }

  /// Adds a tile's sums times 2^shift and clears it.
  void take(Tile<kPixels, kVectors>& tile, int shift) {
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      int64_t* at = sum[p][v];
      const __m512i one = tile.sum[p][v];
      const __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(one));
      const __m512i high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(one, 1));
      const __m128i by = _mm_cvtsi32_si128(shift);
      _mm512_store_si512(at, _mm512_add_epi64(_mm512_load_si512(at), _mm512_sll_epi64(low, by)));
      _mm512_store_si512(at + 8,
                         _mm512_add_epi64(_mm512_load_si512(at + 8), _mm512_sll_epi64(high, by)));
      tile.sum[p][v] = _mm512_setzero_si512();
    }
  }
};

/// What stays the same for all pixels of a block of channels.
struct Block {
  const ConvProblem& problem;
  Way way;
  const GroupLayout& layout;
  const std::byte* weights;
  const int64_t* corrections;  // of the block's channels
  const int64_t* taps;         // bytes from a pixel to each run of window positions
  int runs, run_steps;         // runs of neighbouring positions, and their steps
  WeightForm form;
  Planes planes;
  const BoxSums* boxes;  // null: nothing needs them
  int sum_shift;
};

/// A run of output pixels, one behind the other in reading order: where their windows begin, and
/// which they are.
struct Pixels {
  const std::byte* from[kMostPixels];
  int y[kMostPixels], x[kMostPixels];
  int count = 0;
  int64_t distance = 0;  // as Windows
};

/// 32-bit sums of products to those of equations (3) and (4), in place.
template <int kVectors>
void complete(__m512i* sums, const Block& block, int count, const int32_t* boxes) {
  const int double_it = block.form.scale == 2 ? 1 : 0;
  const bool corrected = block.problem.input.zero != 0 || block.way == Way::Split;
  if (double_it == 0 && boxes == nullptr && !corrected) return;
  __m512i corrections[kVectors];
  INSTANTNET_UNROLL
  for (int v = 0; v < kVectors; ++v)
    corrections[v] = _mm512_inserti64x4(
        _mm512_castsi256_si512(
            _mm512_cvtepi64_epi32(_mm512_loadu_si512(block.corrections + v * kLanes))),
        _mm512_cvtepi64_epi32(_mm512_loadu_si512(block.corrections + v * kLanes + 8)), 1);
  for (int p = 0; p < count; ++p, sums += kVectors) {
    const auto stored = static_cast<uint32_t>(boxes == nullptr ? 0 : boxes[p]);
    const __m512i offset =
        _mm512_set1_epi32(static_cast<int32_t>(static_cast<uint32_t>(block.form.offset) * stored));
    INSTANTNET_UNROLL
    for (int v = 0; v < kVectors; ++v)
      sums[v] = _mm512_add_epi32(_mm512_slli_epi32(sums[v], static_cast<unsigned>(double_it)),
                                 _mm512_add_epi32(offset, corrections[v]));
  }
}

/// 64-bit sums of products to those of equations (3) and (4), shifted into 32 bits.
template <int kPixels, int kVectors>
void complete_wide(const WideTile<kPixels, kVectors>& tile, const Block& block, int count,
                   const int32_t* boxes, __m512i* sums) {
  const __m128i shift = _mm_cvtsi32_si128(block.sum_shift);
  for (int p = 0; p < std::min(count, kPixels); ++p, sums += kVectors) {
    const __m512i offset =
        _mm512_set1_epi64(int64_t{block.form.offset} * (boxes == nullptr ? 0 : boxes[p]));
    for (int v = 0; v < kVectors; ++v) {
      __m256i half[2];
      for (int h = 0; h < 2; ++h) {
        __m512i sum = _mm512_load_si512(tile.sum[p][v] + 8 * h);
        if (block.form.scale == 2) sum = _mm512_slli_epi64(sum, 1);
        const int64_t* correction = block.corrections + v * kLanes + 8 * h;
        sum = _mm512_add_epi64(_mm512_add_epi64(sum, offset), _mm512_loadu_si512(correction));
        half[h] = _mm512_cvtepi64_epi32(_mm512_sra_epi64(sum, shift));
      }
      sums[v] = _mm512_inserti64x4(_mm512_castsi256_si512(half[0]), half[1], 1);
    }
  }
}

/// Complete sums to the epilogue; boxes are of stored codes.
template <int kVectors, bool kBox>
INSTANTNET_OUT_OF_LINE void finish(__m512i* sums, const Block& block, const Pixels& pixels,
                                   const int32_t* boxes, const Epilogue64& epilogue,
                                   std::byte* arena) {
  if (!kBox && epilogue.takes_runs())
    return epilogue.finish_run(kVectors, sums, {pixels.y, pixels.x, pixels.count}, arena);
  const int zeros = block.problem.input.zero * static_cast<int>(block.problem.shape.taps());
  for (int p = 0; p < pixels.count; ++p, sums += kVectors) {
    __m512i box[kVectors];
    for (__m512i& one : box) one = _mm512_set1_epi32((kBox ? boxes[p] : 0) - zeros);
    epilogue.finish<kVectors, kBox>(sums, box, pixels.y[p], pixels.x[p], arena);
  }
}

/// Complete sums of kPixels pixels whose windows begin at `windows`; `count` are wanted.
template <int kPixels, int kVectors, bool kTwoPlanes>
void sum_words(__m512i* sums, const Block& block, const std::byte* const* windows, int count,
               const int32_t* boxes) {
  Tile<kPixels, kVectors> low, high;
  low.clear();
  high.clear();
  WideTile<kPixels, kVectors> wide;
  if (block.problem.wide) wide.clear();
  const std::byte* weights = block.weights;
  int since = 0;
  const auto flush = [&]() INSTANTNET_INLINE_LAMBDA {
    wide.take(low, 0);
    if (kTwoPlanes) wide.take(high, 8);
    since = 0;
  };
  for (int run = 0; run < block.runs; ++run) {
    const std::byte* from[kPixels];
    INSTANTNET_UNROLL
    for (int p = 0; p < kPixels; ++p) from[p] = windows[p] + block.taps[run];
    for (int step = 0; step < block.run_steps;) {
      const int room = block.problem.wide ? block.planes.flush - since : block.run_steps;
      const int end = std::min(block.run_steps, step + room);
      add_words<kPixels, kVectors, kTwoPlanes>(low, high, from, step, end, weights);
      since += end - step;
      step = end;
      if (block.problem.wide && since == block.planes.flush) flush();
    }
    weights += int64_t{64} * kVectors * block.run_steps;
  }
  if (block.problem.wide) {
    flush();
    return complete_wide<kPixels, kVectors>(wide, block, count, boxes, sums);
  }
  INSTANTNET_UNROLL
  for (int p = 0; p < kPixels; ++p) INSTANTNET_UNROLL
  for (int v = 0; v < kVectors; ++v) {
    const __m512i upper =
        kTwoPlanes ? _mm512_slli_epi32(high.sum[p][v], 8) : _mm512_setzero_si512();
    sums[p * kVectors + v] = _mm512_add_epi32(low.sum[p][v], upper);
  }
  complete<kVectors>(sums, block, std::min(count, kPixels), boxes);
}

/// Pixels whose sums are in registers at once: up to 24 sums of bytes, fewer where a sum is two.
constexpr int pixels_of(Way way, int vectors) {
  if (way == Way::Bytes) return vectors == 4 ? 4 : vectors == 1 ? 16 : 8;
  return vectors >= 3 ? 2 : vectors == 2 ? 4 : 8;
}

/// The sums of a run of pixels, then its epilogue.
template <int kVectors>
void run_of(const Block& block, const Pixels& pixels, const Epilogue64& epilogue,
            std::byte* arena) {
  constexpr int kBytes = pixels_of(Way::Bytes, kVectors), kSplit = pixels_of(Way::Split, kVectors),
                kWords = pixels_of(Way::Words, kVectors);
  const int32_t* boxes =
      block.boxes == nullptr ? nullptr : &block.boxes->at(pixels.y[0], pixels.x[0]);
  const auto boxes_at = [&](int p) { return boxes == nullptr ? nullptr : boxes + p; };
  __m512i sums[kMostPixels * kVectors];
  switch (block.way) {
    case Way::Bytes: {
      const auto kernel = pixels.distance != 0 ? sum_bytes<kBytes, kVectors, true>
                                               : sum_bytes<kBytes, kVectors, false>;
      for (int p = 0; p < pixels.count; p += kBytes)
        kernel(sums + p * kVectors, {pixels.from + p, pixels.distance}, block.taps, block.runs,
               block.run_steps, block.weights);
      complete<kVectors>(sums, block, pixels.count, boxes);
      break;
    }
    case Way::Split:
      for (int p = 0; p < pixels.count; p += kSplit)
        sum_split<kSplit, kVectors>(sums + p * kVectors, {pixels.from + p, 0}, block.taps,
                                    block.runs, block.run_steps, block.weights);
      complete<kVectors>(sums, block, pixels.count, boxes);
      break;
    case Way::Words: {
      const auto kernel = block.planes.count == 2 ? sum_words<kWords, kVectors, true>
                                                  : sum_words<kWords, kVectors, false>;
      for (int p = 0; p < pixels.count; p += kWords)
        kernel(sums + p * kVectors, block, pixels.from + p, pixels.count - p, boxes_at(p));
      break;
    }
  }
  if (block.problem.box)
    finish<kVectors, true>(sums, block, pixels, boxes, epilogue, arena);
  else
    finish<kVectors, false>(sums, block, pixels, boxes, epilogue, arena);
}

using RunFunction = void (*)(const Block&, const Pixels&, const Epilogue64&, std::byte*);

constexpr RunFunction kRuns[kMostVectors] = {run_of<1>, run_of<2>, run_of<3>, run_of<4>};

/// All output pixels of the part, one run after the other. Places of a run that is not full repeat
/// its last pixel; only `count` are written.
void over_pixels(const Block& block, const Input& input, const Part& part, int vectors,
                 RunFunction run, const Epilogue64& epilogue, std::byte* arena) {
  const ConvShape& shape = block.problem.shape;
  const int64_t distance = shape.stride * input.pixel;
  Pixels pixels;
  // Where what is in registers at once ends with rows, its windows are one distance apart.
  pixels.distance = shape.out_width % pixels_of(block.way, vectors) == 0 ? distance : 0;
  for (int y = part.row_begin; y < part.row_end; ++y) {
    const int64_t row = int64_t{y} * shape.stride - shape.padding;
    const std::byte* from = input.origin + row * input.row - shape.padding * input.pixel;
    for (int x = 0; x < shape.out_width; ++x, from += distance) {
      pixels.from[pixels.count] = from;
      pixels.y[pixels.count] = y;
      pixels.x[pixels.count++] = x;
      if (pixels.count < kMostPixels) continue;
      run(block, pixels, epilogue, arena);
      pixels.count = 0;
    }
  }
  if (pixels.count == 0) return;
  for (int p = pixels.count; p < kMostPixels; ++p) pixels.from[p] = pixels.from[p - 1];
  run(block, pixels, epilogue, arena);
}

/// The rows that the part reads, 8 bits to 16, halo included.
Input widened(const ConvShape& shape, const ConvCall& call, const Part& part,
              const std::byte* arena, std::byte* scratch) {
  const WideImage image = wide_image(shape);
  auto* to = reinterpret_cast<uint16_t*>(scratch) + shape.padding * image.row +
             shape.padding * image.pixel;
  const int first = part.row_begin * shape.stride - shape.padding;
  const int last = std::min((part.row_end - 1) * shape.stride - shape.padding +
                                (shape.kernel_height - 1) * shape.dilation,
                            shape.height - 1 + shape.padding);
  for (int y = first; y <= last; ++y)
    for (int x = -shape.padding; x < shape.width + shape.padding; ++x) {
      const auto* from = call.input.pixel<uint8_t>(arena, y, x);
      uint16_t* pixel = to + y * image.row + x * image.pixel;
      for (int c = 0; c < shape.channels; ++c) pixel[c] = from[c];
      for (int64_t c = shape.channels; c < image.pixel; ++c) pixel[c] = 0;
    }
  return {reinterpret_cast<const std::byte*>(to), image.row * 2, image.pixel * 2};
}

}  // namespace

void dense_convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                    const Memory& memory) {
  const ConvShape& shape = problem.shape;
  const Way way = way_of(problem);
  const int64_t element = bytes_of(call.input.element);
  Input input{memory.arena + call.input.offset, call.input.row_stride * element,
              call.input.pixel_stride * element};
  std::byte* scratch = memory.scratch;
  if (widens(problem)) {
    input = widened(shape, call, part, memory.arena, scratch);
    scratch += wide_image(shape).bytes;
  }
  const int64_t read_element = way == Way::Words ? 2 : 1;
  const GroupLayout layout = layout_of(problem);
  // A window's row is one run of bytes where nothing lies between its pixels.
  const bool whole_rows = shape.dilation == 1 && shape.groups == 1 &&
                          input.pixel == shape.channels * read_element &&
                          shape.channels % channels_a_step(problem) == 0;
  const int run_taps = whole_rows ? shape.kernel_width : 1;
  const int runs = layout.taps / run_taps;
  std::array<int64_t, kMostWindow> taps;
  for (int i = 0; i < runs; ++i) {
    const int r = i * run_taps / shape.kernel_width, s = i * run_taps % shape.kernel_width;
    taps[static_cast<size_t>(i)] =
        r * shape.dilation * input.row + s * shape.dilation * input.pixel;
  }
  const auto* corrections =
      reinterpret_cast<const int64_t*>(call.weights + shape.groups * layout.group_bytes());
  const Requant& requant =
      call.epilogue.to_stream ? call.epilogue.requant : call.epilogue.codes[0].requant;
  for (int group = 0; group < shape.groups; ++group) {
    BoxSums boxes;
    if (needs_box(problem))
      boxes = sum_boxes(problem, call.input, part, group, memory.arena, scratch);
    const int first = group * layout.out;
    for (int block = 0; block < layout.blocks; ++block) {
      const int channel = first + block * 64;
      if (channel < part.channel_begin || channel >= part.channel_end) continue;
      const int count = std::min(64, layout.out - block * 64);
      const Block work{
          problem,
          way,
          layout,
          call.weights + group * layout.group_bytes() + block * layout.block_bytes,
          corrections + (group * layout.blocks + block) * 64,
          taps.data(),
          runs,
          run_taps * layout.steps,
          weight_form(problem.lattice, problem.weight_bits, way == Way::Bytes ? 8 : 16),
          planes_of(problem),
          needs_box(problem) ? &boxes : nullptr,
          requant.sum_shift};
      const Epilogue64 epilogue(call.epilogue, call.borders, shape.out_channels, channel, count);
      const int vectors = (count + kLanes - 1) / kLanes;
      Input of_group = input;
      of_group.origin += group * shape.group_channels() * read_element;
      over_pixels(work, of_group, part, vectors, kRuns[vectors - 1], epilogue, memory.arena);
    }
  }
}

INSTANTNET_AVX512_END

}  // namespace instantnet::runtime::avx512
