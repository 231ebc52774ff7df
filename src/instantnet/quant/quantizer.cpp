#include "instantnet/quant/quantizer.h"

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "instantnet/core/error.h"
#include "instantnet/quant/adabits.h"
#include "instantnet/quant/dorefa.h"
#include "instantnet/quant/lsq.h"
#include "instantnet/quant/nested.h"
#include "instantnet/quant/sbm.h"
#include "instantnet/quant/straight_through.h"

namespace instantnet::quant {

namespace {

/// A per-channel tensor (c) made to broadcast against x (n, c, ...); one element stays as it is.
at::Tensor across_channels(const at::Tensor& values, const at::Tensor& x) {
  if (values.numel() == 1) return values.reshape({});
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[1] = values.numel();
  return values.reshape(shape);
}

/// x in units of codes, before clamping.
at::Tensor positions(const at::Tensor& x, const Grid& grid) {
  if (!grid.zero.defined()) return x * across_channels(grid.inverse, x);
  return (x - across_channels(grid.low, x)) / across_channels(grid.division, x);
}

at::Tensor values_at(const at::Tensor& codes, const Grid& grid) {
  at::Tensor values = codes * across_channels(grid.step, codes);
  return grid.zero.defined() ? values + across_channels(grid.zero, codes) : values;
}

at::Tensor inside(const at::Tensor& position, const Grid& grid) {
  return position.ge(grid.least).logical_and(position.le(grid.most));
}

/// forward: the grid's values. backward: x masked to the range, alpha by LSQ or PACT.
struct LearnedRange : public torch::autograd::Function<LearnedRange> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& alpha, int64_t bits, bool is_signed, bool pact,
                            double gradient_scale) {
    const Grid grid = zero_grid(alpha, static_cast<int>(bits), is_signed);
    const at::Tensor position = positions(x, grid);
    const at::Tensor codes = position.clamp(grid.least, grid.most).round();
    context->save_for_backward({position, codes});
    context->saved_data["least"] = static_cast<int64_t>(grid.least);
    context->saved_data["most"] = static_cast<int64_t>(grid.most);
    context->saved_data["pact"] = pact;
    context->saved_data["scale"] = gradient_scale;
    return values_at(codes, grid);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& position = saved[0];
    const at::Tensor& codes = saved[1];
    const int64_t least = context->saved_data["least"].toInt();
    const int64_t most = context->saved_data["most"].toInt();
    const at::Tensor mask = position.ge(least).logical_and(position.le(most));
    const at::Tensor& gradient = gradients[0];
    at::Tensor of_range;
    if (context->saved_data["pact"].toBool()) {
      // d value / d alpha = 1 above, -1 below (symmetric grids), 0 inside.
      of_range = position.gt(most).to(gradient.scalar_type()) -
                 position.lt(least).to(gradient.scalar_type());
      if (least == 0) of_range = position.gt(most).to(gradient.scalar_type());
    } else {
      of_range = at::where(mask, codes - position, codes);
    }
    at::Tensor alpha_gradient =
        (gradient * of_range).sum().mul(context->saved_data["scale"].toDouble()).reshape({1});
    return {gradient * mask, alpha_gradient, at::Tensor(),
            at::Tensor(),    at::Tensor(),   at::Tensor()};
  }
};

}  // namespace

const std::vector<std::pair<Kind, std::string>>& names_of(Kind) {
  static const std::vector<std::pair<Kind, std::string>> names = {{Kind::Nested, "nested"},
                                                                  {Kind::Sbm, "sbm"},
                                                                  {Kind::Dorefa, "dorefa"},
                                                                  {Kind::Adabits, "adabits"},
                                                                  {Kind::Lsq, "lsq"}};
  return names;
}

const std::vector<std::pair<RangeSource, std::string>>& names_of(RangeSource) {
  static const std::vector<std::pair<RangeSource, std::string>> names = {
      {RangeSource::Learned, "learned"},
      {RangeSource::Statistic, "statistic"},
      {RangeSource::MinMax, "minmax"},
      {RangeSource::Fixed, "fixed"}};
  return names;
}

const std::vector<std::pair<RangeScope, std::string>>& names_of(RangeScope) {
  static const std::vector<std::pair<RangeScope, std::string>> names = {
      {RangeScope::PerBit, "per-bit"}, {RangeScope::Shared, "shared"}};
  return names;
}

Fields fields(QuantOptions& options) {
  Fields all;
  all.add("kind", options.kind,
          "The quantizer: nested (floor lattice whose narrow codes are the wide one's leading "
          "bits), sbm (min-max, Banner et al. "
          "2018), dorefa (Zhou et al. 2016), adabits (Jin et al. 2020), lsq (Esser et al. 2020, "
          "nested by double rounding).");
  all.add("weight_only", options.weight_only, "Quantize weights only; activations stay float32.");
  all.add("range", options.range,
          "Range of activations: auto (the quantizer's own), learned (a parameter per layer and "
          "bit-width), statistic (a "
          "multiple of the root mean square), minmax (extremes), fixed ([0, 1]).");
  all.add("range_scope", options.range_scope,
          "One activation range per bit-width, or one shared by all (the authors' code).");
  all.add("range_momentum", options.range_momentum, "Share of the newest batch in a running range.",
          {0.0, 1.0, ""});
  all.add("range_starts_at_first_batch", options.range_starts_at_first_batch,
          "A running range starts at the first batch's; otherwise at zero (the authors' code).");
  all.add("weight_range_rms", options.weight_range_rms,
          "nested: range of the weights, in root mean squares of the output channel.",
          {0.1, 100.0, ""});
  all.add("sbm_master_bits", options.sbm_master_bits,
          "sbm: derive every width from an integer code of this many bits; 0 takes each width from "
          "float32.",
          {0, 16, "bits"});
  all.add("sbm_integer_zero", options.sbm_integer_zero,
          "sbm: whole-number zero points, so that 0 is a code.");
  all.add("depthwise_per_channel", options.depthwise_per_channel,
          "sbm: activations of depthwise convolutions have a range per channel.");
  return all;
}

