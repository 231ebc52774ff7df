// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace instantnet {

/// 25557032 -> "25.56 M", 4089184256 -> "4.089 G": four significant digits, SI prefix.
std::string si(double value);
/// 1536 -> "1.5 KiB".
std::string bytes_text(uint64_t bytes);
/// 93.4 -> "1:33", 4000 -> "1:06:40".
std::string duration_text(double seconds);

/// The words of a text in lines of at most `columns` columns, each indented by `indent` blanks; no
/// line end after the last. A word that is longer has a line of its own.
std::string wrap_text(std::string_view text, size_t columns, size_t indent = 0);

/// A table in plain text: columns padded, numbers right-aligned, a rule under the header.
std::string table_text(const std::vector<std::string>& header,
                       const std::vector<std::vector<std::string>>& rows);

}  // namespace instantnet
