// Averages over the minibatches of an epoch, with state that goes into checkpoints.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace instantnet::train {

/// What one bit-width did in one minibatch.
struct WidthRecord {
  int bits = 0;
  double ce = 0, distill = 0;  // as in WidthLoss
  int64_t images = 0;
};

/// Sums per bit-width.
class Meters {
 public:
  explicit Meters(std::vector<int> bits);

  /// Error-free for any `bits` given at construction.
  void add(const WidthRecord& record);
  void clear();

  const std::vector<int>& bits() const { return bits_; }
  bool seen(size_t width) const { return sums_[width].images > 0; }
  double ce(size_t width) const;  // mean over images seen at bits()[width]
  double distill(size_t width) const;
  /// Mean of ce over the widths seen.
  double mean_ce() const;

  /// (widths, 3) int64: the bit patterns of two doubles, and a count. load(state()) changes
  /// nothing.
  at::Tensor state() const;
  /// Error (prefix `where`) when it is not of this shape.
  void load(const at::Tensor& state, const std::string& where);

 private:
  struct Sum {
    double ce = 0, distill = 0;
    int64_t images = 0;
  };
  std::vector<int> bits_;
  std::vector<Sum> sums_;
};

}  // namespace instantnet::train
