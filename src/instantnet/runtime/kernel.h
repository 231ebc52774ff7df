// The border between network and processor: what a set of kernels must compute, on what memory.
// prepare.h makes the numbers, session.h the memory; sets of kernels (portable, AVX-512, ...) give
// the same integers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/runtime/int_model.h"

namespace instantnet::runtime {

// ---- Memory.

enum class Element : uint8_t { U8, U16, I32, F32 };
constexpr int64_t bytes_of(Element element) {
  return element == Element::U8 ? 1 : element == Element::U16 ? 2 : 4;
}

/// How activation codes of `bits` lie in memory: stored = code + zero, in 0 .. 2^bits - 1, as U8 up
/// to 8 bits and as U16 above. zero is 2^(bits - 1) for InputKind::Signed and 0 for the others.
struct CodeFormat {
  int bits = 8;
  int zero = 0;
  Element element() const { return bits <= 8 ? Element::U8 : Element::U16; }
  int largest() const { return (1 << bits) - 1; }  // of what is stored
  bool operator==(const CodeFormat&) const = default;
};

/// One image in a session's arena: height x width pixels of `channels` elements, with `halo` pixels
/// around it on each side.
///
/// Pixels are pixel_stride elements apart, a multiple of 4 and at least `channels`; what lies
/// between is unspecified, may be overwritten by who writes the pixel, and must not matter. Halo
/// pixels hold the stored code of zero (all of their elements); kernels never write them. The arena
/// is aligned to 64 bytes; the 64 bytes before and after a view's first and last halo pixel can be
/// read.
struct View {
  int64_t offset = 0;  // bytes from the arena's start to pixel (0, 0)
  Element element = Element::U8;
  int height = 1, width = 1, channels = 1, halo = 0;
  int64_t pixel_stride = 4, row_stride = 4;  // elements

  template <class T>
  const T* pixel(const std::byte* arena, int64_t y, int64_t x) const {
    return reinterpret_cast<const T*>(arena + offset) + y * row_stride + x * pixel_stride;
  }
  template <class T>
  T* pixel(std::byte* arena, int64_t y, int64_t x) const {
    return reinterpret_cast<T*>(arena + offset) + y * row_stride + x * pixel_stride;
  }
  bool operator==(const View&) const = default;
};

// ---- Numbers.

/// Tables of one number an output channel are this long at least: channels rounded up to a multiple
/// of 64, zeros behind the last; aligned to 64 bytes.
constexpr int64_t padded(int64_t channels) { return (channels + 63) / 64 * 64; }

/// Equation (5) of docs/integer-model.md, with the stored code of zero already added:
///   value = clamp(((sum >> sum_shift) * multiplier[k] + box * box_multiplier[k]
///                  + offset[border * padded(k) + k]) >> shift, least, most)
/// in 64-bit arithmetic, which cannot overflow; >> rounds down. Equation (8) is the same with a
/// stream value as sum, no box and one border class.
struct Requant {
  int sum_shift = 0;  // 0 unless ConvProblem::wide
  int shift = 0;      // 1 .. 62
  int32_t least = 0, most = 0;
  const int32_t* multiplier = nullptr;
  const int32_t* box_multiplier = nullptr;  // null unless ConvProblem::box
  const int64_t* offset = nullptr;
};

/// Where output pixels lie to the image's border: the class of output pixel (y, x) is
/// row[y] + column[x]. With count == 1 all are 0.
struct Borders {
  int count = 1;
  const uint16_t* row = nullptr;     // (out_height), multiples of the number of column classes
  const uint16_t* column = nullptr;  // (out_width)
};

/// Codes for one reader.
struct CodeTarget {
  Requant requant;
  View to;  // U8 or U16
};

/// What becomes of sums, or of stream values. One of two:
/// * `codes` from the sum itself (no stream), one target a reader (at least one);
/// * `to_stream`: value = requant(sum); when there is an addend, value = clamp(value + addend,
///   add_least, add_most); then stored to `stream` (when store_stream) and turned into the codes of
///   each target by its requant.
struct Epilogue {
  bool to_stream = false;
  Requant requant;
  bool has_addend = false;
  View addend;  // I32, the output's shape
  int32_t add_least = 0, add_most = 0;
  bool store_stream = false;
  View stream;  // I32
  std::span<const CodeTarget> codes;
};

// ---- Convolutions.

/// A convolution; a linear layer has height = width = kernel = 1, or the image it was flattened
/// from with kernel_height = height, kernel_width = width and no padding.
struct ConvShape {
  int height = 1, width = 1, channels = 1;  // input
  int out_height = 1, out_width = 1, out_channels = 1;
  int kernel_height = 1, kernel_width = 1, stride = 1, padding = 0, dilation = 1, groups = 1;

