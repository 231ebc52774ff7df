// A search space in a file. Apart from the rest, so that programs that know spaces but read no
// files need nothing of the configuration.
#include "instantnet/net/search_space.h"

namespace instantnet {

Fields fields(SearchSpace& space) {
  Fields all;
  all.add("cells", space.cells, "Cells of each stage.", {1, 1000, "cells"})
      .add("channels", space.channels, "Output channels of each stage.", {1, 1 << 20, ""})
      .add("strides", space.strides, "Stride of the first cell of each stage.", {1, 16, ""})
      .add("operators", space.operators,
           "What a cell can be: kK_eE[_gG] inverted residual with a depthwise KxK, expansion E and "
           "G groups; fK_eE[_gG] with a dense KxK; skip.")
      .add("skip_projection", space.skip_projection,
           "A skip where shapes change is a 1x1 convolution; false: it is an error.")
      .add("stem_channels", space.stem_channels, "Channels of the first convolution (3x3).",
           {1, 1 << 20, ""})
      .add("stem_stride", space.stem_stride, "Its stride.", {1, 16, ""})
      .add("header_channels", space.header_channels,
           "Channels of the 1x1 convolution before pooling; 0 = none.", {0, 1 << 20, ""})
      .add("first_bits", space.first_bits, "Bit-width of the stem; 0 = switchable, 32 = float32.",
           {0, 32, "bits"})
      .add("header_bits", space.header_bits, "Bit-width of the header; likewise.", {0, 32, "bits"})
      .add("last_bits", space.last_bits, "Bit-width of the classifier; likewise.", {0, 32, "bits"});
  return all;
}

}  // namespace instantnet
