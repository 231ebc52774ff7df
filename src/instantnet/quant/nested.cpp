// With c = weight_range_rms * rms of the output channel, shared by all widths (recipe.md, section
// 1):
//   code  = clamp(floor((w / c + 1) * 2^(b-1)), 0, 2^b - 1)
//   value = c * (2 code + 1 - 2^b) / 2^b          (mid-rise: odd multiples of c / 2^b)
// Scaling by a power of two is exact, so code_l == code_h >> (h - l) for every pair of widths.
#include "instantnet/quant/nested.h"

#include <torch/torch.h>

#include <cmath>

#include "instantnet/quant/plain_rows.h"
#include "instantnet/quant/straight_through.h"
#include "instantnet/quant/weight_rows.h"

namespace instantnet::quant {

namespace {

/// (k) -> (k, 1, 1, 1) or (k, 1), to broadcast against the weight.
at::Tensor by_output(const at::Tensor& values, const at::Tensor& weight) {
  std::vector<int64_t> shape(static_cast<size_t>(weight.dim()), 1);
  shape[0] = values.numel();
  return values.reshape(shape);
}

/// Range c of each output channel, (k).
at::Tensor ranges(const at::Tensor& weight, double multiple) {
  if (has_plain_rows(weight)) {
    at::Tensor all = at::empty({weight.size(0)}, weight.options());
    const int64_t count = weight.numel() / weight.size(0);
    for (int64_t k = 0; k < weight.size(0); ++k)
      all.data_ptr<float>()[k] =
          nested_row_range(weight.data_ptr<float>() + k * count, count, multiple);
    return all;
  }
  return weight.flatten(1).square().mean(1).sqrt() * multiple;
}

at::Tensor float_codes(const at::Tensor& weight, const at::Tensor& range, int bits) {
  const at::Tensor safe = by_output(at::where(range.eq(0), at::ones_like(range), range), weight);
  return ((weight / safe + 1) * std::ldexp(1.0, bits - 1))
      .floor()
      .clamp(0, std::ldexp(1.0, bits) - 1);
}

at::Tensor lattice_values(const at::Tensor& weight, const at::Tensor& range, int bits) {
  if (!has_plain_rows(weight)) {
    const at::Tensor odd = float_codes(weight, range, bits) * 2 + (1 - std::ldexp(1.0, bits));
    return odd * std::ldexp(1.0, -bits) * by_output(range, weight);
  }
  at::Tensor values = at::empty_like(weight);
  const int64_t count = weight.numel() / weight.size(0);
  for (int64_t k = 0; k < weight.size(0); ++k)
    nested_row_values(weight.data_ptr<float>() + k * count, values.data_ptr<float>() + k * count,
                      count, range.data_ptr<float>()[k], bits);
  return values;
}

}  // namespace

at::Tensor Nested::weight(const at::Tensor& weight, int bits, int, const WeightState&) const {
  at::Tensor values;
  {
    const at::NoGradGuard no_gradient;
    values = lattice_values(weight, ranges(weight, options().weight_range_rms), bits);
  }
  return quant::straight_through(weight, values);
}

Quantizer::Codes Nested::codes(const at::Tensor& weight, int bits, int, const WeightState&) const {
  const at::NoGradGuard no_gradient;
  const at::Tensor range = ranges(weight, options().weight_range_rms);
  return {float_codes(weight, range, bits).to(at::kInt), range * std::ldexp(1.0, 1 - bits),
          range * (std::ldexp(1.0, -bits) - 1)};
}

}  // namespace instantnet::quant
