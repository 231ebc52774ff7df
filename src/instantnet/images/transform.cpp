#include "instantnet/images/transform.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "instantnet/core/error.h"

namespace instantnet::images {

namespace {

/// Which source pixels make one target pixel, and how much of each.
struct Taps {
  int64_t first = 0;
  std::vector<float> weights;
};

/// For each of `count` target pixels that cover [start, start + length) of `size` source pixels.
std::vector<Taps> make_taps(double start, double length, int64_t size, int64_t count) {
  const double step = length / static_cast<double>(count);
  const double reach = std::max(step, 1.0);  // half the width of the triangle
  std::vector<Taps> all(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const double centre = start + (static_cast<double>(i) + 0.5) * step;
    const auto low = static_cast<int64_t>(std::floor(centre - reach + 0.5));
    const auto high = static_cast<int64_t>(std::floor(centre + reach + 0.5));
    all[i].first = std::clamp<int64_t>(low, 0, size - 1);
    const int64_t end = std::clamp<int64_t>(high, all[i].first + 1, size);
    std::vector<double> weights;
    double sum = 0.0;
    for (int64_t at = all[i].first; at < end; ++at) {
      const double distance = std::abs(static_cast<double>(at) + 0.5 - centre);
      weights.push_back(std::max(0.0, 1.0 - distance / reach));
      sum += weights.back();
    }
    if (sum <= 0.0) weights.assign(1, sum = 1.0);
    for (const double weight : weights) all[i].weights.push_back(static_cast<float>(weight / sum));
  }
  return all;
}

/// One source row to `taps.size()` pixels.
void resize_row(const uint8_t* row, int64_t channels, const std::vector<Taps>& taps, float* to) {
  for (const Taps& tap : taps) {
    const uint8_t* from = row + tap.first * channels;
    for (int64_t c = 0; c < channels; ++c) {
      float sum = 0.0F;
      for (size_t k = 0; k < tap.weights.size(); ++k)
        sum += tap.weights[k] * static_cast<float>(from[static_cast<int64_t>(k) * channels + c]);
      *to++ = sum;
    }
  }
}

/// Rows of floats, weighted and summed to one row of bytes.
void blend_rows(const float* rows, int64_t values, const Taps& taps, std::vector<float>& sums,
                uint8_t* to) {
  std::fill(sums.begin(), sums.end(), 0.0F);
  for (size_t k = 0; k < taps.weights.size(); ++k) {
    const float* row = rows + static_cast<int64_t>(k) * values;
    for (int64_t i = 0; i < values; ++i) sums[i] += taps.weights[k] * row[i];
  }
  for (int64_t i = 0; i < values; ++i)
    to[i] = static_cast<uint8_t>(std::clamp(sums[i] + 0.5F, 0.0F, 255.0F));
}

Box middle(const View& image, double height, double width) {
  return {(static_cast<double>(image.height) - height) / 2,
          (static_cast<double>(image.width) - width) / 2, height, width};
}

constexpr double kNarrowest = 3.0 / 4.0, kWidest = 4.0 / 3.0;  // width / height

/// Target columns [from, to) have a source column; the rest is black.
struct Columns {
  int64_t from, to;
};

Columns covered(int64_t width, const Placement& placement) {
  const int64_t from = std::clamp<int64_t>(placement.right, 0, width);
  const int64_t to = std::clamp<int64_t>(width + placement.right, 0, width);
  return placement.flip ? Columns{width - to, width - from} : Columns{from, to};
}

template <int64_t kChannels>
void fill_black(const float* tables, int64_t pixels, float* to) {
  for (int64_t i = 0; i < pixels; ++i)
    for (int64_t c = 0; c < kChannels; ++c) to[i * kChannels + c] = tables[c * 256];
}

/// The hot path: every byte of every minibatch passes here.
template <int64_t kChannels>
void write_pixels(const View& image, const Placement& placement, const float* tables, float* to) {
  const int64_t width = image.width, row = width * kChannels;
  const Columns columns = covered(width, placement);
  const int64_t step = placement.flip ? -kChannels : kChannels;
  const int64_t start =
      placement.flip ? width - 1 - columns.from - placement.right : columns.from - placement.right;
  for (int64_t y = 0; y < image.height; ++y, to += row) {
    const int64_t source = y - placement.down;
    if (source < 0 || source >= image.height || columns.from >= columns.to) {
      fill_black<kChannels>(tables, width, to);
      continue;
    }
    fill_black<kChannels>(tables, columns.from, to);
    const uint8_t* from = image.pixels + source * row + start * kChannels;
    for (int64_t x = columns.from; x < columns.to; ++x, from += step)
      for (int64_t c = 0; c < kChannels; ++c) to[x * kChannels + c] = tables[c * 256 + from[c]];
    fill_black<kChannels>(tables, width - columns.to, to + columns.to * kChannels);
  }
}

}  // namespace

Box whole_box(const View& image) {
  return {0, 0, static_cast<double>(image.height), static_cast<double>(image.width)};
}

Box centre_box(const View& image, int64_t height, int64_t width) {
  constexpr double kShare = 224.0 / 256.0;
  const double scale =
      std::min(static_cast<double>(image.height) * kShare / static_cast<double>(height),
               static_cast<double>(image.width) * kShare / static_cast<double>(width));
  return middle(image, scale * static_cast<double>(height), scale * static_cast<double>(width));
}

Box random_box(const View& image, double least_area, Rng& rng) {
  constexpr int kAttempts = 10;
  const double area = static_cast<double>(image.height * image.width);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const double target = area * rng.uniform(least_area, 1.0);
    const double ratio = std::exp(rng.uniform(std::log(kNarrowest), std::log(kWidest)));
    const auto width = static_cast<int64_t>(std::lround(std::sqrt(target * ratio)));
    const auto height = static_cast<int64_t>(std::lround(std::sqrt(target / ratio)));
    if (width < 1 || height < 1 || width > image.width || height > image.height) continue;
    const auto top = static_cast<int64_t>(rng.below(image.height - height + 1));
    const auto left = static_cast<int64_t>(rng.below(image.width - width + 1));
    return {static_cast<double>(top), static_cast<double>(left), static_cast<double>(height),
            static_cast<double>(width)};
  }
  const double height = static_cast<double>(image.height), width = static_cast<double>(image.width);
  return middle(image, std::min(height, width / kNarrowest), std::min(width, height * kWidest));
}

