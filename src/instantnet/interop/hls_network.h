// The C++ of a network: types, the engine, the order of layers, tables and weights.
#pragma once

#include <string>

#include "instantnet/interop/hls_design.h"

namespace instantnet::interop::hls {

std::string types_header(const Design& design);            // types.h
std::string layers_header(const Design& design);           // layers.h
std::string engine_header(const Design& design);           // engine.h, unless a pipeline
std::string engine_source(const Design& design);           // engine.cpp, likewise
std::string network_header(const Design& design);          // network.h
std::string network_source(const Design& design);          // network.cpp
std::string network_numbers_header(const Design& design);  // network_numbers.h
std::string weights_header(const Design& design);          // weights.h
std::string weights_source(const Design& design);          // weights.cpp

/// The part of a file between its guards and namespaces.
std::string header_of(const Design& design, const std::string& file, const std::string& about,
                      const std::string& includes, const std::string& body);

}  // namespace instantnet::interop::hls
