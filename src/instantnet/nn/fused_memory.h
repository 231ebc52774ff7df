// Memory of the fused executor: tensors on large pages that are used again, and aligned scratch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

namespace instantnet::nn {

/// Tensors that come and go in every pass, kept for reuse instead of given back to the system.
class Pool {
 public:
  /// Uninitialised; four dimensions (n, c, h, w) lie in NHWC.
  at::Tensor take(const std::vector<int64_t>& shape);
  /// Gives a tensor back; ignored for tensors that did not come from here.
  void give(at::Tensor& tensor);

 private:
  std::multimap<int64_t, at::Tensor> free_;
  std::map<void*, at::Tensor> taken_;
};

/// 64-byte aligned room for `count` floats in a vector that only grows.
float* aligned(std::vector<float>& room, int64_t count);

}  // namespace instantnet::nn
