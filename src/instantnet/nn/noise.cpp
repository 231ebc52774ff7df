#include "instantnet/nn/noise.h"

#include <torch/torch.h>

#include "instantnet/core/rng.h"

namespace instantnet::nn {

at::Tensor dropout_mask(const at::Tensor& like, double probability, uint64_t seed, uint64_t layer) {
  at::Tensor mask = at::empty(like.sizes(), at::kFloat);
  float* values = mask.data_ptr<float>();
  Rng rng(seed, layer, 0x64726f70);
  const auto kept = static_cast<float>(1.0 / (1.0 - probability));
  for (int64_t i = 0; i < mask.numel(); ++i) values[i] = rng.flip(probability) ? 0.0F : kept;
  return mask.to(like.device());
}

}  // namespace instantnet::nn
