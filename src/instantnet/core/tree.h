// A YAML or JSON document as plain values, each with the line it came from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace instantnet {

/// A scalar, a list or a map; null when absent. Maps keep the order of the document.
struct Tree {
  enum class Kind { Null, Scalar, List, Map };

  Kind kind = Kind::Null;
  std::string scalar;       // Kind::Scalar, as written
  bool quoted = false;      // scalar was quoted: never a number, bool or null
  std::vector<Tree> items;  // Kind::List
  std::vector<std::pair<std::string, Tree>> entries;  // Kind::Map
  std::string file;                                   // for messages; empty when made by a program
  int line = 0;                                       // 1-based; 0 when made by a program

  /// Text; `quoted` is set where it would read as something else ("8", "true", "").
  static Tree of(std::string_view text);
  static Tree of(const char* text) { return of(std::string_view(text)); }
  static Tree of(const std::string& text) { return of(std::string_view(text)); }
  static Tree of(bool value);
  static Tree of(int value) { return of(static_cast<int64_t>(value)); }
  static Tree of(int64_t value);
  static Tree of(uint64_t value);
  /// Fewest digits that read back as the same double; ".inf", "-.inf" or ".nan" where there are
  /// none.
  static Tree of(double value);
  static Tree list(std::vector<Tree> items = {});
  static Tree map();

  /// The entry called `key`, or nullptr. Maps only.
  const Tree* find(std::string_view key) const;
  /// Sets or appends an entry of a map and returns *this.
  Tree& set(std::string key, Tree value);
  /// "file:line" for messages; "line 3" without a file, "file" without a line.
  std::string where() const;
  /// What stands here, for messages: "'abc'", "a list", "a map", "empty".
  std::string given() const;

  /// Typed access; Error naming file, line and the text given when it is not such a value. Integers
  /// are decimal and in range; numbers are finite, and integers count. as_string takes any scalar,
  /// as written.
  bool as_bool() const;
  int64_t as_int() const;
  uint64_t as_uint() const;
  double as_double() const;
  const std::string& as_string() const;

  /// Same content, and text equals only text: "8" is not 8. Where it came from does not count.
  bool operator==(const Tree& other) const;
};

/// YAML text (JSON is a subset, but for surrogate pairs) to values. The value of an entry has the
/// line of its key. Error with file and line on bad syntax, text that is not UTF-8, control
/// characters, a duplicate key, a key that is not text, an anchor, alias or tag, a second document,
/// nesting deeper than 64, or more than a million values.
Tree parse_yaml(std::string_view text, std::string file = {});

/// Reads and parses a file; Error when it cannot be read or is larger than 64 MiB.
Tree read_yaml(const std::string& path);

/// Values to YAML; parse_yaml(print_yaml(t)) == t. Lists of scalars print inline ([4, 8]); maps as
/// blocks. Error when a text is not UTF-8: YAML cannot hold it.
std::string print_yaml(const Tree& tree);

/// Values to JSON on one line (indent < 0) or indented. Unquoted scalars that read as numbers or
/// booleans are printed as such; .inf and .nan, which JSON does not have, as null; bytes that are
/// not UTF-8 as U+FFFD.
std::string print_json(const Tree& tree, int indent = -1);

}  // namespace instantnet
