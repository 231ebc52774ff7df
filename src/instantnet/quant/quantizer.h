// The common interface of all quantizers: what happens to weights, which grid activations are put on, and how gradients
// pass. One file pair per quantizer, named by its paper.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/core/config.h"

namespace instantnet::quant {

/// Which quantizer.
enum class Kind { Nested, Sbm, Dorefa, Adabits, Lsq };
const std::vector<std::pair<Kind, std::string>>& names_of(Kind);

/// Where the range of activations comes from.
enum class RangeSource {
  Learned,    // a parameter per layer and bit-width (LSQ gradient)
  Statistic,  // k_b * rms, averaged over batches: the fallback without learned parameters
  MinMax,     // the extremes of the batch in training, their average in evaluation
  Fixed,      // [0, 1] (DoReFa)
};
const std::vector<std::pair<RangeSource, std::string>>& names_of(RangeSource);

/// Whether one range serves all bit-widths. The authors' code shares it; ours does not.
enum class RangeScope { PerBit, Shared };
const std::vector<std::pair<RangeScope, std::string>>& names_of(RangeScope);

/// How the gradient of a learned range is formed.
enum class RangeGradient {
  Lsq,   // of the step: round(v) - v inside, the limit outside (Esser et al., ICLR 2020, eq. 3)
  Pact,  // 1 above the range, 0 elsewhere (Choi et al., 2018, eq. 4)
};

/// Everything a user can set about quantization.
struct QuantOptions {
  /// The quantizer.
  Kind kind = Kind::Nested;
  /// Activations stay float32; only weights are quantized.
  bool weight_only = false;
  /// Range of activations; "auto" is the quantizer's own (nested, lsq, adabits: learned; sbm: minmax; dorefa: fixed).
  std::string range = "auto";
  RangeScope range_scope = RangeScope::PerBit;
  /// Share of the new batch in the running range (MinMax, Statistic). The authors' inverted momentum is .9.
  double range_momentum = 0.1;
  /// The running range starts at the first batch's (true) or at zero (the authors').
  bool range_starts_at_first_batch = true;
  /// Nested: range of weights in multiples of the output channel's root mean square (recipe: 2.3).
  double weight_range_rms = 2.3;
  /// Sbm: derive every width from an integer master code of this many bits (0 = straight from float32).
  int sbm_master_bits = 0;
  /// Sbm: move zero points to integers, so that a real zero is a code.
  bool sbm_integer_zero = false;
  /// Sbm: depthwise convolutions have activation ranges per channel.
  bool depthwise_per_channel = true;
};
Fields fields(QuantOptions& options);

/// One layer's input activations at one bit-width as a uniform grid. With `zero` (a float zero point):
///   code = round(clamp((x - low) / division, least, most)),  value = code * step + zero,
/// without it (zero undefined; zero itself is a code):
///   code = round(clamp(x * inverse, least, most)),        value = code * step.
/// round is half to even. Tensors have one element, or one per channel (c), float32.
struct Grid {
  at::Tensor step;      // of values
  at::Tensor division;  // with zero: step of codes (equal to step, or 1 where step is 0)
  at::Tensor inverse;   // without zero
  at::Tensor zero;      // added to values; subtracted through `low`
  at::Tensor low;       // with zero: what codes count from (equal to zero where step is not 0)
  int least = 0, most = 0;
  bool mask_gradient = true;  // no gradient to x outside [least, most]
};

/// Grid of a range that starts at zero (or is symmetric) and ends at `range` > 0; tiny ranges are raised to kLeastRange.
Grid zero_grid(const at::Tensor& range, int bits, bool is_signed);
constexpr float kLeastRange = 1e-6F;

/// The authors' grid (quantize.py): from `low`, `range` wide, 2^bits - 1 steps. Where the range is 0 the value is 0 (step is 1
/// for the division and 0 for the value, zero 0), as in their code. With `integer_zero` the range is widened to hold zero
/// and the zero point moved to a whole number of steps.
Grid offset_grid(const at::Tensor& low, const at::Tensor& range, int bits, bool integer_zero);

/// Root-mean-square multiples at which a grid of `bits` starts. Rectified inputs: 2.1, 3.4, 5.5 at 2, 4, 8 bits, which trained
/// best (narrower than the least squared error of a Gaussian); signed: the least squared error of a Gaussian on the symmetric grid.
/// Interpolated between.
double clip_multiple(int bits, bool is_signed);

/// Codes of the unsigned grid (least = 0, most = 2^bits - 1) or of the symmetric one (+-(2^(bits-1) - 1)); a signed input
/// at 1 bit has the unsigned grid, because both must contain zero.
std::pair<int, int> code_limits(int bits, bool is_signed);

/// What a weight quantizer may keep per layer and learn.
struct WeightState {
  at::Tensor step;  // lsq: (1), learned, at the highest bit-width; undefined elsewhere
};

/// Quantizes weights, says how activations are handled. Stateless; all tensors are arguments.
class Quantizer {
 public:
  explicit Quantizer(QuantOptions options) : options_(std::move(options)) {}
  virtual ~Quantizer() = default;

  const QuantOptions& options() const { return options_; }

  /// weight (k, c, r, s) or (k, c) -> the values the layer computes with, same shape, differentiable (straight-through).
  /// bits in 1..16. `highest` is the highest quantized width the layer serves (the master for nested codes).
  virtual at::Tensor weight(const at::Tensor& weight, int bits, int highest, const WeightState& state) const = 0;

  /// True when d value / d weight is taken as 1 everywhere, so that the gradient of the values is the weight's.
  virtual bool straight_through() const = 0;

  /// Integer codes of the weight (int32, same shape) and how to read them: value = code * step + offset, one pair per output
  /// channel. weight(...) == codes * step + offset to float32 rounding.
  struct Codes {
    at::Tensor codes;         // int32, shape of the weight
    at::Tensor step, offset;  // (k) float32
  };
  virtual Codes codes(const at::Tensor& weight, int bits, int highest, const WeightState& state) const = 0;

  /// Whether layers need a learned weight step.
  virtual bool learns_weight_step() const { return false; }
  /// First value of the learned step for a weight at its highest width.
  virtual at::Tensor initial_weight_step(const at::Tensor& weight, int highest) const;

  /// Range source after resolving "auto".
  virtual RangeSource range_source() const;
  /// Gradient of learned ranges.
  virtual RangeGradient range_gradient() const { return RangeGradient::Lsq; }
  /// Least weight bit-width the scheme makes sense for.
  virtual int least_bits() const { return 1; }

 private:
  QuantOptions options_;
};

std::unique_ptr<Quantizer> make_quantizer(const QuantOptions& options);

/// x (n, c, h, w) or (n, c) -> its values on the grid, differentiable in x only: gradient 1, or masked.
at::Tensor fake_quantize(const at::Tensor& x, const Grid& grid);

/// The same with a learned range: alpha (1) is the largest value of the zero_grid. The gradient of alpha is `kind`'s times
/// gradient_scale; x's gradient is masked outside the range.
at::Tensor fake_quantize_learned(const at::Tensor& x, const at::Tensor& alpha, int bits, bool is_signed, RangeGradient kind,
                                 double gradient_scale);

/// 1 / sqrt(features * most): LSQ's gradient scale, applied to alpha itself (recipe.md, section 7). features = numbers per
/// sample.
double range_gradient_scale(int64_t features, int bits, bool is_signed);

}  // namespace instantnet::quant
