// Nested floor lattice: the code at any width is the leading bits of the code at a wider one.
#pragma once

#include "instantnet/quant/quantizer.h"

namespace instantnet::quant {

class Nested : public Quantizer {
 public:
  using Quantizer::Quantizer;

  at::Tensor weight(const at::Tensor& weight, int bits, int highest, const WeightState& state) const override;
  bool straight_through() const override { return true; }
  Codes codes(const at::Tensor& weight, int bits, int highest, const WeightState& state) const override;
};

}  // namespace instantnet::quant
