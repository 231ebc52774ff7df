#include "instantnet/runtime/avx512_combine.h"

#include <algorithm>

#include "instantnet/runtime/avx512_epilogue.h"

namespace instantnet::runtime::avx512 {

INSTANTNET_AVX512_BEGIN

void combine(const CombineCall& call, const Part& part, std::byte* arena) {
  const View& shape = call.inputs[0];
  for (int64_t first = 0; first < shape.channels; first += kLanes) {
    const int count = static_cast<int>(std::min<int64_t>(kLanes, shape.channels - first));
    const __mmask16 lanes = first_lanes(count);
    ReaderNumbers readers;
    readers.make(call.codes, 1, padded(shape.channels), first, count);
    for (int y = part.row_begin; y < part.row_end; ++y)
      for (int x = 0; x < shape.width; ++x) {
        __m512i value = _mm512_setzero_si512();
        for (const View& input : call.inputs)
          value = _mm512_add_epi32(
              value, _mm512_maskz_loadu_epi32(lanes, element_at(input, arena, y, x, first)));
        value = clamped(value, call.least, call.most);
        if (call.store_stream)
          _mm512_mask_storeu_epi32(element_at(call.stream, arena, y, x, first), lanes, value);
        readers.write<1, false>(&value, &value, 0, y, x, arena);
      }
  }
}

INSTANTNET_AVX512_END

}  // namespace instantnet::runtime::avx512
