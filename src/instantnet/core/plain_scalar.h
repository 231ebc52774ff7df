// What a plain scalar reads as (YAML 1.2 core schema, without hexadecimal and octal).
#pragma once

#include <string>
#include <string_view>

#include "instantnet/core/tree.h"

namespace instantnet {

bool is_digit(char c);

/// The parts of a decimal number; views into the text.
struct Decimal {
  bool negative = false;
  std::string_view whole, fraction, exponent;  // exponent with its sign
  bool integer = true;                         // neither point nor exponent
};

/// [-+]? (digits [. digits*]? | . digits) ([eE] [-+]? digits)?
bool split_decimal(std::string_view text, Decimal& number);

bool reads_as_bool(std::string_view text);
/// .inf and .nan in YAML's three spellings.
bool reads_as_not_finite(std::string_view text);
bool reads_as_null(std::string_view text);
bool reads_as_number(std::string_view text);

/// A number or a boolean, not a text.
bool is_typed(const Tree& tree);

/// "file:3", "line 3" without a file, the file without a line.
std::string place_text(const std::string& file, int line);

}  // namespace instantnet
