// One learned step s per layer, of the highest width h. Codes are rounded twice:
//   code_h = clamp(round(w / s), -2^(h-1), 2^(h-1) - 1),  code_b = clamp(round(code_h / 2^(h-b)),
//   -2^(b-1), 2^(b-1) - 1), value = code_b s 2^(h-b).
// Gradient of s (Esser et al. eq. 3 with v = w / s_b, s_b = s 2^(h-b)): code_b - v inside, the
// limit outside, times 2^(h-b), times 1 / sqrt(weights * (2^(b-1) - 1)). w passes straight through
// inside the limits.
#include "instantnet/quant/lsq.h"

#include <torch/torch.h>

#include <cmath>

namespace instantnet::quant {

namespace {

struct Rounded {
  at::Tensor position;  // w / s_b
  at::Tensor codes;     // float32
  double ratio = 1, least = 0, most = 0;
};

Rounded round_twice(const at::Tensor& weight, const at::Tensor& step, int bits, int highest) {
  const at::Tensor safe = step.detach().clamp_min(1e-12);
  const double wide = std::ldexp(1.0, highest - 1);
  Rounded result;
  result.ratio = std::ldexp(1.0, highest - bits);
  result.most = std::ldexp(1.0, bits - 1) - 1;
  result.least = -std::ldexp(1.0, bits - 1);
  const at::Tensor wide_codes = (weight / safe).round().clamp(-wide, wide - 1);
  result.codes = (wide_codes / result.ratio).round().clamp(result.least, result.most);
  result.position = weight / (safe * result.ratio);
  return result;
}

struct DoubleRounding : public torch::autograd::Function<DoubleRounding> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& weight,
                            const at::Tensor& step, int64_t bits, int64_t highest) {
    const Rounded made =
        round_twice(weight, step, static_cast<int>(bits), static_cast<int>(highest));
    context->save_for_backward({made.position, made.codes});
    context->saved_data["ratio"] = made.ratio;
    context->saved_data["least"] = made.least;
    context->saved_data["most"] = made.most;
    return made.codes * (step.detach().clamp_min(1e-12) * made.ratio);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& position = saved[0];
    const at::Tensor& codes = saved[1];
    const double most = context->saved_data["most"].toDouble();
    const at::Tensor mask =
        position.ge(context->saved_data["least"].toDouble()).logical_and(position.le(most));
    const double scale = context->saved_data["ratio"].toDouble() /
                         std::sqrt(static_cast<double>(position.numel()) * most);
    const at::Tensor of_step = at::where(mask, codes - position, codes);
    return {gradients[0] * mask, (gradients[0] * of_step).sum().mul(scale).reshape({1}),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor Lsq::weight(const at::Tensor& weight, int bits, int highest,
                       const WeightState& state) const {
  return DoubleRounding::apply(weight, state.step, static_cast<int64_t>(bits),
                               static_cast<int64_t>(highest));
}

Quantizer::Codes Lsq::codes(const at::Tensor& weight, int bits, int highest,
                            const WeightState& state) const {
  const at::NoGradGuard no_gradient;
  const Rounded made = round_twice(weight, state.step, bits, highest);
  const at::Tensor each = at::ones({weight.size(0)}, weight.options());
  return {made.codes.to(at::kInt), each * state.step.clamp_min(1e-12) * made.ratio,
          at::zeros_like(each)};
}

at::Tensor Lsq::initial_weight_step(const at::Tensor& weight, int highest) const {
  const at::NoGradGuard no_gradient;
  const at::Tensor range = weight.square().mean().sqrt() * options().weight_range_rms;
  return (range / std::ldexp(1.0, highest - 1)).clamp_min(1e-8).reshape({1});
}

}  // namespace instantnet::quant
