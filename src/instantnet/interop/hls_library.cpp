#include "instantnet/interop/hls_library.h"

namespace instantnet::interop::hls {
namespace {

constexpr const char* kIntHeader = R"(// Integers of W bits, 1 <= W <= 64: int_t<W> and uint_t<W>.
//
// A vendor's types take their place with one typedef each. Compile with
//   -DIN_VENDOR_INT='"my_int.h"'
// where my_int.h holds, for example,
//   #include <ap_int.h>
//   namespace instantnet {
//   template <int W> using int_t = ap_int<W>;
//   template <int W> using uint_t = ap_uint<W>;
//   }  // namespace instantnet
// All that is asked of them: they are made from and turned into built-in integers, and have +=.
//
// Compiled with -DIN_CHECK_WRAP, ours stop the program when a value does not fit its width.
#ifndef INSTANTNET_INT_H
#define INSTANTNET_INT_H

namespace instantnet {

typedef long long wide_t;  // 64 bits: intermediate results

}  // namespace instantnet

#ifdef IN_VENDOR_INT
#include IN_VENDOR_INT
#else

#ifdef IN_CHECK_WRAP
#include <cstdio>
#include <cstdlib>
#endif

namespace instantnet {

/// The smallest built-in integer of at least so many bytes.
template <int Bytes>
struct Storage {
  typedef long long Signed;
  typedef unsigned long long Unsigned;
};
template <>
struct Storage<1> {
  typedef signed char Signed;
  typedef unsigned char Unsigned;
};
template <>
struct Storage<2> {
  typedef short Signed;
  typedef unsigned short Unsigned;
};
template <>
struct Storage<3> {
  typedef int Signed;
  typedef unsigned int Unsigned;
};
template <>
struct Storage<4> : Storage<3> {};

inline void check_fit(bool fits, wide_t value, int bits) {
#ifdef IN_CHECK_WRAP
  if (fits) return;
  std::fprintf(stderr, "%lld does not fit %d bits\n", value, bits);
  std::abort();
#else
  (void)fits, (void)value, (void)bits;
#endif
}

/// Two's complement, -2^(W-1) .. 2^(W-1) - 1.
template <int W>
class Int {
 public:
  static_assert(W >= 1 && W <= 64, "1 to 64 bits");
  Int() : value_(0) {}
  template <class T>
  Int(const T& value) : value_(wrapped(static_cast<wide_t>(value))) {}
  operator wide_t() const { return value_; }
  template <class T>
  Int& operator+=(const T& value) {
    return *this = Int(static_cast<wide_t>(value_) + static_cast<wide_t>(value));
  }

 private:
  typedef typename Storage<(W + 7) / 8>::Signed Value;
  static Value wrapped(wide_t value) {
    const int unused = 64 - W;
    const wide_t kept =
        static_cast<wide_t>(static_cast<unsigned long long>(value) << unused) >> unused;
    check_fit(kept == value, value, W);
    return static_cast<Value>(kept);
  }
  Value value_;
};

/// 0 .. 2^W - 1; W < 64.
template <int W>
class UInt {
 public:
  static_assert(W >= 1 && W <= 63, "1 to 63 bits");
  UInt() : value_(0) {}
  template <class T>
  UInt(const T& value) : value_(wrapped(static_cast<wide_t>(value))) {}
  operator wide_t() const { return static_cast<wide_t>(value_); }
  template <class T>
  UInt& operator+=(const T& value) {
    return *this = UInt(static_cast<wide_t>(value_) + static_cast<wide_t>(value));
  }

