#include "instantnet/net/precision.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "instantnet/core/error.h"

namespace instantnet {
namespace {

bool is_width(int bits) { return (bits >= 1 && bits <= 16) || bits == 32; }

/// All of `text` as a decimal number without a sign; nothing when it is not one.
std::optional<int> digits(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || text.front() == '-') return std::nullopt;
  return value;
}

/// "8" or "w4a32" as two numbers of any size; nothing when it is neither.
std::optional<Precision> split(std::string_view text) {
  if (!text.starts_with('w')) {
    const auto both = digits(text);
    if (!both) return std::nullopt;
    return Precision{*both, *both};
  }
  const size_t a = text.find('a');
  if (a == std::string_view::npos) return std::nullopt;
  const auto weight = digits(text.substr(1, a - 1));
  const auto activation = digits(text.substr(a + 1));
  if (!weight || !activation) return std::nullopt;
  return Precision{*weight, *activation};
}

/// The widths of `bits` that exist, ascending and once each; an example when there are none.
std::vector<int> repaired(std::vector<int> bits) {
  std::erase_if(bits, [](int b) { return !is_width(b); });
  std::sort(bits.begin(), bits.end());
  bits.erase(std::unique(bits.begin(), bits.end()), bits.end());
  return bits.empty() ? std::vector<int>{4, 8} : bits;
}

}  // namespace

std::string to_string(Precision precision) {
  if (precision.weight == precision.activation) return fmt::format("{}", precision.weight);
  return fmt::format("w{}a{}", precision.weight, precision.activation);
}

Precision parse_precision(std::string_view text, std::string_view where) {
  const auto precision = split(text);
  if (!precision)
    fail(where,
         fmt::format("'{}' is not a precision; write bits such as 8, or w4a8 for 4-bit weights and "
                     "8-bit activations.",
                     text));
  for (const int bits : {precision->weight, precision->activation})
    if (!is_width(bits))
      fail(where, fmt::format("'{}' asks for {} bits; a bit-width is 1..16, or 32 for float.", text,
                              bits));
  return *precision;
}

void check_bits(const std::vector<int>& bits, std::string_view where) {
  if (bits.empty()) fail(where, "no bit-width is given; give at least one, for example [4, 8].");
  for (const int b : bits)
    if (!is_width(b))
      fail(where,
           fmt::format(
               "{} in [{}] is not a bit-width; each is 1..16, or 32 for float, for example [{}].",
               b, fmt::join(bits, ", "), fmt::join(repaired(bits), ", ")));
  if (bits != repaired(bits))
    fail(where, fmt::format("bit-widths [{}] must ascend without repeats; write [{}].",
                            fmt::join(bits, ", "), fmt::join(repaired(bits), ", ")));
}

}  // namespace instantnet
