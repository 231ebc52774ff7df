// One convolution shape on chunks of a minibatch, by oneDNN, on plain NHWC memory. Single-threaded:
// parallel work happens over chunks, so that results do not depend on the number of threads.
#pragma once

#include <cstdint>
#include <memory>

namespace instantnet::nn {

/// A convolution over `images` images. A linear layer has height = width = kernel = 1.
struct ConvolutionShape {
  int64_t images = 1;
  int64_t in_channels = 1, in_height = 1, in_width = 1;
  int64_t out_channels = 1, out_height = 1, out_width = 1;
  int64_t kernel = 1, stride = 1, padding = 0, dilation = 1, groups = 1;
  bool operator==(const ConvolutionShape&) const = default;
};

/// Weights are given and gradients returned as (out_channels, kernel, kernel, in_channels /
/// groups); packed buffers are in whatever order oneDNN is fastest with. All methods may run on
/// several threads at once.
class FusedConvolution {
 public:
  explicit FusedConvolution(const ConvolutionShape& shape);
  ~FusedConvolution();
  FusedConvolution(const FusedConvolution&) = delete;
  FusedConvolution& operator=(const FusedConvolution&) = delete;

  int64_t forward_weight_floats() const;
  int64_t backward_weight_floats() const;
  int64_t gradient_floats() const;
  void pack_forward(const float* weight, float* packed) const;
  void pack_backward(const float* weight, float* packed) const;
  void unpack_gradient(const float* packed, float* gradient) const;

  /// in (images, in_height, in_width, in_channels), out likewise.
  void forward(const float* in, const float* packed_weight, float* out) const;
  void backward_data(const float* out_gradient, const float* packed_weight,
                     float* in_gradient) const;
  /// Overwrites packed_gradient.
  void backward_weight(const float* in, const float* out_gradient, float* packed_gradient) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace instantnet::nn