 private:
  typedef typename Storage<(W + 7) / 8>::Unsigned Value;
  static Value wrapped(wide_t value) {
    const wide_t kept = value & ((1LL << W) - 1);
    check_fit(kept == value, value, W);
    return static_cast<Value>(kept);
  }
  Value value_;
};

// The two lines that a vendor's types replace.
template <int W>
using int_t = Int<W>;
template <int W>
using uint_t = UInt<W>;

}  // namespace instantnet

#endif  // IN_VENDOR_INT
#endif  // INSTANTNET_INT_H
)";

constexpr const char* kPragmaHeader = R"(// What a synthesis tool is told. Every macro stands for a pragma; a compiler for a processor sees
// nothing. Define IN_PRAGMAS as a file of your own to give them a meaning, for example
//   g++:    (nothing)
//   Vitis:  #define IN_PIPELINE(ii) IN_TEXT(HLS pipeline II=ii)
//           #define IN_PACKED(n) IN_TEXT(HLS unroll factor=n)
//           #define IN_UNROLL _Pragma("HLS unroll")
//           #define IN_PARTITION(v) IN_TEXT(HLS array_partition variable=v complete dim=1)
//           #define IN_BANKS(v, n) IN_TEXT(HLS array_partition variable=v cyclic factor=n)
//           #define IN_ONE_INSTANCE(f) IN_TEXT(HLS allocation function instances=f limit=1)
//           #define IN_DATAFLOW _Pragma("HLS dataflow")
//           #define IN_OFF_CHIP(p) IN_TEXT(HLS interface m_axi port=p bundle=p)
//   Catapult: IN_PIPELINE: hls_pipeline_init_interval 1; IN_UNROLL: hls_unroll yes; the others are
//           directives of the project.
//   Intel:  IN_PIPELINE: ii 1; IN_UNROLL: unroll; IN_PARTITION: the attribute hls_register.
#ifndef INSTANTNET_HLS_H
#define INSTANTNET_HLS_H

#define IN_TEXT(...) IN_TEXT_(__VA_ARGS__)
#define IN_TEXT_(...) _Pragma(#__VA_ARGS__)

#ifdef IN_PRAGMAS
#include IN_PRAGMAS
#else
#define IN_PIPELINE(ii)            // inside a loop: an iteration starts every ii cycles
#define IN_PACKED(n)               // inside a loop: n iterations a cycle, n pairs a multiplier
#define IN_UNROLL                  // inside a loop: all iterations are hardware side by side
#define IN_PARTITION(variable)     // a memory of its own for each index of the first dimension
#define IN_BANKS(variable, n)      // a memory in n parts, as the plan moves n words a cycle
#define IN_ONE_INSTANCE(function)  // all calls of the function share one piece of hardware
#define IN_DATAFLOW                // the calls that follow run at the same time
#define IN_OFF_CHIP(port)          // a pointer into memory off the chip
#endif

// Compiled with -DIN_COUNT_STEPS, every step of the multipliers is counted, by layer.
#ifdef IN_COUNT_STEPS
extern long long in_steps[];
#define IN_STEP(layer) ++in_steps[layer];
#else
#define IN_STEP(layer)
#endif

#endif  // INSTANTNET_HLS_H
)";

constexpr const char* kArithmeticHeader = R"(// The integer model: what is not a layer's sums. Images are rows of pixels of channels; >> of a
// negative number rounds down.
#ifndef INSTANTNET_ARITHMETIC_H
#define INSTANTNET_ARITHMETIC_H

#include "instantnet_hls.h"
#include "instantnet_int.h"

