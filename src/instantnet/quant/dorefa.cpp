// Weights, eq. 9: value = 2 quantize_b(tanh(w) / (2 max |tanh(w)|) + 1/2) - 1 with quantize_b(x) =
// round((2^b - 1) x) / (2^b - 1) (eq. 5); at one bit value = sign(w) E|w| (eq. 7). The rounding
// passes gradients straight through; tanh and the maximum over the layer are differentiated.
// Activations are clipped to [0, 1] and rounded (the fixed range).
#include "instantnet/quant/dorefa.h"

#include <torch/torch.h>

#include <cmath>

#include "instantnet/quant/straight_through.h"

namespace instantnet::quant {

namespace {

/// tanh(w) / (2 max |tanh(w)|) + 1/2, in [0, 1], differentiable.
at::Tensor unit_weights(const at::Tensor& weight) {
  const at::Tensor squashed = weight.tanh();
  return squashed / (squashed.abs().max().clamp_min(1e-12) * 2) + 0.5;
}

}  // namespace

RangeSource Dorefa::range_source() const {
  return options().range == "auto" ? RangeSource::Fixed : Quantizer::range_source();
}

at::Tensor Dorefa::weight(const at::Tensor& weight, int bits, int, const WeightState&) const {
  if (bits == 1) {
    const at::Tensor scale = weight.detach().abs().mean();
    return quant::straight_through(weight, at::where(weight.detach().ge(0), scale, -scale));
  }
  const double most = std::ldexp(1.0, bits) - 1;
  const at::Tensor unit = unit_weights(weight);
  return quant::straight_through(unit, (unit.detach() * most).round() / most) * 2 - 1;
}

Quantizer::Codes Dorefa::codes(const at::Tensor& weight, int bits, int, const WeightState&) const {
  const at::NoGradGuard no_gradient;
  const at::Tensor each = at::ones({weight.size(0)}, weight.options());
  if (bits == 1) {
    const at::Tensor scale = each * weight.abs().mean();
    return {weight.ge(0).to(at::kInt), scale * 2, -scale};
  }
  const double most = std::ldexp(1.0, bits) - 1;
  return {(unit_weights(weight) * most).round().to(at::kInt), each * (2 / most), -each};
}

}  // namespace instantnet::quant
