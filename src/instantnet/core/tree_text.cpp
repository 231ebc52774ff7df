// Trees from YAML text, and to YAML and JSON.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <istream>
#include <nlohmann/json.hpp>
#include <streambuf>
#include <unordered_set>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/plain_scalar.h"
#include "instantnet/core/tree.h"

namespace instantnet {
namespace {

constexpr size_t kMostDepth = 64;
constexpr size_t kMostValues = 1'000'000;
constexpr uint64_t kMostBytes = uint64_t{64} << 20;

// ---- UTF-8.

/// Length in bytes and code point of the character at the start; length 0 when it is not UTF-8.
std::pair<size_t, uint32_t> decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const uint32_t first = byte(0);
  if (first < 0x80) return {1, first};
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return {0, 0};
  uint32_t point = first & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {0, 0};
    point = point << 6 | (byte(i) & 0x3F);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  const bool surrogate = point >= 0xD800 && point < 0xE000;
  return overlong || surrogate || point > 0x10FFFF ? std::pair<size_t, uint32_t>{0, 0}
                                                   : std::pair<size_t, uint32_t>{length, point};
}

// ---- Reading.

/// Refuses what the YAML library would read differently, or could not hold: bytes that are not
/// UTF-8, control characters, and brackets nested so deep that they can only be an attack (its
/// scanner keeps each).
void check_text(std::string_view text, const std::string& file) {
  constexpr int64_t kMostBrackets = 10'000;
  int line = 1;
  int64_t open = 0;
  if (text.size() > kMostBytes)
    fail(place_text(file, 1),
         fmt::format("the text has {} bytes; at most {} are read.", text.size(), kMostBytes));
  while (!text.empty()) {
    const auto [length, point] = decode(text);
    if (length == 0) fail(place_text(file, line), "the text is not UTF-8; save the file as UTF-8.");
    if (point == '\n') ++line;
    if ((point < 0x20 && point != '\n' && point != '\r' && point != '\t') || point == 0x7F)
      fail(place_text(file, line),
           fmt::format("the control character 0x{:02x} is not allowed; write it as \"\\x{:02x}\".",
                       point, point));
    if (point == '[' || point == '{') ++open;
    if ((point == ']' || point == '}') && open > 0) --open;
    if (open > kMostBrackets)
      fail(place_text(file, line),
           fmt::format("more than {} brackets are open; at most {} levels are read.", kMostBrackets,
                       kMostDepth));
    text.remove_prefix(length);
  }
}

/// Builds a Tree from the YAML library's events.
class Builder : public YAML::EventHandler {
 public:
  /// `documents`: how many may come; the next one is refused.
  Builder(std::string file, int documents) : file_(std::move(file)), documents_(documents) {}

  Tree take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_-- == 0)
      refuse(mark, "a second document, or something that is not part of the first, begins here.");
  }
  void OnDocumentEnd() override {}
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "aliases (*name) are not read; write the value out.");
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check_anchor(mark, anchor);
    if (wants_key()) refuse(mark, "a key is empty or null; give text, or quote it.");
    add(make(mark, Tree::Kind::Null));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_anchor(mark, anchor);
    check_tag(mark, tag);
    if (wants_key()) return take_key(mark, value);
    Tree tree = make(mark, Tree::Kind::Scalar);
    tree.scalar = value;
    tree.quoted = tag == "!";
    add(std::move(tree));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Tree::Kind::List);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Tree::Kind::Map);
  }
  void OnMapEnd() override { close(); }

 private:
  /// A list or map whose end has not come yet.
  struct Level {
    Tree tree;
    bool has_key = false;
    std::string key;
    int key_line = 0;
    std::unordered_set<std::string> keys;
  };

  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& sentence) const {
    fail(place_text(file_, mark.line + 1), sentence);
  }
  void check_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != YAML::NullAnchor)
      refuse(mark, "anchors (&name) are not read; write the value out.");
  }
  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(mark, fmt::format("the tag '{}' is not read; leave it out.", tag));
  }
  bool wants_key() const {
    return !levels_.empty() && levels_.back().tree.kind == Tree::Kind::Map &&
           !levels_.back().has_key;
  }
  Tree make(const YAML::Mark& mark, Tree::Kind kind) {
    if (++values_ > kMostValues)
      refuse(mark, fmt::format("there are more than {} values.", kMostValues));
    Tree tree;
    tree.kind = kind;
    tree.file = file_;
    tree.line = mark.line + 1;
    return tree;
  }
  void take_key(const YAML::Mark& mark, const std::string& key) {
    Level& level = levels_.back();
    if (!level.keys.insert(key).second)
      refuse(mark, fmt::format("the key '{}' is there twice; keep one.", key));
    level.has_key = true;
    level.key = key;
    level.key_line = mark.line + 1;
  }
  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            Tree::Kind kind) {
    check_anchor(mark, anchor);
    check_tag(mark, tag);
    if (wants_key()) refuse(mark, "a key is a list or a map; give text.");
    if (levels_.size() >= kMostDepth)
      refuse(mark, fmt::format("lists and maps are nested deeper than {} levels.", kMostDepth));
    levels_.push_back({make(mark, kind), false, {}, 0, {}});
  }
  void close() {
    Tree tree = std::move(levels_.back().tree);
    levels_.pop_back();
    add(std::move(tree));
  }
  void add(Tree tree) {
    if (levels_.empty()) {
      root_ = std::move(tree);
      return;
    }
    Level& level = levels_.back();
    if (level.tree.kind == Tree::Kind::List) {
      level.tree.items.push_back(std::move(tree));
      return;
    }
    tree.line = level.key_line;
    level.tree.entries.emplace_back(std::move(level.key), std::move(tree));
    level.has_key = false;
  }

  std::string file_;
  int documents_;
  size_t values_ = 0;
  std::vector<Level> levels_;
  Tree root_;
};

