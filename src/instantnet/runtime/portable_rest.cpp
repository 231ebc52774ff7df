// Additions, codes of streams, and pooling, in plain C++.
#include <algorithm>
#include <limits>

#include "instantnet/core/error.h"
#include "instantnet/runtime/epilogue.h"
#include "instantnet/runtime/kernel.h"
#include "instantnet/runtime/requant.h"

namespace instantnet::runtime {
namespace {

/// Channels handled at once: the values stay in registers and the first cache.
constexpr int64_t kPiece = 64;

/// The taps of an output's window that lie inside the image, along one axis.
struct Window {
  int64_t begin = 0, end = 0;  // pixels
};

Window window(int64_t out, int kernel, int stride, int padding, int size) {
  const int64_t start = out * stride - padding;
  return {std::max<int64_t>(start, 0), std::min<int64_t>(start + kernel, size)};
}

/// Calls combine(values, pixel) for all pixels inside the window of output pixel (y, x), with
/// channels [begin, begin + count).
template <class T, class Sum, class Combine>
void over_window(const PoolCall& call, const std::byte* arena, int64_t y, int64_t x, int64_t begin,
                 int64_t count, Sum* values, const Combine& combine) {
  const Window rows = window(y, call.kernel_height, call.stride, call.padding, call.input.height);
  const Window columns = window(x, call.kernel_width, call.stride, call.padding, call.input.width);
  for (int64_t r = rows.begin; r < rows.end; ++r)
    for (int64_t s = columns.begin; s < columns.end; ++s) {
      const T* from = call.input.pixel<T>(arena, r, s) + begin;
      for (int64_t i = 0; i < count; ++i) values[i] = combine(values[i], from[i]);
    }
}

/// Calls one(y, x, begin, count) for all pixels of the part, channels in pieces.
template <class One>
void each_piece(const View& view, const Part& part, const One& one) {
  for (int64_t y = part.row_begin; y < part.row_end; ++y)
    for (int64_t x = 0; x < view.width; ++x)
      for (int64_t begin = 0; begin < view.channels; begin += kPiece)
        one(y, x, begin, std::min(kPiece, view.channels - begin));
}

template <class T>
void maximum(const PoolCall& call, const Part& part, std::byte* arena) {
  each_piece(call.output, part, [&](int64_t y, int64_t x, int64_t begin, int64_t count) {
    T* out = call.output.pixel<T>(arena, y, x) + begin;
    std::fill(out, out + count, std::numeric_limits<T>::lowest());
    over_window<T>(call, arena, y, x, begin, count, out, [](T a, T b) { return std::max(a, b); });
  });
}

void average_integers(const PoolCall& call, const Part& part, std::byte* arena) {
  const int64_t factor = average_factor(int64_t{call.kernel_height} * call.kernel_width);
  const int64_t half = int64_t{1} << (kAverageShift - 1);
  each_piece(call.output, part, [&](int64_t y, int64_t x, int64_t begin, int64_t count) {
    int64_t sums[kPiece] = {};
    over_window<int32_t>(call, arena, y, x, begin, count, sums,
                         [](int64_t a, int32_t b) { return a + b; });
    int32_t* out = call.output.pixel<int32_t>(arena, y, x) + begin;
    for (int64_t i = 0; i < count; ++i)
      out[i] = static_cast<int32_t>((sums[i] * factor + half) >> kAverageShift);
  });
}

void average_floats(const PoolCall& call, const Part& part, std::byte* arena) {
  const auto taps = static_cast<float>(int64_t{call.kernel_height} * call.kernel_width);
  each_piece(call.output, part, [&](int64_t y, int64_t x, int64_t begin, int64_t count) {
    float sums[kPiece] = {};
    over_window<float>(call, arena, y, x, begin, count, sums,
                       [](float a, float b) { return a + b; });
    float* out = call.output.pixel<float>(arena, y, x) + begin;
    for (int64_t i = 0; i < count; ++i) out[i] = sums[i] / taps;
  });
}

}  // namespace

void Kernels::combine(const CombineCall& call, const Part& part, std::byte* arena) const {
  each_piece(call.inputs[0], part, [&](int64_t y, int64_t x, int64_t begin, int64_t count) {
    int32_t values[kPiece] = {};
    for (const View& input : call.inputs) {
      const int32_t* from = input.pixel<int32_t>(arena, y, x) + begin;
      for (int64_t i = 0; i < count; ++i) values[i] += from[i];
    }
    for (int64_t i = 0; i < count; ++i) values[i] = std::clamp(values[i], call.least, call.most);
    if (call.store_stream)
      std::copy(values, values + count, call.stream.pixel<int32_t>(arena, y, x) + begin);
    for (const CodeTarget& target : call.codes)
      store_codes(target, y, x, begin, begin + count, values, arena);
  });
}

void Kernels::max_pool(const PoolCall& call, const Part& part, std::byte* arena) const {
  switch (call.input.element) {
    case Element::U8:
      return maximum<uint8_t>(call, part, arena);
    case Element::U16:
      return maximum<uint16_t>(call, part, arena);
    case Element::I32:
      return maximum<int32_t>(call, part, arena);
    case Element::F32:
      return maximum<float>(call, part, arena);
  }
  bug("a tensor has elements that do not exist");
}

void Kernels::average_pool(const PoolCall& call, const Part& part, std::byte* arena) const {
  if (call.input.element == Element::I32)
    average_integers(call, part, arena);
  else
    average_floats(call, part, arena);
}

}  // namespace instantnet::runtime
