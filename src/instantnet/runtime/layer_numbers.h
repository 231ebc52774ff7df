// What one layer computes at one precision, in real numbers and in bounds of its integers; prepare
// joins layers.
#pragma once

#include <vector>

#include "instantnet/net/precision.h"
#include "instantnet/runtime/prepare.h"

namespace instantnet::runtime {

/// A layer at its precision. y = m sum + b box + n[border] in real numbers.
struct LayerReal {
  LayerNumbers numbers;
  Grid input;
  SumRange range;
  RealRequant y;
  /// The largest |y| that any input could give, before the activation function:
  /// max over k of |scale| * (sum of |w|) * (largest |x|) + |shift|, where for Sbm the sum of |w|
  /// is taps * max(|low|, |low + range|).
  double bound = 0;
};

/// What the layer runs at when asked for `asked`: the width fixed by the spec where there is one.
Precision effective(const Source& source, int layer, Precision asked);

/// The codes the layer takes when asked for `asked`.
Grid input_grid(const Source& source, int layer, Precision asked);

LayerReal layer_real(const Source& source, int layer, Precision asked);

}  // namespace instantnet::runtime
