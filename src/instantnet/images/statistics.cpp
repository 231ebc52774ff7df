#include "instantnet/images/statistics.h"

#include <algorithm>
#include <cmath>

#include "instantnet/core/error.h"

namespace instantnet::images {

ChannelSums::ChannelSums(int64_t channels)
    : sums_(static_cast<size_t>(channels)), squares_(static_cast<size_t>(channels)) {}

void ChannelSums::add(std::span<const uint8_t> values) {
  const size_t channels = sums_.size();
  if (values.size() % channels != 0) bug("values are no whole number of pixels");
  for (size_t i = 0; i < values.size(); i += channels)
    for (size_t c = 0; c < channels; ++c) {
      const uint64_t value = values[i + c];
      sums_[c] += value;
      squares_[c] += value * value;
    }
  pixels_ += values.size() / channels;
}

std::vector<double> ChannelSums::mean() const {
  std::vector<double> result;
  for (const uint64_t sum : sums_)
    result.push_back(static_cast<double>(sum) / static_cast<double>(pixels_) / 255.0);
  return result;
}

std::vector<double> ChannelSums::deviation() const {
  std::vector<double> result;
  const double pixels = static_cast<double>(pixels_);
  for (size_t c = 0; c < sums_.size(); ++c) {
    const double average = static_cast<double>(sums_[c]) / pixels;
    const double variance = static_cast<double>(squares_[c]) / pixels - average * average;
    result.push_back(std::sqrt(std::max(variance, 0.0)) / 255.0);
  }
  return result;
}

}  // namespace instantnet::images
