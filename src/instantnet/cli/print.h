// Standard output.
#pragma once

#include <string>

namespace instantnet::cli {

/// Prints on standard output, with exactly one line end at the end.
void print_text(std::string text);

}  // namespace instantnet::cli