double clip_multiple(int bits, bool is_signed) {
  using Point = std::pair<double, double>;
  // Rectified: recipe.md section 1 for 2, 4 and 8 bits. Signed: least squared error of a Gaussian
  // on 2^bits - 1 levels.
  static constexpr std::array<Point, 7> kRectified = {
      {{1, 1.4}, {2, 2.1}, {3, 2.8}, {4, 3.4}, {8, 5.5}, {12, 7.0}, {16, 8.0}}};
  static constexpr std::array<Point, 7> kSigned = {
      {{1, 1.2}, {2, 1.22}, {3, 2.0}, {4, 2.6}, {8, 4.0}, {12, 5.2}, {16, 6.2}}};
  const auto& points = is_signed ? kSigned : kRectified;
  for (size_t i = 1; i < points.size(); ++i) {
    const auto [x0, y0] = points[i - 1];
    const auto [x1, y1] = points[i];
    if (bits <= x1) return y0 + (y1 - y0) * (bits - x0) / (x1 - x0);
  }
  return points.back().second;
}

std::pair<int, int> code_limits(int bits, bool is_signed) {
  if (!is_signed || bits == 1) return {0, (1 << bits) - 1};
  const int most = (1 << (bits - 1)) - 1;
  return {-most, most};
}

Grid zero_grid(const at::Tensor& range, int bits, bool is_signed) {
  const at::NoGradGuard no_gradient;
  const auto [least, most] = code_limits(bits, is_signed);
  const at::Tensor safe = range.detach().clamp_min(kLeastRange);
  Grid grid;
  grid.step = safe / most;
  grid.inverse = at::full_like(safe, most) / safe;
  grid.least = least;
  grid.most = most;
  return grid;
}

Grid offset_grid(const at::Tensor& low, const at::Tensor& range, int bits, bool integer_zero) {
  const at::NoGradGuard no_gradient;
  Grid grid;
  grid.most = (1 << bits) - 1;
  grid.mask_gradient = false;
  at::Tensor from = low.detach(), width = range.detach();
  if (integer_zero) {
    const at::Tensor to = (from + width).clamp_min(0);
    from = from.clamp_max(0);
    width = to - from;
  }
  const at::Tensor step = width / grid.most;
  const at::Tensor flat = step.eq(0);
  grid.division = at::where(flat, at::ones_like(step), step);
  grid.step = step;
  if (integer_zero) from = -(-from / grid.division).round() * step;
  grid.low = from;
  grid.zero = at::where(flat, at::zeros_like(from), from);
  return grid;
}

double range_gradient_scale(int64_t features, int bits, bool is_signed) {
  return 1.0 / std::sqrt(static_cast<double>(features) * code_limits(bits, is_signed).second);
}

at::Tensor fake_quantize(const at::Tensor& x, const Grid& grid) {
  at::Tensor values, mask;
  {
    const at::NoGradGuard no_gradient;
    const at::Tensor position = positions(x, grid);
    values = values_at(position.clamp(grid.least, grid.most).round(), grid);
    if (grid.mask_gradient) mask = inside(position, grid);
  }
  return straight_through(x, values, mask);
}

at::Tensor fake_quantize_learned(const at::Tensor& x, const at::Tensor& alpha, int bits,
                                 bool is_signed, RangeGradient kind, double gradient_scale) {
  return LearnedRange::apply(x, alpha, static_cast<int64_t>(bits), is_signed,
                             kind == RangeGradient::Pact, gradient_scale);
}

at::Tensor Quantizer::initial_weight_step(const at::Tensor&, int) const {
  bug("this quantizer has no learned weight step");
}

RangeSource Quantizer::range_source() const {
  const std::string& name = options_.range;
  if (name == "auto")
    return options_.kind == Kind::Sbm ? RangeSource::MinMax : RangeSource::Learned;
  for (const auto& [source, text] : names_of(RangeSource{}))
    if (text == name) return source;
  fail("quant.range",
       "'" + name + "' is not a range source; give auto, learned, statistic, minmax or fixed.");
}

std::unique_ptr<Quantizer> make_quantizer(const QuantOptions& options) {
  std::unique_ptr<Quantizer> made;
  switch (options.kind) {
    case Kind::Nested:
      made = std::make_unique<Nested>(options);
      break;
    case Kind::Sbm:
      made = std::make_unique<Sbm>(options);
      break;
    case Kind::Dorefa:
      made = std::make_unique<Dorefa>(options);
      break;
    case Kind::Adabits:
      made = std::make_unique<Adabits>(options);
      break;
    case Kind::Lsq:
      made = std::make_unique<Lsq>(options);
      break;
  }
  if (!made) bug("a quantizer without a class");
  made->range_source();  // an unknown name fails here, not in the first step
  return made;
}

}  // namespace instantnet::quant