/// Reads a text in place, without the copy that std::istringstream makes.
class ViewBuffer : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // a get area is never written to
    setg(begin, begin, begin + text.size());
  }
};

// ---- Writing YAML.

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Words that YAML 1.1 or 1.2 readers take for something other than text.
bool is_reserved_word(std::string_view text) {
  constexpr std::array<std::string_view, 9> kWords = {"null", "true", "false", "yes", "no",
                                                      "on",   "off",  "y",     "n"};
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
}

/// Text that can stand without quotes wherever a scalar can, in every reader. Cautious: quotes do
/// no harm.
bool is_plain(std::string_view text) {
  if (text.empty() || text.back() == ' ' || is_reserved_word(text)) return false;
  const bool starts_well = is_letter(text[0]) || text[0] == '_' || text[0] == '/' ||
                           text.starts_with("./") || text.starts_with("../");
  return starts_well && std::all_of(text.begin(), text.end(), [](char c) {
           return is_letter(c) || is_digit(c) ||
                  std::string_view("_-./+ ()=^%").find(c) != std::string_view::npos;
         });
}

/// Double-quoted. Everything that is not printable is escaped.
std::string quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const auto [length, point] = decode(text);
    if (length == 0)
      fail("YAML", fmt::format("the text {} is not UTF-8 and cannot be written.",
                               nlohmann::json(text).dump(
                                   -1, ' ', true, nlohmann::json::error_handler_t::replace)));
    if (point == '"' || point == '\\') {
      out += {'\\', static_cast<char>(point)};
    } else if (point == '\n') {
      out += "\\n";
    } else if (point == '\t') {
      out += "\\t";
    } else if (point < 0x20 || (point >= 0x7F && point < 0xA0)) {
      out += fmt::format("\\x{:02x}", point);
    } else if (point == 0x2028 || point == 0x2029 || point == 0xFEFF ||
               (point & 0xFFFE) == 0xFFFE) {
      out += point > 0xFFFF ? fmt::format("\\U{:08x}", point) : fmt::format("\\u{:04x}", point);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out + "\"";
}

std::string yaml_scalar(const Tree& tree) {
  if (tree.kind == Tree::Kind::Null) return "null";
  return is_typed(tree) || is_plain(tree.scalar) ? tree.scalar : quote(tree.scalar);
}

bool is_leaf(const Tree& tree) {
  return tree.kind == Tree::Kind::Null || tree.kind == Tree::Kind::Scalar;
}

/// Written on one line: leaves, lists of leaves, empty maps.
bool is_inline(const Tree& tree) {
  if (tree.kind == Tree::Kind::Map) return tree.entries.empty();
  return std::all_of(tree.items.begin(), tree.items.end(), is_leaf);
}

std::string yaml_inline(const Tree& tree) {
  if (is_leaf(tree)) return yaml_scalar(tree);
  if (tree.kind == Tree::Kind::Map) return "{}";
  std::string out = "[";
  for (const Tree& item : tree.items) out += (out.size() > 1 ? ", " : "") + yaml_scalar(item);
  return out + "]";
}

