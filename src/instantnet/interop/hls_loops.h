// A nest as loops of C++: copies of tiles where they change, one step of the multipliers inside.
#pragma once

#include <string>

#include "instantnet/interop/hls_design.h"

namespace instantnet::interop::hls {

/// What a nest's function is called and takes besides weights, inputs and sums.
struct NestText {
  std::string name;       // "nest_8"
  std::string input;      // type of an input element off the chip
  std::string outputs;    // ", code_t* t03_conv": parameters
  std::string arguments;  // ", t03_conv"
};

/// The function of one nest. It calls narrow, weight_of, input_at, finish and multiply.
void write_loops(const Design& design, const LayerDesign& layer, const NestGroup& group,
                 const NestText& text, Code& code);

}  // namespace instantnet::interop::hls
