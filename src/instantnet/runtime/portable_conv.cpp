// The portable integer convolution. Windows are gathered into rows of 16-bit numbers, four pixels
// at a time, and multiplied with rows of weights by a loop that compilers turn into the processor's
// multiply-add of 16-bit pairs. Signed arithmetic wraps here (-fwrapv), as kernel.h allows.
#include <algorithm>
#include <cstring>

#include "instantnet/runtime/epilogue.h"
#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {
namespace {

constexpr int kPixels = 4;
constexpr int64_t kSplitChunk = 256;  // 256 * 2^15 * 255 fits 32 bits

/// How a problem is computed.
struct Layout {
  enum class Kind {
    Depthwise,  // channel by channel; weights (tap, channels)
    Narrow,     // sums of 32 bits that wrap
    Chunked,    // sums of 32 bits over `chunk` taps, added up in 64
    Split,      // inputs as two bytes, weights q - 2^(bits - 1); chunks as above
  };
  Kind kind = Kind::Narrow;
  int64_t row = 0;    // numbers of a gathered window, and of a row of weights
  int64_t chunk = 0;  // taps
};

int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

int64_t largest_weight(const ConvProblem& problem) {
  return (int64_t{1} << problem.weight_bits) - 1;
}

/// The largest |stored - zero|.
int64_t largest_input(const CodeFormat& format) {
  return std::max<int64_t>(format.zero, format.largest() - format.zero);
}

Layout layout_of(const ConvProblem& problem) {
  Layout layout;
  layout.row = round_up(problem.shape.taps(), 16);
  const int64_t w = largest_weight(problem), x = largest_input(problem.input);
  const bool fits = w <= INT16_MAX && problem.input.largest() - problem.input.zero <= INT16_MAX;
  const int64_t chunk = INT32_MAX / (w * x) / 16 * 16;
  if (fits && !problem.wide) {
    layout.kind = problem.shape.depthwise() ? Layout::Kind::Depthwise : Layout::Kind::Narrow;
    layout.chunk = layout.row;
  } else if (fits && chunk >= 16) {
    layout.kind = Layout::Kind::Chunked;
    layout.chunk = chunk;
  } else {
    layout.kind = Layout::Kind::Split;
    layout.chunk = kSplitChunk;
  }
  return layout;
}

int64_t depthwise_row(const ConvShape& shape) { return round_up(shape.channels, 16); }

// ---- Packing.

/// The weight as stored: W, or for Split the centred code.
int16_t stored_weight(const ConvProblem& problem, Layout::Kind kind, uint16_t code) {
  const int full = 1 << problem.weight_bits;
  if (kind == Layout::Kind::Split) return static_cast<int16_t>(code - full / 2);
  return static_cast<int16_t>(problem.lattice == Lattice::Nested ? 2 * code + 1 - full : code);
}

void pack_rows(const ConvProblem& problem, const Layout& layout, const WeightSource& weights,
               int16_t* packed) {
  const int64_t taps = problem.shape.taps();
  for (int64_t k = 0; k < problem.shape.out_channels; ++k, packed += layout.row) {
    auto* codes = reinterpret_cast<uint16_t*>(packed);
    weights.narrow(problem.weight_bits, k * taps, taps, codes);
    for (int64_t i = 0; i < taps; ++i)
      packed[i] = stored_weight(problem, layout.kind, static_cast<uint16_t>(packed[i]));
    std::fill(packed + taps, packed + layout.row, int16_t{0});
  }
}

void pack_depthwise(const ConvProblem& problem, const WeightSource& weights, int16_t* packed) {
  constexpr int64_t kPiece = 64;
  const int64_t taps = problem.shape.taps(), row = depthwise_row(problem.shape);
  uint16_t codes[kPiece];
  for (int64_t k = 0; k < problem.shape.out_channels; ++k)
    for (int64_t tap = 0; tap < taps; tap += kPiece) {
      const int64_t count = std::min(kPiece, taps - tap);
      weights.narrow(problem.weight_bits, k * taps + tap, count, codes);
      for (int64_t i = 0; i < count; ++i)
        packed[(tap + i) * row + k] = stored_weight(problem, Layout::Kind::Depthwise, codes[i]);
    }
}

/// For Split: where the constants begin, one a channel, that are taken off the sum of centred
/// products with stored inputs.
int64_t split_constants(const ConvProblem& problem, const Layout& layout) {
  return round_up(problem.shape.out_channels * layout.row * 2, 64);
}

// ---- Gathering.

/// One window of a group as 16-bit numbers: stored - zero, or its bytes.
template <class Code>
void gather(const ConvShape& shape, const View& view, const std::byte* arena, int64_t y, int64_t x,
            int64_t group, int zero, int16_t* row) {
  const int64_t each = shape.group_channels();
  for (int64_t r = 0; r < shape.kernel_height; ++r)
    for (int64_t s = 0; s < shape.kernel_width; ++s, row += each) {
      const Code* from =
          view.pixel<Code>(arena, y * shape.stride + r * shape.dilation - shape.padding,
                           x * shape.stride + s * shape.dilation - shape.padding) +
          group * each;
      for (int64_t c = 0; c < each; ++c) row[c] = static_cast<int16_t>(from[c] - zero);
    }
}

template <class Code>
void gather_bytes(const ConvShape& shape, const View& view, const std::byte* arena, int64_t y,
                  int64_t x, int64_t group, int16_t* low, int16_t* high) {
  const int64_t each = shape.group_channels();
  for (int64_t r = 0; r < shape.kernel_height; ++r)
    for (int64_t s = 0; s < shape.kernel_width; ++s, low += each, high += each) {
      const Code* from =
          view.pixel<Code>(arena, y * shape.stride + r * shape.dilation - shape.padding,
                           x * shape.stride + s * shape.dilation - shape.padding) +
          group * each;
      for (int64_t c = 0; c < each; ++c) {
        low[c] = static_cast<int16_t>(from[c] & 0xFF);
        high[c] = static_cast<int16_t>(from[c] >> 8);
      }
    }
}

// ---- Multiplying.

/// Sums of products of four rows, `stride` apart, with one.
void dot4(const int16_t* x, int64_t stride, const int16_t* w, int64_t count, int32_t* sums) {
  const int16_t *x0 = x, *x1 = x + stride, *x2 = x + 2 * stride, *x3 = x + 3 * stride;
  int32_t a = 0, b = 0, c = 0, d = 0;
  for (int64_t i = 0; i < count; ++i) {
    a += x0[i] * w[i];
    b += x1[i] * w[i];
    c += x2[i] * w[i];
    d += x3[i] * w[i];
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
}

/// The same in pieces of `chunk` numbers.
template <class Sum>
void dot4_chunked(const int16_t* x, const Layout& layout, const int16_t* w, Sum* sums) {
  int32_t piece[kPixels];
  for (int64_t at = 0; at < layout.row; at += layout.chunk) {
    const int64_t count = std::min(layout.chunk, layout.row - at);
    dot4(x + at, layout.row, w + at, count, piece);
    for (int i = 0; i < kPixels; ++i) sums[i] += piece[i];
  }
}

int64_t sum_of(const int16_t* row, int64_t count) {
  int64_t sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += row[i];
  return sum;
}

/// Scratch memory of one thread.
template <class Sum>
struct Scratch {
  int16_t *x, *high;  // kPixels rows each; high for Split only
  Sum *sums, *boxes;  // (kPixels, channels)
  int32_t* values;    // (channels)

  Scratch(std::byte* memory, const ConvShape& shape, const Layout& layout) {
    const int64_t rows = kPixels * layout.row, channels = round_up(shape.out_channels, 16);
    x = reinterpret_cast<int16_t*>(memory);
    high = x + rows;
    sums = reinterpret_cast<Sum*>(high + rows);
    boxes = sums + kPixels * channels;
    values = reinterpret_cast<int32_t*>(boxes + kPixels * channels);
  }
};

/// Everything but depthwise.
template <class Sum>
class RowConv {
 public:
  RowConv(const ConvProblem& problem, const Layout& layout, const ConvCall& call, const Part& part,
          const Memory& memory)
      : problem_(problem),
        shape_(problem.shape),
        layout_(layout),
        call_(call),
        part_(part),
        arena_(memory.arena),
        scratch_(memory.scratch, problem.shape, layout),
        channels_(part.channel_end - part.channel_begin) {
    std::fill(scratch_.x, scratch_.x + 2 * kPixels * layout.row, int16_t{0});
  }

  void run() {
    for (int64_t y = part_.row_begin; y < part_.row_end; ++y)
      for (int64_t x = 0; x < shape_.out_width; x += kPixels) {
        const int64_t pixels = std::min<int64_t>(kPixels, shape_.out_width - x);
        for (int64_t group = 0; group < shape_.groups; ++group) one_group(y, x, pixels, group);
        for (int64_t i = 0; i < pixels; ++i)
          finish_pixel(call_.epilogue, call_.borders, shape_.out_channels, y, x + i,
                       part_.channel_begin, part_.channel_end, scratch_.sums + i * channels_,
                       problem_.box ? scratch_.boxes + i * channels_ : nullptr, scratch_.values,
                       arena_);
      }
  }

 private:
  void gather_pixel(int64_t y, int64_t x, int64_t group, int64_t i) {
    int16_t* row = scratch_.x + i * layout_.row;
    int16_t* high = scratch_.high + i * layout_.row;
    const bool bytes = problem_.input.element() == Element::U8;
    const int zero = problem_.input.zero;
    if (layout_.kind == Layout::Kind::Split && bytes)
      gather_bytes<uint8_t>(shape_, call_.input, arena_, y, x, group, row, high);
    else if (layout_.kind == Layout::Kind::Split)
      gather_bytes<uint16_t>(shape_, call_.input, arena_, y, x, group, row, high);
    else if (bytes)
      gather<uint8_t>(shape_, call_.input, arena_, y, x, group, zero, row);
    else
      gather<uint16_t>(shape_, call_.input, arena_, y, x, group, zero, row);
  }

  /// Sum of stored - zero over the window.
  int64_t box(int64_t i) const {
    const int64_t low = sum_of(scratch_.x + i * layout_.row, shape_.taps());
    if (layout_.kind != Layout::Kind::Split) return low;
    return low + 256 * sum_of(scratch_.high + i * layout_.row, shape_.taps()) -
           shape_.taps() * problem_.input.zero;
  }

  void one_group(int64_t y, int64_t x, int64_t pixels, int64_t group) {
    const int64_t each = shape_.out_channels / shape_.groups;
    const int64_t begin = shape_.groups == 1 ? part_.channel_begin : group * each;
    const int64_t end = shape_.groups == 1 ? part_.channel_end : begin + each;
    const bool split = layout_.kind == Layout::Kind::Split;
    int64_t boxes[kPixels] = {};
    for (int64_t i = 0; i < pixels; ++i) {
      gather_pixel(y, x + i, group, i);
      if (problem_.box || split) boxes[i] = box(i);
    }
    const auto* weights = reinterpret_cast<const int16_t*>(call_.weights);
    for (int64_t k = begin; k < end; ++k) {
      Sum sums[kPixels] = {};
      dot4_chunked(scratch_.x, layout_, weights + k * layout_.row, sums);
      if (split) add_split(weights + k * layout_.row, k, boxes, sums);
      for (int64_t i = 0; i < pixels; ++i) {
        const int64_t to = i * channels_ + k - part_.channel_begin;
        scratch_.sums[to] = sums[i];
        if (problem_.box) scratch_.boxes[to] = static_cast<Sum>(boxes[i]);
      }
    }
  }

  /// From sums over low bytes of stored (q - 2^(b-1)) to sums of W (stored - zero).
  void add_split(const int16_t* weights, int64_t k, const int64_t* boxes, Sum* sums) const {
    Sum high[kPixels] = {};
    dot4_chunked(scratch_.high, layout_, weights, high);
    const int64_t factor = problem_.lattice == Lattice::Nested ? 2 : 1;
    const int64_t each =
        problem_.lattice == Lattice::Nested ? 1 : int64_t{1} << (problem_.weight_bits - 1);
    const int64_t constant =
        reinterpret_cast<const int64_t*>(call_.weights + split_constants(problem_, layout_))[k];
    for (int i = 0; i < kPixels; ++i)
      sums[i] = static_cast<Sum>(factor * (sums[i] + 256 * high[i] - constant) + each * boxes[i]);
  }

  const ConvProblem& problem_;
  const ConvShape& shape_;
  const Layout layout_;
  const ConvCall& call_;
  const Part& part_;
  std::byte* arena_;
  Scratch<Sum> scratch_;
  const int64_t channels_;
};

/// One pixel of a depthwise convolution: sums of all channels, and boxes when there are some.
template <class Code>
void depthwise_pixel(const ConvProblem& problem, const ConvCall& call, const std::byte* arena,
                     int64_t y, int64_t x, int32_t* sums, int32_t* boxes) {
  const ConvShape& shape = problem.shape;
  const int64_t row = depthwise_row(shape);
  const int32_t zero = problem.input.zero;
  const auto* weights = reinterpret_cast<const int16_t*>(call.weights);
  std::fill(sums, sums + shape.channels, 0);
  if (problem.box) std::fill(boxes, boxes + shape.channels, 0);
  for (int64_t r = 0; r < shape.kernel_height; ++r)
    for (int64_t s = 0; s < shape.kernel_width; ++s, weights += row) {
      const Code* from =
          call.input.pixel<Code>(arena, y * shape.stride + r * shape.dilation - shape.padding,
                                 x * shape.stride + s * shape.dilation - shape.padding);
      for (int64_t c = 0; c < shape.channels; ++c)
        sums[c] += static_cast<int16_t>(from[c] - zero) * weights[c];
      if (!problem.box) continue;
      for (int64_t c = 0; c < shape.channels; ++c) boxes[c] += from[c] - zero;
    }
}

void run_depthwise(const ConvProblem& problem, const Layout& layout, const ConvCall& call,
                   const Part& part, const Memory& memory) {
  const Scratch<int32_t> scratch(memory.scratch, problem.shape, layout);
  int32_t* boxes = problem.box ? scratch.boxes : nullptr;
  for (int64_t y = part.row_begin; y < part.row_end; ++y)
    for (int64_t x = 0; x < problem.shape.out_width; ++x) {
      if (problem.input.element() == Element::U8)
        depthwise_pixel<uint8_t>(problem, call, memory.arena, y, x, scratch.sums, boxes);
      else
        depthwise_pixel<uint16_t>(problem, call, memory.arena, y, x, scratch.sums, boxes);
      finish_pixel(call.epilogue, call.borders, problem.shape.out_channels, y, x, 0,
                   problem.shape.out_channels, scratch.sums, static_cast<const int32_t*>(boxes),
                   scratch.values, memory.arena);
    }
}

}  // namespace

size_t Kernels::packed_bytes(const ConvProblem& problem) const {
  const Layout layout = layout_of(problem);
  if (layout.kind == Layout::Kind::Depthwise)
    return static_cast<size_t>(problem.shape.taps() * depthwise_row(problem.shape) * 2);
  return static_cast<size_t>(
      split_constants(problem, layout) +
      (layout.kind == Layout::Kind::Split ? 8 * problem.shape.out_channels : 0));
}

void Kernels::pack(const ConvProblem& problem, const WeightSource& weights,
                   std::byte* packed) const {
  const Layout layout = layout_of(problem);
  std::memset(packed, 0, packed_bytes(problem));
  auto* rows = reinterpret_cast<int16_t*>(packed);
  if (layout.kind == Layout::Kind::Depthwise) {
    pack_depthwise(problem, weights, rows);
    return;
  }
  pack_rows(problem, layout, weights, rows);
  if (layout.kind != Layout::Kind::Split) return;
  auto* constants = reinterpret_cast<int64_t*>(packed + split_constants(problem, layout));
  for (int64_t k = 0; k < problem.shape.out_channels; ++k)
    constants[k] = problem.input.zero * sum_of(rows + k * layout.row, layout.row);
}

size_t Kernels::scratch_bytes(const ConvProblem& problem) const {
  const Layout layout = layout_of(problem);
  const int64_t channels = round_up(problem.shape.out_channels, 16);
  return static_cast<size_t>(2 * kPixels * layout.row * 2 + 2 * kPixels * channels * 8 +
                             channels * 4);
}

void Kernels::convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                       const Memory& memory) const {
  const Layout layout = layout_of(problem);
  if (layout.kind == Layout::Kind::Depthwise)
    run_depthwise(problem, layout, call, part, memory);
  else if (layout.kind == Layout::Kind::Narrow)
    RowConv<int32_t>(problem, layout, call, part, memory).run();
  else
    RowConv<int64_t>(problem, layout, call, part, memory).run();
}

}  // namespace instantnet::runtime
