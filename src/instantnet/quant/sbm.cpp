// With low and range of the output channel's float weights and s = range / (2^b - 1):
//   code = round_half_even(clamp((w - low) / s, 0, 2^b - 1)),  value = code * s + low;  range 0
//   gives the value 0.
// Derived through a master code of h bits, q_h: code_b = round(q_h (2^b - 1) / (2^h - 1)) in
// integers, which is the direct code wherever b divides h (the ratio of step counts is odd, so no
// ties). With a whole-number zero point z, z_b is derived from z_h likewise, and code_b - z_b from
// q_h - z_h.
#include "instantnet/quant/sbm.h"

#include <torch/torch.h>

#include <algorithm>

#include "instantnet/quant/plain_rows.h"
#include "instantnet/quant/straight_through.h"
#include "instantnet/quant/weight_rows.h"

namespace instantnet::quant {

namespace {

struct Pieces {
  at::Tensor codes;  // float32, shape of the weight
  Grid grid;         // of output channels
};

at::Tensor by_output(const at::Tensor& values, const at::Tensor& weight) {
  std::vector<int64_t> shape(static_cast<size_t>(weight.dim()), 1);
  shape[0] = values.numel();
  return values.reshape(shape);
}

at::Tensor direct_codes(const at::Tensor& weight, const Grid& grid) {
  return ((weight - by_output(grid.low, weight)) / by_output(grid.division, weight))
      .clamp(0, grid.most)
      .round();
}

Pieces pieces(const at::Tensor& weight, int bits, const QuantOptions& options) {
  const at::Tensor flat = weight.flatten(1);
  const at::Tensor low = flat.amin(1);
  const at::Tensor range = flat.amax(1) - low;
  Pieces result;
  const int master = options.sbm_master_bits;
  if (master == 0 || bits >= master) {
    result.grid = offset_grid(low, range, bits, options.sbm_integer_zero);
    result.codes = direct_codes(weight, result.grid);
    return result;
  }
  const Grid wide = offset_grid(low, range, master, options.sbm_integer_zero);
  const int64_t most = (int64_t{1} << bits) - 1;
  const auto narrowed = [&](const at::Tensor& counts) {
    return at::floor_divide(counts * most * 2 + wide.most, int64_t{2} * wide.most);
  };
  result.grid = wide;
  result.grid.most = static_cast<int>(most);
  result.grid.step = wide.step * (static_cast<double>(wide.most) / static_cast<double>(most));
  at::Tensor counts = direct_codes(weight, wide).to(at::kLong);
  if (options.sbm_integer_zero) {
    // Counted from zero, so that zero stays a code of every width.
    const at::Tensor master_zero = (-wide.zero / wide.division).round().to(at::kLong),
                     zero = narrowed(master_zero);
    counts = narrowed(counts - by_output(master_zero, weight)) + by_output(zero, weight);
    result.grid.low = result.grid.zero = -zero.to(wide.step.scalar_type()) * result.grid.step;
  } else {
    counts = narrowed(counts);
  }
  result.codes = counts.to(weight.scalar_type());
  return result;
}

at::Tensor lattice_values(const at::Tensor& weight, int bits, const QuantOptions& options) {
  if (options.sbm_master_bits != 0 || options.sbm_integer_zero || !has_plain_rows(weight)) {
    const Pieces made = pieces(weight, bits, options);
    return made.codes * by_output(made.grid.step, weight) + by_output(made.grid.zero, weight);
  }
  at::Tensor values = at::empty_like(weight);
  const int64_t count = weight.numel() / weight.size(0);
  for (int64_t k = 0; k < weight.size(0); ++k)
    minmax_row_values(weight.data_ptr<float>() + k * count, values.data_ptr<float>() + k * count,
                      count, bits);
  return values;
}

}  // namespace

at::Tensor Sbm::weight(const at::Tensor& weight, int bits, int, const WeightState&) const {
  at::Tensor values;
  {
    const at::NoGradGuard no_gradient;
    values = lattice_values(weight, bits, options());
  }
  return quant::straight_through(weight, values);
}

Quantizer::Codes Sbm::codes(const at::Tensor& weight, int bits, int, const WeightState&) const {
  const at::NoGradGuard no_gradient;
  const Pieces made = pieces(weight, bits, options());
  return {made.codes.to(at::kInt), made.grid.step, made.grid.zero};
}

}  // namespace instantnet::quant
