// AdaBits (Jin et al., CVPR 2020): DoReFa's weight transform on a floor grid whose narrow codes are the wide one's leading
// bits (the "modified" scheme), and a switchable clipping level per bit-width.
#pragma once

#include "instantnet/quant/quantizer.h"

namespace instantnet::quant {

class Adabits : public Quantizer {
 public:
  using Quantizer::Quantizer;

  at::Tensor weight(const at::Tensor& weight, int bits, int highest, const WeightState& state) const override;
  bool straight_through() const override { return false; }
  Codes codes(const at::Tensor& weight, int bits, int highest, const WeightState& state) const override;
  RangeGradient range_gradient() const override { return RangeGradient::Pact; }
};

}  // namespace instantnet::quant
