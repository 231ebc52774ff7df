// What becomes of the sums of one pixel, in plain C++. Sets of kernels may use it for what they do
// not do faster themselves.
#pragma once

#include <algorithm>
#include <cstdint>

#include "instantnet/runtime/kernel.h"

namespace instantnet::runtime {

/// Equation (5). `k` counts from the tables' start; `row` is offset + border * padded(channels).
inline int32_t requantise(const Requant& requant, const int64_t* row, int64_t sum, int64_t box,
                          int64_t k) {
  int64_t t = (sum >> requant.sum_shift) * requant.multiplier[k] + row[k];
  if (requant.box_multiplier != nullptr) t += box * requant.box_multiplier[k];
  return static_cast<int32_t>(std::clamp<int64_t>(t >> requant.shift, requant.least, requant.most));
}

/// Stores stream values of channels [begin, end) as codes of one target.
inline void store_codes(const CodeTarget& target, int64_t y, int64_t x, int64_t begin, int64_t end,
                        const int32_t* values, std::byte* arena) {
  const Requant& requant = target.requant;
  const auto store = [&](auto* pixel) {
    using Code = std::remove_reference_t<decltype(*pixel)>;
    for (int64_t k = begin; k < end; ++k)
      pixel[k] = static_cast<Code>(requantise(requant, requant.offset, values[k - begin], 0, k));
  };
  if (target.to.element == Element::U8)
    store(target.to.pixel<uint8_t>(arena, y, x));
  else
    store(target.to.pixel<uint16_t>(arena, y, x));
}

/// Finishes channels [begin, end) of output pixel (y, x). `sums` and `boxes` (null without a box)
/// start at channel `begin`. `values` has room for end - begin numbers.
template <class Sum>
void finish_pixel(const Epilogue& epilogue, const Borders& borders, int out_channels, int64_t y,
                  int64_t x, int64_t begin, int64_t end, const Sum* sums, const Sum* boxes,
                  int32_t* values, std::byte* arena) {
  const int64_t row = (borders.row[y] + borders.column[x]) * padded(out_channels);
  const auto requantise_all = [&](const Requant& requant, auto* out) {
    using Out = std::remove_reference_t<decltype(*out)>;
    for (int64_t k = begin; k < end; ++k)
      out[k - begin] = static_cast<Out>(requantise(requant, requant.offset + row, sums[k - begin],
                                                   boxes == nullptr ? 0 : boxes[k - begin], k));
  };
  if (!epilogue.to_stream) {
    for (const CodeTarget& target : epilogue.codes) {
      if (target.to.element == Element::U8)
        requantise_all(target.requant, target.to.pixel<uint8_t>(arena, y, x) + begin);
      else
        requantise_all(target.requant, target.to.pixel<uint16_t>(arena, y, x) + begin);
    }
    return;
  }
  requantise_all(epilogue.requant, values);
  if (epilogue.has_addend) {
    const int32_t* addend = epilogue.addend.pixel<int32_t>(arena, y, x) + begin;
    for (int64_t i = 0; i < end - begin; ++i)
      values[i] = std::clamp(values[i] + addend[i], epilogue.add_least, epilogue.add_most);
  }
  if (epilogue.store_stream)
    std::copy(values, values + (end - begin), epilogue.stream.pixel<int32_t>(arena, y, x) + begin);
  for (const CodeTarget& target : epilogue.codes)
    store_codes(target, y, x, begin, end, values, arena);
}

}  // namespace instantnet::runtime
