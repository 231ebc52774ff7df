// Learned step size quantization (Esser et al., ICLR 2020), one step per layer with power-of-two ratios between widths and
// double rounding ("Nearly Lossless Adaptive Bit Switching", Huang et al., 2024): one stored code serves all widths.
#pragma once

#include "instantnet/quant/quantizer.h"

namespace instantnet::quant {

class Lsq : public Quantizer {
 public:
  using Quantizer::Quantizer;

  at::Tensor weight(const at::Tensor& weight, int bits, int highest, const WeightState& state) const override;
  bool straight_through() const override { return false; }
  Codes codes(const at::Tensor& weight, int bits, int highest, const WeightState& state) const override;
  bool learns_weight_step() const override { return true; }
  /// 2.3 rms of the layer spread over the codes of `highest`.
  at::Tensor initial_weight_step(const at::Tensor& weight, int highest) const override;
  int least_bits() const override { return 2; }
};

}  // namespace instantnet::quant
