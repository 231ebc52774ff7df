// The files that every generated design has, whatever the network: integers, pragmas, arithmetic.
#pragma once

namespace instantnet::interop::hls {

/// instantnet_int.h: integers of any width up to 64, which a vendor's type replaces by one typedef.
const char* int_header();
/// instantnet_hls.h: what the tool is told, in macros without a vendor's name.
const char* pragma_header();
/// arithmetic.h: docs/integer-model.md, equations (1), (2) and (5) to (8), as plain functions.
const char* arithmetic_header();

}  // namespace instantnet::interop::hls