  int group_channels() const { return channels / groups; }
  int64_t taps() const { return int64_t{kernel_height} * kernel_width * group_channels(); }
  bool depthwise() const { return groups == channels && groups == out_channels; }
  bool operator==(const ConvShape&) const = default;
};

/// What the layout of packed weights may depend on.
///
/// sum = sum over taps of W x, box = sum over taps of x: x the code (stored - zero), which is 0
/// outside the image; W = 2 q + 1 - 2^weight_bits (Nested) or q (Sbm), q the narrow weight code.
struct ConvProblem {
  ConvShape shape;
  Lattice lattice = Lattice::Nested;
  int weight_bits = 8;
  CodeFormat input;
  /// The sum may not fit 32 bits (it fits 63). When false, it does, whatever the input: 32-bit
  /// arithmetic that wraps gives it exactly, in any order and with any offsets.
  bool wide = false;
  bool box = false;  // the requant needs box (which fits 32 bits unless wide)
  bool operator==(const ConvProblem&) const = default;
};

/// The weights of one layer as stored, and how to get codes of weight_bits from them.
struct WeightSource {
  const uint16_t* master = nullptr;  // (k, kernel_height, kernel_width, c / groups)
  int master_bits = 8;
  Lattice lattice = Lattice::Nested;

  /// Narrow codes (equations 1 and 2) of `count` weights from number `first`.
  void narrow(int bits, int64_t first, int64_t count, uint16_t* codes) const;
};

/// The part of the output to compute: rows, and channels when they are not all. A channel bound is
/// a multiple of 64 or out_channels; channels are split only when groups == 1.
struct Part {
  int row_begin = 0, row_end = 0;
  int channel_begin = 0, channel_end = 0;
};

/// What one call works on. `scratch` is this thread's: scratch_bytes, aligned to 64.
struct Memory {
  std::byte* arena = nullptr;
  std::byte* scratch = nullptr;
};

struct ConvCall {
  const std::byte* weights = nullptr;  // packed, aligned to 64
  View input;                          // halo >= padding
  Borders borders;
  Epilogue epilogue;
};

/// float32: value = clamp(scale[k] * sum + shift[k] (+ addend, after which it is clamped), least,
/// most). Sums in an order that depends on the shape alone.
struct FloatCall {
  const std::byte* weights = nullptr;
  View input, output;
  const float* scale = nullptr;
  const float* shift = nullptr;
  float least = 0, most = 0;
  bool has_addend = false;
  View addend;
  float add_least = 0, add_most = 0;
};

// ---- The rest.

/// value = clamp(sum of the inputs' streams, least, most), stored to `stream` (when store_stream)
/// and as codes of each target. With one input: equation (8).
struct CombineCall {
  std::span<const View> inputs;  // I32, one shape
  int32_t least = 0, most = 0;
  bool store_stream = false;
  View stream;
  std::span<const CodeTarget> codes;
};

/// A window over an image; taps outside it do not count for the maximum, and are zeros for the
/// average (equation 7).
struct PoolCall {
  View input, output;  // one element; averages of I32 and F32 only
  int kernel_height = 1, kernel_width = 1, stride = 1, padding = 0;
};

/// One way to compute everything. The base class is the portable one, in plain C++; sets for a
/// processor override what they do faster and call the base for the rest. All are stateless: any
/// number of threads may use one.
class Kernels {
 public:
  virtual ~Kernels() = default;
  virtual std::string_view name() const;

  virtual size_t packed_bytes(const ConvProblem& problem) const;
  /// Writes all packed_bytes.
  virtual void pack(const ConvProblem& problem, const WeightSource& weights,
                    std::byte* packed) const;
  virtual size_t scratch_bytes(const ConvProblem& problem) const;
  virtual void convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                        const Memory& memory) const;

  virtual size_t float_packed_bytes(const ConvShape& shape) const;
  /// weights (k, kernel_height, kernel_width, c / groups).
  virtual void float_pack(const ConvShape& shape, const float* weights, std::byte* packed) const;
  virtual size_t float_scratch_bytes(const ConvShape& shape) const;
  virtual void float_convolve(const ConvShape& shape, const FloatCall& call, const Part& part,
                              const Memory& memory) const;

  /// These take all channels of the part's rows.
  virtual void combine(const CombineCall& call, const Part& part, std::byte* arena) const;
  virtual void max_pool(const PoolCall& call, const Part& part, std::byte* arena) const;
  virtual void average_pool(const PoolCall& call, const Part& part, std::byte* arena) const;
};

/// The sets this processor can run, the fastest first; the last is the portable one.
const std::vector<const Kernels*>& kernel_sets();
/// The set called `name`, the fastest for "auto". Error listing those there are.
const Kernels& kernels_called(std::string_view name);

/// Sets for the processor this was compiled for that the running one can execute, the fastest
/// first; the one place that knows them (native_x86.cpp, native_none.cpp).
std::vector<const Kernels*> native_kernels();

}  // namespace instantnet::runtime
