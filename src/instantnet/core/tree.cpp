#include "instantnet/core/tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "instantnet/core/error.h"
#include "instantnet/core/plain_scalar.h"

namespace instantnet {
namespace {

template <class Number>
bool read_integer(const Tree& tree, Number& value) {
  if (tree.kind != Tree::Kind::Scalar || tree.quoted) return false;
  std::string_view text = tree.scalar;
  if (text.starts_with('+') && text.size() > 1 && is_digit(text[1])) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

Tree plain_scalar(std::string text) {
  Tree tree;
  tree.kind = Tree::Kind::Scalar;
  tree.scalar = std::move(text);
  return tree;
}

}  // namespace

Tree Tree::of(std::string_view text) {
  Tree tree = plain_scalar(std::string(text));
  tree.quoted = is_typed(tree) || reads_as_null(text);
  return tree;
}

Tree Tree::of(bool value) { return plain_scalar(value ? "true" : "false"); }
Tree Tree::of(int64_t value) { return plain_scalar(fmt::format("{}", value)); }
Tree Tree::of(uint64_t value) { return plain_scalar(fmt::format("{}", value)); }

Tree Tree::of(double value) {
  if (std::isnan(value)) return plain_scalar(".nan");
  if (std::isinf(value)) return plain_scalar(value < 0 ? "-.inf" : ".inf");
  return plain_scalar(fmt::format("{}", value));
}

Tree Tree::list(std::vector<Tree> items) {
  Tree tree;
  tree.kind = Kind::List;
  tree.items = std::move(items);
  return tree;
}

Tree Tree::map() {
  Tree tree;
  tree.kind = Kind::Map;
  return tree;
}

const Tree* Tree::find(std::string_view key) const {
  for (const auto& [name, value] : entries)
    if (name == key) return &value;
  return nullptr;
}

Tree& Tree::set(std::string key, Tree value) {
  if (kind != Kind::Map) bug("Tree::set needs a map.");
  for (auto& [name, old] : entries)
    if (name == key) {
      old = std::move(value);
      return *this;
    }
  entries.emplace_back(std::move(key), std::move(value));
  return *this;
}

std::string Tree::where() const { return place_text(file, line); }

std::string Tree::given() const {
  constexpr size_t kMost = 60;
  if (kind == Kind::Null) return "empty";
  if (kind == Kind::List) return "a list";
  if (kind == Kind::Map) return "a map";
  size_t shown = std::min(scalar.size(), kMost);
  while (shown < scalar.size() && (scalar[shown] & 0xC0) == 0x80) --shown;  // whole characters
  std::string text = scalar.substr(0, shown) + (shown < scalar.size() ? "..." : "");
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  if (is_typed(*this)) return text;
  return fmt::format("{}'{}'", Tree::of(scalar).quoted ? "the text " : "", text);
}

bool Tree::as_bool() const {
  if (kind != Kind::Scalar || quoted || !reads_as_bool(scalar))
    fail(where(), "the value is " + given() + "; give true or false.");
  return scalar[0] == 't' || scalar[0] == 'T';
}

int64_t Tree::as_int() const {
  int64_t value = 0;
  if (!read_integer(*this, value))
    fail(where(), "the value is " + given() + "; give an integer (64 bits).");
  return value;
}

uint64_t Tree::as_uint() const {
  uint64_t value = 0;
  if (!read_integer(*this, value))
    fail(where(), "the value is " + given() + "; give an integer >= 0 (64 bits).");
  return value;
}

double Tree::as_double() const {
  Decimal number;
  double value = 0;
  if (kind == Kind::Scalar && !quoted && split_decimal(scalar, number)) {
    std::string_view text = scalar;
    if (text[0] == '+') text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  fail(where(), "the value is " + given() + "; give a finite number.");
}

const std::string& Tree::as_string() const {
  if (kind != Kind::Scalar) fail(where(), "the value is " + given() + "; give a text.");
  return scalar;
}

bool Tree::operator==(const Tree& other) const {
  return kind == other.kind && scalar == other.scalar && is_typed(*this) == is_typed(other) &&
         items == other.items && entries == other.entries;
}

}  // namespace instantnet
