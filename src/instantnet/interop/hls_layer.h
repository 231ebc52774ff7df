// The C++ of one layer: its loop nests as the mappings say, and the numbers behind its sums.
#pragma once

#include <string>
#include <vector>

#include "instantnet/interop/hls_design.h"

namespace instantnet::interop::hls {

/// layer_NNN_name.cpp
std::string layer_source(const Design& design, const LayerDesign& layer);
/// layer_NNN_name_numbers.h
std::string layer_numbers(const Design& design, const LayerDesign& layer);
/// "void layer_002_conv(int width, ...)", without an end.
std::string layer_signature(const Design& design, const Structure& structure,
                            const LayerDesign& layer);
/// Whether boxes or incomplete sums go off the chip.
bool uses_sums(const Structure& structure, const LayerDesign& layer);
/// The tensors that a layer writes.
std::vector<const Place*> written_by(const Design& design, const Structure& structure,
                                     const LayerDesign& layer);
/// The tensor that a layer reads.
const Place& read_by(const Design& design, const Structure& structure, const LayerDesign& layer);

/// Opens and closes the namespaces of a structure's part of a file.
void open_structure(const Structure& structure, Code& code);
void close_structure(const Structure& structure, Code& code);
/// "widths_a::" or "".
std::string scope_of(const Structure& structure);

/// "bram_weights"
std::string memory_name(const std::string& level, Tensor t);
/// "uint_t<8> bram_weights[2304]"
std::string memory_declaration(const std::string& level, const Memory& memory);
/// Each line of the text behind "// ".
std::string commented(const std::string& text);
/// multiply(), which `head` names: "static void multiply".
void write_multiply(const std::string& head, Code& code);

}  // namespace instantnet::interop::hls
