// Sums of stored codes over windows.
#pragma once

namespace instantnet::runtime::simd {

/// Sum over the group's channels of one pixel.
template <class V>
int32_t pixel_sum(const View& input, const std::byte* arena, int y, int x, int first, int count) {
  if (input.element == Element::U8)
    return V::sum_of_bytes(input.pixel<uint8_t>(arena, y, x) + first, count);
  const uint16_t* codes = input.pixel<uint16_t>(arena, y, x) + first;
  int32_t sum = 0;
  for (int c = 0; c < count; ++c) sum += codes[c];
  return sum;
}

/// Sum over window and group of stored codes, in 32 bits, for the rows of the part.
template <class V>
BoxSums sum_boxes(const ConvShape& shape, const View& input, const Part& part, int group,
                  const std::byte* arena, std::byte* scratch) {
  const int columns = shape.width + 2 * shape.padding, channels = shape.group_channels();
  auto* pixels = reinterpret_cast<int32_t*>(scratch);
  int32_t* column_sums = pixels + int64_t{columns} * (shape.height + 2 * shape.padding);
  int32_t* sums = column_sums + columns;
  const int first = part.row_begin * shape.stride;
  const int last =
      std::min((part.row_end - 1) * shape.stride + (shape.kernel_height - 1) * shape.dilation,
               shape.height + 2 * shape.padding - 1);
  for (int y = first; y <= last; ++y)
    for (int x = 0; x < columns; ++x)
      pixels[int64_t{y} * columns + x] = pixel_sum<V>(
          input, arena, y - shape.padding, x - shape.padding, group * channels, channels);
  for (int y = part.row_begin; y < part.row_end; ++y) {
    const int32_t* row = pixels + int64_t{y} * shape.stride * columns;
    std::fill_n(column_sums, columns, 0);
    for (int r = 0; r < shape.kernel_height; ++r)
      for (int x = 0; x < columns; ++x)
        column_sums[x] += row[int64_t{r} * shape.dilation * columns + x];
    int32_t* to = sums + int64_t{y - part.row_begin} * shape.out_width;
    std::fill_n(to, shape.out_width, 0);
    for (int s = 0; s < shape.kernel_width; ++s)
      for (int x = 0; x < shape.out_width; ++x)
        to[x] += column_sums[x * shape.stride + s * shape.dilation];
  }
  return {sums, part.row_begin, shape.out_width};
}

}  // namespace instantnet::runtime::simd
