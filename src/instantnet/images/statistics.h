// Mean and deviation of 8-bit images, from exact integer sums.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace instantnet::images {

/// Sums per channel over interleaved values. Exact up to 2^64 / 255^2 values a channel.
class ChannelSums {
 public:
  explicit ChannelSums(int64_t channels);
  /// Adds pixels, channels interleaved.
  void add(std::span<const uint8_t> values);
  /// Of values in 0..1, per channel. At least one pixel must have been added.
  std::vector<double> mean() const;
  std::vector<double> deviation() const;

 private:
  std::vector<uint64_t> sums_, squares_;
  uint64_t pixels_ = 0;
};

}  // namespace instantnet::images
