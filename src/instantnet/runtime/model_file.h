// The model.spnet container: a header, a table of sections, sections. int_model.h has the functions
// for whole models on disk.
//
//   header, 32 bytes: magic "SPNET\r\n\x1a"; u32 version; u32 number of sections; u64 bytes of the
//     file; u64 checksum of the table
//   table, 40 bytes a section: name (16, zero-filled); u64 offset; u64 bytes; u64 checksum
//   sections, each at the next multiple of 64 after the one before; zeros between
//
// Sections, in order: "network" (the spec), "layers" (what each layer is, bit-widths,
// normalisation, classes, origin), "numbers" (float32 tables), "codes" (master codes, 8 or 16 bits
// each, every layer at a multiple of 64 bytes) and, only with a 32-bit width, "float32" (weights
// and tables, aligned alike). All numbers are little-endian. Checksums are those of
// core/checksum.h: all bytes of a file are gone over each time it is loaded.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/core/format.h"
#include "instantnet/runtime/int_model.h"
#include "instantnet/runtime/model_sections.h"

namespace instantnet::runtime {

/// Versions 1 and 2 were never released: they had weaker checksums.
inline constexpr Format kModelFormat = {"model.spnet", "freeze the network again", 3, 3};

/// Header, table and sections, whatever stands in these.
std::string print_container(const std::vector<Section>& sections);

/// The file's bytes. Error when check(model) refuses it.
std::string print_model(const IntModel& model);

/// The inverse, checked; `where` (the file's name) starts messages. Every byte counts: a file that
/// differs in any bit, is cut short or has something behind it is an Error. With a `keeper` of the
/// bytes the model's largest tables are left in them.
IntModel parse_model(std::string_view bytes, const std::string& where,
                     const std::shared_ptr<const void>& keeper = nullptr);

/// As sections(path), without sha256.
std::vector<FileSection> parse_sections(std::string_view bytes, const std::string& where);

}  // namespace instantnet::runtime