namespace instantnet {

// ---- Weights: narrow codes from master codes, and what a code means.

/// Nested lattice: the leading bits.
inline wide_t narrow_nested(wide_t master, int master_bits, int bits) {
  return master >> (master_bits - bits);
}

/// Nested lattice: odd integers about zero.
inline wide_t weight_nested(wide_t code, int bits) { return 2 * code + 1 - (1LL << bits); }

/// Sbm lattice: master / (2^M - 1) * (2^b - 1), halves rounded up. The division by 2^M - 1 is a
/// shift and an addition, exact for all masters.
inline wide_t narrow_sbm(wide_t master, int master_bits, int bits) {
  const wide_t v = master * ((1LL << bits) - 1) + ((1LL << master_bits) - 2) / 2;
  return (v + (v >> master_bits) + 1) >> master_bits;
}

// ---- Behind sums.

/// What is the same for all channels: the sum's own shift, the shift behind the products, the ends.
struct Requant {
  int sum_shift, shift;
  wide_t least, most;
};

inline wide_t clamped(wide_t value, wide_t least, wide_t most) {
  return value < least ? least : value > most ? most : value;
}

/// The only rounding behind a sum. No product or sum exceeds 63 bits.
inline wide_t requantised(wide_t sum, wide_t multiplier, wide_t offset, const Requant& requant) {
  const wide_t t = (sum >> requant.sum_shift) * multiplier + offset;
  return clamped(t >> requant.shift, requant.least, requant.most);
}

/// The same with the sum of the window's input codes (sbm lattice).
inline wide_t requantised(wide_t sum, wide_t multiplier, wide_t box, wide_t box_multiplier,
                          wide_t offset, const Requant& requant) {
  return requantised(sum, multiplier, box * box_multiplier + offset, requant);
}

/// Sums of the input codes under every window, for each group of channels: (p, q, g).
template <int H, int W, int G, int C, int P, int Q, int R, int S, int Stride, int Dilation,
          int Padding, class In, class Sum>
void box_sums(const In* in, wide_t zero, Sum* boxes) {
  for (int p = 0; p < P; ++p)
    for (int q = 0; q < Q; ++q)
      for (int g = 0; g < G; ++g) {
        wide_t box = 0;
        for (int r = 0; r < R; ++r)
          for (int s = 0; s < S; ++s)
            for (int c = 0; c < C; ++c) {
              IN_PIPELINE(1)
              const int y = p * Stride + r * Dilation - Padding;
              const int x = q * Stride + s * Dilation - Padding;
              if (y >= 0 && y < H && x >= 0 && x < W)
                box += static_cast<wide_t>(in[(y * W + x) * G * C + g * C + c]) - zero;
            }
        boxes[(p * Q + q) * G + g] = box;
      }
}

// ---- Between layers.

/// The image's bytes as codes.
template <int Count, class In, class Out>
void copy_pixels(const In* in, Out* out) {
  for (int i = 0; i < Count; ++i) {
    IN_PIPELINE(1)
    out[i] = static_cast<wide_t>(in[i]);
  }
}

/// Codes or stream values of the image from a table of 256 numbers a channel.
template <int Pixels, int C, class In, class Entry, class Out>
void from_table(const In* in, const Entry (&table)[C][256], Out* out) {
  for (int i = 0; i < Pixels; ++i)
    for (int c = 0; c < C; ++c) {
      IN_PIPELINE(1)
      out[i * C + c] = static_cast<wide_t>(table[c][static_cast<int>(in[i * C + c])]);
    }
}

/// A stream to the codes of a layer that reads it.
template <int Pixels, int C, class In, class Multiplier, class Offset, class Out>
void recode(const In* in, const Multiplier (&multiplier)[C], const Offset (&offset)[C],
            const Requant& requant, Out* out) {
  for (int i = 0; i < Pixels; ++i)
    for (int c = 0; c < C; ++c) {
      IN_PIPELINE(1)
      out[i * C + c] = requantised(static_cast<wide_t>(in[i * C + c]), multiplier[c], offset[c],
                                   requant);
    }
}

/// Sum of two streams, then the activation function's ends.
template <int Count, class Stream>
void add(const Stream* a, const Stream* b, wide_t least, wide_t most, Stream* out) {
  for (int i = 0; i < Count; ++i) {
    IN_PIPELINE(1)
    out[i] = clamped(static_cast<wide_t>(a[i]) + static_cast<wide_t>(b[i]), least, most);
  }
}

/// An addition of one input: the ends alone.
template <int Count, class Stream>
void clamp_all(const Stream* in, wide_t least, wide_t most, Stream* out) {
  for (int i = 0; i < Count; ++i) {
    IN_PIPELINE(1)
    out[i] = clamped(static_cast<wide_t>(in[i]), least, most);
  }
}

/// Mean of a window, padded places counted: one multiplication by 2^30 / places.
template <int H, int W, int C, int P, int Q, int R, int S, int Stride, int Padding, class Stream>
void average_pool(const Stream* in, Stream* out) {
  const wide_t reciprocal = ((1LL << 30) + R * S / 2) / (R * S);
  for (int p = 0; p < P; ++p)
    for (int q = 0; q < Q; ++q)
      for (int c = 0; c < C; ++c) {
        wide_t sum = 0;
        for (int r = 0; r < R; ++r)
          for (int s = 0; s < S; ++s) {
            IN_PIPELINE(1)
            const int y = p * Stride + r - Padding, x = q * Stride + s - Padding;
            if (y >= 0 && y < H && x >= 0 && x < W)
              sum += static_cast<wide_t>(in[(y * W + x) * C + c]);
          }
        out[(p * Q + q) * C + c] = (sum * reciprocal + (1LL << 29)) >> 30;
      }
}

/// Largest of a window's places inside the image.
template <int H, int W, int C, int P, int Q, int R, int S, int Stride, int Padding, class In,
          class Out>
void maximum_pool(const In* in, Out* out) {
  for (int p = 0; p < P; ++p)
    for (int q = 0; q < Q; ++q)
      for (int c = 0; c < C; ++c) {
        wide_t most = 0;
        bool any = false;
        for (int r = 0; r < R; ++r)
          for (int s = 0; s < S; ++s) {
            IN_PIPELINE(1)
            const int y = p * Stride + r - Padding, x = q * Stride + s - Padding;
            if (y < 0 || y >= H || x < 0 || x >= W) continue;
            const wide_t value = static_cast<wide_t>(in[(y * W + x) * C + c]);
            if (!any || value > most) most = value;
            any = true;
          }
        out[(p * Q + q) * C + c] = most;
      }
}

/// Channel k comes from channel k % groups * (C / groups) + k / groups.
template <int Pixels, int C, int Groups, class In, class Out>
void shuffle(const In* in, Out* out) {
  for (int i = 0; i < Pixels; ++i)
    for (int k = 0; k < C; ++k) {
      IN_PIPELINE(1)
      out[i * C + k] = static_cast<wide_t>(in[i * C + k % Groups * (C / Groups) + k / Groups]);
    }
}

/// (row, column, channel) to (channel, row, column).
template <int H, int W, int C, class In, class Out>
void flatten(const In* in, Out* out) {
  for (int y = 0; y < H; ++y)
    for (int x = 0; x < W; ++x)
      for (int c = 0; c < C; ++c) {
        IN_PIPELINE(1)
        out[(c * H + y) * W + x] = static_cast<wide_t>(in[(y * W + x) * C + c]);
      }
}

}  // namespace instantnet

#endif  // INSTANTNET_ARITHMETIC_H
)";

}  // namespace

const char* int_header() { return kIntHeader; }
const char* pragma_header() { return kPragmaHeader; }
const char* arithmetic_header() { return kArithmeticHeader; }

}  // namespace instantnet::interop::hls