void resize(const View& image, const Box& box, int64_t height, int64_t width, uint8_t* to) {
  const std::vector<Taps> across = make_taps(box.left, box.width, image.width, width);
  const std::vector<Taps> down = make_taps(box.top, box.height, image.height, height);
  const int64_t values = width * image.channels;
  const int64_t first = down.front().first;
  int64_t end = first;
  for (const Taps& taps : down)
    end = std::max(end, taps.first + static_cast<int64_t>(taps.weights.size()));
  std::vector<float> rows(static_cast<size_t>((end - first) * values));
  for (int64_t y = first; y < end; ++y)
    resize_row(image.pixels + y * image.width * image.channels, image.channels, across,
               rows.data() + (y - first) * values);
  std::vector<float> sums(static_cast<size_t>(values));
  for (int64_t y = 0; y < height; ++y)
    blend_rows(rows.data() + (down[y].first - first) * values, values, down[y], sums,
               to + y * values);
}

Normaliser::Normaliser(const std::vector<double>& mean, const std::vector<double>& deviation) {
  if (mean.size() != deviation.size()) bug("mean and deviation differ in length");
  for (size_t c = 0; c < mean.size(); ++c)
    for (int64_t value = 0; value < kValues; ++value)
      tables_.push_back(
          static_cast<float>((static_cast<double>(value) / 255.0 - mean[c]) / deviation[c]));
}

void Normaliser::write(const View& image, const Placement& placement, float* to) const {
  if (image.channels != channels()) bug("an image has another number of channels");
  switch (image.channels) {
    case 1:
      return write_pixels<1>(image, placement, tables_.data(), to);
    case 3:
      return write_pixels<3>(image, placement, tables_.data(), to);
    default:
      break;
  }
  // Any other number of channels: rare, so one pass a channel count is not worth a template.
  const Columns columns = covered(image.width, placement);
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x)
      for (int64_t c = 0; c < image.channels; ++c) {
        const int64_t row = y - placement.down;
        const int64_t column = (placement.flip ? image.width - 1 - x : x) - placement.right;
        const bool inside = row >= 0 && row < image.height && x >= columns.from && x < columns.to;
        const uint8_t value =
            inside ? image.pixels[(row * image.width + column) * image.channels + c] : 0;
        *to++ = tables_[c * kValues + value];
      }
}

}  // namespace instantnet::images
