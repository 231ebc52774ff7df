// The test bench of a generated design, its golden vectors, and how to build and read it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "instantnet/interop/hls_design.h"

namespace instantnet::interop::hls {

/// testbench.cpp: runs every image at every bit-width, switching between them, and compares every
/// tensor with golden/.
std::string testbench_source(const Design& design, int images);
/// golden/image_I_bits_B.txt: (name, text) of each, computed by the runtime's reference.
std::vector<std::pair<std::string, std::string>> golden_files(const Design& design, int images,
                                                              uint64_t seed);
std::string makefile(const Design& design);
std::string readme(const Design& design);

}  // namespace instantnet::interop::hls