/// "key:", or "? key" and ":" on two lines: YAML allows "key:" up to 1024 characters.
std::string yaml_key(const std::string& key, const std::string& indent) {
  constexpr size_t kLong = 1000;
  const std::string text =
      is_plain(key) || (!key.empty() && std::all_of(key.begin(), key.end(), is_digit)) ? key
                                                                                       : quote(key);
  return text.size() <= kLong ? text + ":" : "? " + text + "\n" + indent + ":";
}

/// Appends a block; the first line continues the line that `out` ends with.
void yaml_block(const Tree& tree, const std::string& indent, std::string& out) {
  if (is_inline(tree)) {
    out += yaml_inline(tree) + "\n";
    return;
  }
  bool first = true;
  const auto begin_line = [&] { out += std::exchange(first, false) ? "" : indent; };
  for (const Tree& item : tree.items) {
    begin_line();
    out += "- ";
    yaml_block(item, indent + "  ", out);
  }
  for (const auto& [key, value] : tree.entries) {
    begin_line();
    out += yaml_key(key, indent);
    if (is_inline(value)) {
      out.append(" ").append(yaml_inline(value)).append("\n");
    } else {
      const std::string deeper = indent + "  ";
      out.append("\n").append(deeper);
      yaml_block(value, deeper, out);
    }
  }
}

// ---- Writing JSON.

std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// A YAML decimal by JSON's rules: no plus, no leading zeros, digits on both sides of the point.
std::string json_number(const Decimal& number) {
  std::string_view whole = number.whole;
  while (whole.size() > 1 && whole[0] == '0') whole.remove_prefix(1);
  std::string out = number.negative ? "-" : "";
  out += whole.empty() ? "0" : whole;
  if (!number.fraction.empty()) out.append(".").append(number.fraction);
  if (!number.exponent.empty()) out.append("e").append(number.exponent);
  return out;
}

std::string json_scalar(const Tree& tree) {
  Decimal number;
  if (tree.kind == Tree::Kind::Null) return "null";
  if (tree.quoted) return json_text(tree.scalar);
  if (split_decimal(tree.scalar, number)) return json_number(number);
  if (reads_as_not_finite(tree.scalar)) return "null";
  if (reads_as_bool(tree.scalar)) return tree.as_bool() ? "true" : "false";
  return json_text(tree.scalar);
}

/// Appends a value; `indent` < 0 for one line.
void json_value(const Tree& tree, int indent, int depth, std::string& out) {
  if (is_leaf(tree)) {
    out += json_scalar(tree);
    return;
  }
  const bool map = tree.kind == Tree::Kind::Map;
  const size_t count = map ? tree.entries.size() : tree.items.size();
  const bool broken = indent >= 0 && count > 0 && !is_inline(tree);
  const auto new_line = [&](int level) {
    if (broken)
      out.append("\n").append(static_cast<size_t>(indent) * static_cast<size_t>(level), ' ');
  };
  out += map ? "{" : "[";
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out += broken ? "," : ", ";
    new_line(depth + 1);
    if (map) out += json_text(tree.entries[i].first) + ": ";
    json_value(map ? tree.entries[i].second : tree.items[i], indent, depth + 1, out);
  }
  new_line(depth);
  out += map ? "}" : "]";
}

}  // namespace

Tree parse_yaml(std::string_view text, std::string file) {
  check_text(text, file);
  ViewBuffer buffer(text);
  std::istream stream(&buffer);
  Builder builder(file, 1);
  try {
    YAML::Parser parser(stream);
    Tree tree;
    tree.file = file;
    if (!parser.HandleNextDocument(builder)) return tree;
    parser.HandleNextDocument(builder);  // refused when there is one
    return builder.take();
  } catch (const YAML::Exception& error) {
    fail(place_text(file, error.mark.line + 1), fmt::format("not valid YAML: {}.", error.msg));
  }
}

Tree read_yaml(const std::string& path) { return parse_yaml(read_file(path, kMostBytes), path); }

std::string print_yaml(const Tree& tree) {
  std::string out;
  yaml_block(tree, "", out);
  return out;
}

std::string print_json(const Tree& tree, int indent) {
  std::string out;
  json_value(tree, indent, 0, out);
  return out;
}

}  // namespace instantnet
