// What the tests of quantizers share: weights of every kind to try, and reading tensors as plain
// numbers.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "instantnet/core/rng.h"
#include "instantnet/quant/quantizer.h"

namespace instantnet::test {

/// How the numbers of a weight are distributed.
enum class Law { Gaussian, Laplace, Uniform, Extreme };
inline constexpr std::array<Law, 4> kLaws = {Law::Gaussian, Law::Laplace, Law::Uniform,
                                             Law::Extreme};

/// One number; Extreme has zeros of both signs, repeated values and sizes from 1e-12 to 1e12.
inline double draw(Law law, Rng& rng) {
  const double sign = rng.flip() ? 1 : -1;
  switch (law) {
    case Law::Gaussian:
      return rng.normal();
    case Law::Laplace:
      return -sign * std::log(1.0 - rng.uniform());
    case Law::Uniform:
      return rng.uniform(-1, 1);
    case Law::Extreme:
      break;
  }
  const uint64_t kind = rng.below(4);
  if (kind == 0) return sign * 0.0;
  if (kind == 1) return sign;
  return sign * std::pow(10.0, rng.uniform(-12, 12));
}

/// A float32 weight of this shape.
inline at::Tensor drawn(Law law, const std::vector<int64_t>& shape, Rng& rng) {
  at::Tensor weight = at::empty(shape);
  for (int64_t i = 0; i < weight.numel(); ++i)
    weight.data_ptr<float>()[i] = static_cast<float>(draw(law, rng));
  return weight;
}

/// A convolution's or a linear layer's shape, small.
inline std::vector<int64_t> drawn_shape(Rng& rng) {
  const auto size = [&](uint64_t most) { return static_cast<int64_t>(1 + rng.below(most)); };
  if (rng.flip(0.3)) return {size(7), size(40)};
  const int64_t kernel = size(3);
  return {size(7), size(9), kernel, kernel};
}

/// All numbers in the order of a contiguous tensor.
inline std::vector<float> floats(const at::Tensor& values) {
  const at::Tensor flat = values.detach().to(at::kFloat).contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

inline std::vector<int> integers(const at::Tensor& values) {
  const at::Tensor flat = values.to(at::kInt).contiguous();
  return {flat.data_ptr<int>(), flat.data_ptr<int>() + flat.numel()};
}

/// A quantizer of this kind with its defaults.
inline std::unique_ptr<quant::Quantizer> quantizer_of(quant::Kind kind) {
  quant::QuantOptions options;
  options.kind = kind;
  return quant::make_quantizer(options);
}

/// Gradient of sum(values * upstream) with respect to `leaf`.
inline at::Tensor gradient_of(const at::Tensor& values, const at::Tensor& upstream,
                              const at::Tensor& leaf) {
  return torch::autograd::grad({(values * upstream).sum()}, {leaf})[0];
}

/// codes * step + offset of the output channels, in float32.
inline at::Tensor read_codes(const quant::Quantizer::Codes& codes) {
  std::vector<int64_t> shape(static_cast<size_t>(codes.codes.dim()), 1);
  shape[0] = codes.step.numel();
  return codes.codes.to(at::kFloat) * codes.step.reshape(shape) + codes.offset.reshape(shape);
}

/// Largest |a - b| of each output channel as a share of `scale` (k), the largest of all.
inline double worst(const at::Tensor& a, const at::Tensor& b, const at::Tensor& scale) {
  const at::Tensor gap = (a - b).abs().flatten(1).amax(1).to(at::kDouble);
  return (gap / scale.to(at::kDouble).clamp_min(1e-30)).max().item<double>();
}

}  // namespace instantnet::test
