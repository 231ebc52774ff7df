// DoReFa-Net (Zhou et al., 2016), equations 5, 7 and 9.
#pragma once

#include "instantnet/quant/quantizer.h"

namespace instantnet::quant {

class Dorefa : public Quantizer {
 public:
  using Quantizer::Quantizer;

  at::Tensor weight(const at::Tensor& weight, int bits, int highest, const WeightState& state) const override;
  bool straight_through() const override { return false; }
  Codes codes(const at::Tensor& weight, int bits, int highest, const WeightState& state) const override;
  RangeSource range_source() const override;
};

}  // namespace instantnet::quant
