// Weights: x = tanh(w) / (2 max |tanh(w)|) + 1/2 in [0, 1] (DoReFa-Net eq. 9), code = min(floor(2^b
// x), 2^b - 1), value = (2 code + 1) / 2^b - 1 (the centred floor grid). Scaling by 2^b is exact,
// so code_l == code_h >> (h - l). Activations: a learned clipping level per bit-width with PACT's
// gradient.
#include "instantnet/quant/adabits.h"

#include <torch/torch.h>

#include <cmath>

#include "instantnet/quant/straight_through.h"

namespace instantnet::quant {

namespace {

at::Tensor unit_weights(const at::Tensor& weight) {
  const at::Tensor squashed = weight.tanh();
  return squashed / (squashed.abs().max().clamp_min(1e-12) * 2) + 0.5;
}

at::Tensor floor_codes(const at::Tensor& unit, int bits) {
  const double levels = std::ldexp(1.0, bits);
  return (unit.detach() * levels).floor().clamp(0, levels - 1);
}

}  // namespace

at::Tensor Adabits::weight(const at::Tensor& weight, int bits, int, const WeightState&) const {
  const at::Tensor unit = unit_weights(weight);
  const at::Tensor centred = (floor_codes(unit, bits) + 0.5) * std::ldexp(1.0, -bits);
  return quant::straight_through(unit, centred) * 2 - 1;
}

Quantizer::Codes Adabits::codes(const at::Tensor& weight, int bits, int, const WeightState&) const {
  const at::NoGradGuard no_gradient;
  const at::Tensor each = at::ones({weight.size(0)}, weight.options());
  return {floor_codes(unit_weights(weight), bits).to(at::kInt), each * std::ldexp(1.0, 1 - bits),
          each * (std::ldexp(1.0, -bits) - 1)};
}

}  // namespace instantnet::quant
