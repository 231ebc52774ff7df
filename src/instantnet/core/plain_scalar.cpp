#include "instantnet/core/plain_scalar.h"

#include <fmt/format.h>

#include <algorithm>

namespace instantnet {
namespace {

std::string_view take_digits(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
  const std::string_view digits = text.substr(0, static_cast<size_t>(end - text.begin()));
  text.remove_prefix(digits.size());
  return digits;
}

}  // namespace

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool split_decimal(std::string_view text, Decimal& number) {
  if (text.starts_with('-') || text.starts_with('+')) {
    number.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  number.whole = take_digits(text);
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    number.fraction = take_digits(text);
    number.integer = false;
  }
  if (number.whole.empty() && number.fraction.empty()) return false;
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    number.integer = false;
    const std::string_view from = text;
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    if (take_digits(text).empty()) return false;
    number.exponent = from.substr(0, from.size() - text.size());
  }
  return text.empty();
}

bool reads_as_bool(std::string_view text) {
  return text == "true" || text == "True" || text == "TRUE" || text == "false" || text == "False" ||
         text == "FALSE";
}

bool reads_as_not_finite(std::string_view text) {
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return true;
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return text == ".inf" || text == ".Inf" || text == ".INF";
}

bool reads_as_null(std::string_view text) {
  return text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL";
}

bool reads_as_number(std::string_view text) {
  Decimal ignored;
  return split_decimal(text, ignored) || reads_as_not_finite(text);
}

bool is_typed(const Tree& tree) {
  return !tree.quoted && (reads_as_number(tree.scalar) || reads_as_bool(tree.scalar));
}

std::string place_text(const std::string& file, int line) {
  if (line <= 0) return file;
  return file.empty() ? fmt::format("line {}", line) : fmt::format("{}:{}", file, line);
}

}  // namespace instantnet
