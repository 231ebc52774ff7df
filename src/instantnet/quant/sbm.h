// Min-max affine quantizer of "Scalable Methods for 8-bit Training of Neural Networks" (Banner et al., NeurIPS 2018), as the
// InstantNet authors use it (quantize.py): SBM in the paper's tables.
#pragma once

#include "instantnet/quant/quantizer.h"

namespace instantnet::quant {

class Sbm : public Quantizer {
 public:
  using Quantizer::Quantizer;

  at::Tensor weight(const at::Tensor& weight, int bits, int highest, const WeightState& state) const override;
  bool straight_through() const override { return true; }
  Codes codes(const at::Tensor& weight, int bits, int highest, const WeightState& state) const override;
};

}  // namespace instantnet::quant
