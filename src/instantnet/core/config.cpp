#include "instantnet/core/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "instantnet/core/error.h"
#include "instantnet/core/units.h"

namespace instantnet {

namespace {

// ---- Ranges in words.

bool bounded_below(const Range& range) { return std::isfinite(range.least); }
bool bounded_above(const Range& range) { return std::isfinite(range.most); }

/// ">= 1", "<= 8", "from 0 to 1" or nothing.
std::string bounds_text(const Range& range) {
  if (bounded_below(range) && bounded_above(range))
    return fmt::format("from {} to {}", range.least, range.most);
  if (bounded_below(range)) return fmt::format(">= {}", range.least);
  if (bounded_above(range)) return fmt::format("<= {}", range.most);
  return {};
}

/// ">= 1 epochs", for help.
std::string range_text(const Range& range) {
  const std::string bounds = bounds_text(range);
  return bounds + (bounds.empty() || range.unit.empty() ? "" : " ") + range.unit;
}

/// "an integer >= 1 (images)", for messages.
std::string wanted_text(std::string_view kind, const Range& range) {
  std::string text(kind);
  const std::string bounds = bounds_text(range);
  if (!bounds.empty()) text += " " + bounds;
  if (!range.unit.empty()) text += " (" + range.unit + ")";
  return text;
}

// ---- One value. Each reader throws Error "is ...; give ...".

[[noreturn]] void refuse(const Tree& tree, const std::string& wanted) {
  throw Error(fmt::format("is {}; give {}.", tree.given(), wanted));
}

/// f(), with the Error of a Tree's typed access put in the words of a field.
template <class F>
auto or_refuse(const Tree& tree, const std::string& wanted, const F& f) {
  try {
    return f();
  } catch (const Error&) {
    refuse(tree, wanted);
  }
}

/// A number of type T and how to read one.
template <class T>
struct Reader;

template <>
struct Reader<double> {
  static constexpr const char* kKind = "number";
  static double read(const Tree& tree, const Range& range) {
    const std::string wanted = wanted_text("a number", range);
    const double value = or_refuse(tree, wanted, [&] { return tree.as_double(); });
    if (value < range.least || value > range.most) refuse(tree, wanted);
    return value;
  }
};

template <>
struct Reader<int64_t> {
  static constexpr const char* kKind = "integer";
  static int64_t read(const Tree& tree, const Range& range) {
    const std::string wanted = wanted_text("an integer", range);
    const int64_t value = or_refuse(tree, wanted, [&] { return tree.as_int(); });
    const auto number = static_cast<double>(value);
    if (number < range.least || number > range.most) refuse(tree, wanted);
    return value;
  }
};

template <>
struct Reader<int> {
  static constexpr const char* kKind = "integer";
  static int read(const Tree& tree, const Range& range) {
    const int64_t value = Reader<int64_t>::read(tree, range);
    constexpr double kLeast = std::numeric_limits<int>::min();
    constexpr double kMost = std::numeric_limits<int>::max();
    const auto number = static_cast<double>(value);
    if (number < kLeast || number > kMost)
      refuse(tree, wanted_text("an integer", {std::max(range.least, kLeast),
                                              std::min(range.most, kMost), range.unit}));
    return static_cast<int>(value);
  }
};

template <>
struct Reader<uint64_t> {
  static constexpr const char* kKind = "integer";
  static uint64_t read(const Tree& tree, Range range) {
    range.least = std::max(range.least, 0.0);
    const std::string wanted = wanted_text("an integer", range);
    const uint64_t value = or_refuse(tree, wanted, [&] { return tree.as_uint(); });
    const auto number = static_cast<double>(value);
    if (number < range.least || number > range.most) refuse(tree, wanted);
    return value;
  }
};

std::string read_text(const Tree& tree) {
  return or_refuse(tree, "a text", [&] { return tree.as_string(); });
}

/// The items of a list, or a scalar as the only item.
template <class T, class F>
std::vector<T> read_list(const Tree& tree, const std::string& wanted, const F& read_one) {
  if (tree.kind == Tree::Kind::Scalar) return {read_one(tree)};
  if (tree.kind != Tree::Kind::List) refuse(tree, wanted);
  std::vector<T> values;
  for (const Tree& item : tree.items) {
    try {
      values.push_back(read_one(item));
    } catch (const Error& error) {
      throw Error(fmt::format("has an item {} that {}", values.size() + 1, error.what()));
    }
  }
  return values;
}

template <class T>
Tree write_list(const std::vector<T>& values) {
  std::vector<Tree> items;
  for (const T& value : values) items.push_back(Tree::of(value));
  return Tree::list(std::move(items));
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  return fmt::format("{}", fmt::join(words, between));
}

size_t read_choice(const Tree& tree, const std::vector<std::string>& names) {
  const std::string wanted = "one of " + joined(names, ", ");
  const std::string text = or_refuse(tree, wanted, [&] { return tree.as_string(); });
  const auto found = std::find(names.begin(), names.end(), text);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  const std::string near = nearest(text, names);
  if (near.empty()) refuse(tree, wanted);
  throw Error(fmt::format("is {}, did you mean '{}'? Known are {}.", tree.given(), near,
                          joined(names, ", ")));
}

// ---- Fields of the kinds that share code.

template <class T>
Fields::Field number_field(std::string name, T& value, std::string help, const Range& range) {
  return {std::move(name),
          std::move(help),
          Reader<T>::kKind,
          range_text(range),
          [&value, range](const Tree& tree) { value = Reader<T>::read(tree, range); },
          [&value] { return Tree::of(value); },
          nullptr};
}

template <class T>
Fields::Field list_field(std::string name, std::vector<T>& value, std::string help,
                         const Range& range) {
  const std::string kind = fmt::format("list of {}s", Reader<T>::kKind);
  const auto read_one = [range](const Tree& tree) { return Reader<T>::read(tree, range); };
  return {std::move(name),
          std::move(help),
          kind,
          range_text(range),
          [&value, range, kind, read_one](const Tree& tree) {
            value = read_list<T>(tree, wanted_text("a " + kind, range), read_one);
          },
          [&value] { return write_list(value); },
          nullptr};
}

/// Appends a field; two of one name are our mistake.
void append(std::vector<Fields::Field>& fields, Fields::Field field) {
  for (const Fields::Field& other : fields)
    if (other.name == field.name) bug("two fields are called '" + field.name + "'.");
  fields.push_back(std::move(field));
}

// ---- Walking.

std::vector<std::string> names_in(const Fields& fields) {
  std::vector<std::string> names;
  for (const Fields::Field& field : fields.all()) names.push_back(field.name);
  return names;
}

const Fields::Field* find(const Fields& fields, std::string_view name) {
  for (const Fields::Field& field : fields.all())
    if (field.name == name) return &field;
  return nullptr;
}

std::string path_of(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : parent + "." + name;
}

[[noreturn]] void fail_unknown(const std::string& where, std::string_view key,
                               const std::string& parent, const Fields& fields) {
  const std::string in = parent.empty() ? "" : fmt::format(" in '{}'", parent);
  fail(where, fmt::format("unknown key '{}'{}{}", key, in, suggestion(key, names_in(fields))));
}

void read_group(const Fields& fields, const Tree& map, const std::string& path);

void read_field(const Fields::Field& field, const Tree& value, const std::string& path) {
  if (field.group) return read_group(*field.group, value, path);
  try {
    field.read(value);
  } catch (const Error& error) {
    fail(value.where(), path + " " + error.what());
  }
}

void read_group(const Fields& fields, const Tree& map, const std::string& path) {
  if (map.kind == Tree::Kind::Null) return;
  if (map.kind != Tree::Kind::Map)
    fail(map.where(),
         fmt::format("{} is {}; give a map with the keys {}.", path.empty() ? "the file" : path,
                     map.given(), joined(names_in(fields), ", ")));
  for (const auto& [key, value] : map.entries) {
    const Fields::Field* field = find(fields, key);
    if (field == nullptr) fail_unknown(value.where(), key, path, fields);
    read_field(*field, value, path_of(path, key));
  }
}

// ---- Assignments.

void set_place(Tree& tree, const std::string& place) {
  tree.file = place;
  tree.line = 0;
  for (Tree& item : tree.items) set_place(item, place);
  for (auto& [key, value] : tree.entries) set_place(value, place);
}

/// The value of an assignment as the field wants it.
Tree assigned_value(const Fields::Field& field, const std::string& text, const std::string& where) {
  const bool quoted = text.starts_with('"') || text.starts_with('\'');
  Tree value;
  if (field.kind == "text" && !quoted) {
    value = Tree::of(text);
  } else {
    try {
      value = parse_yaml(text);
      const bool list = field.kind.starts_with("list") && value.kind == Tree::Kind::Scalar;
      if (list && !value.quoted && text.find(',') != std::string::npos)
        value = parse_yaml("[" + text + "]");
    } catch (const Error& error) {
      fail(where, fmt::format("the value '{}' cannot be read ({})", text, error.what()));
    }
  }
  set_place(value, where);
  return value;
}

struct Found {
  const Fields::Field* field;
  std::string rest;  // of the path, behind a field that is open
};

/// The field at a path such as loss.kind.
Found field_at(const Fields& fields, const std::string& path, const std::string& where) {
  const Fields* group = &fields;
  std::string parent;
  for (size_t from = 0;;) {
    const size_t dot = path.find('.', from);
    const std::string name = path.substr(from, dot - from);
    const Fields::Field* field = find(*group, name);
    if (field == nullptr) fail_unknown(where, name, parent, *group);
    if (dot == std::string::npos) return {field, {}};
    if (field->open) return {field, path.substr(dot + 1)};
    parent = path_of(parent, name);
    if (!field->group)
      fail(where, fmt::format("'{}' is one value and has no keys below it.", parent));
    group = field->group.get();
    from = dot + 1;
  }
}

/// `map` with the entry at a path such as data.path replaced or added.
Tree with_entry(Tree map, const std::string& path, Tree value) {
  if (map.kind != Tree::Kind::Map) map = Tree::map();
  const size_t dot = path.find('.');
  const std::string name = path.substr(0, dot);
  if (dot != std::string::npos) {
    const Tree* below = map.find(name);
    value =
        with_entry(below == nullptr ? Tree::map() : *below, path.substr(dot + 1), std::move(value));
  }
  return map.set(name, std::move(value));
}

// ---- Help.

constexpr size_t kHelpColumns = 80;
constexpr size_t kKeyIndent = 2, kSentenceIndent = 6;

void explain_all(const Fields& fields, const std::string& prefix, std::string& text);

void explain_field(const Fields::Field& field, const std::string& prefix, std::string& text) {
  const std::string indent(kKeyIndent, ' '), key = prefix + field.name;
  if (field.group) {
    text += fmt::format("\n{}\n", wrap_text(key + ": " + field.help, kHelpColumns, kKeyIndent));
    return explain_all(*field.group, key + ".", text);
  }
  const std::string range = field.range.empty() ? "" : " " + field.range;
  text += fmt::format("{}{} = {}", indent, key, print_yaml(field.write()));
  text += wrap_text(fmt::format("{} ({}{})", field.help, field.kind, range), kHelpColumns,
                    kSentenceIndent) +
          "\n";
}

/// A blank line stands before each group and after it.
void explain_all(const Fields& fields, const std::string& prefix, std::string& text) {
  bool after_group = false;
  for (const Fields::Field& field : fields.all()) {
    if (after_group && !field.group) text += "\n";
    explain_field(field, prefix, text);
    after_group = field.group != nullptr;
  }
}

}  // namespace

Fields& Fields::add(std::string name, bool& value, std::string help) {
  append(fields_, {std::move(name),
                   std::move(help),
                   "true|false",
                   {},
                   [&value](const Tree& tree) {
                     value = or_refuse(tree, "true or false", [&] { return tree.as_bool(); });
                   },
                   [&value] { return Tree::of(value); },
                   nullptr});
  return *this;
}

Fields& Fields::add(std::string name, int& value, std::string help, Range range) {
  append(fields_, number_field(std::move(name), value, std::move(help), range));
  return *this;
}

Fields& Fields::add(std::string name, int64_t& value, std::string help, Range range) {
  append(fields_, number_field(std::move(name), value, std::move(help), range));
  return *this;
}

Fields& Fields::add(std::string name, uint64_t& value, std::string help, Range range) {
  append(fields_, number_field(std::move(name), value, std::move(help), range));
  return *this;
}

Fields& Fields::add(std::string name, double& value, std::string help, Range range) {
  append(fields_, number_field(std::move(name), value, std::move(help), range));
  return *this;
}

Fields& Fields::add(std::string name, std::string& value, std::string help) {
  append(fields_, {std::move(name),
                   std::move(help),
                   "text",
                   {},
                   [&value](const Tree& tree) { value = read_text(tree); },
                   [&value] { return Tree::of(value); },
                   nullptr});
  return *this;
}

Fields& Fields::add(std::string name, std::vector<int>& value, std::string help, Range range) {
  append(fields_, list_field(std::move(name), value, std::move(help), range));
  return *this;
}

Fields& Fields::add(std::string name, std::vector<int64_t>& value, std::string help, Range range) {
  append(fields_, list_field(std::move(name), value, std::move(help), range));
  return *this;
}

Fields& Fields::add(std::string name, std::vector<double>& value, std::string help, Range range) {
  append(fields_, list_field(std::move(name), value, std::move(help), range));
  return *this;
}

Fields& Fields::add(std::string name, std::vector<std::string>& value, std::string help) {
  append(fields_, {std::move(name),
                   std::move(help),
                   "list of texts",
                   {},
                   [&value](const Tree& tree) {
                     value = read_list<std::string>(tree, "a list of texts", read_text);
                   },
                   [&value] { return write_list(value); },
                   nullptr});
  return *this;
}

Fields& Fields::add_all(const Fields& other) {
  fields_.insert(fields_.end(), other.fields_.begin(), other.fields_.end());
  return *this;
}

Fields& Fields::add_group(std::string name, Fields group, std::string help) {
  append(fields_, {std::move(name),
                   std::move(help),
                   "group",
                   {},
                   nullptr,
                   nullptr,
                   std::make_shared<Fields>(std::move(group))});
  return *this;
}

Fields& Fields::add_keys(std::string name, Tree& map, std::string help, std::string of) {
  const std::string wanted = fmt::format("a map with {}", of);
  append(fields_, {std::move(name),
                   std::move(help),
                   std::move(of),
                   {},
                   [&map, wanted](const Tree& tree) {
                     if (tree.kind == Tree::Kind::Null) return;
                     if (tree.kind != Tree::Kind::Map) refuse(tree, wanted);
                     map = tree;
                   },
                   [&map] { return map; },
                   nullptr,
                   /*open=*/true});
  return *this;
}

Fields& Fields::add_choice(std::string name, std::vector<std::string> names, std::string help,
                           std::function<void(size_t)> choose, std::function<size_t()> chosen) {
  append(fields_, {std::move(name),
                   std::move(help),
                   joined(names, "|"),
                   {},
                   [names, choose](const Tree& tree) { choose(read_choice(tree, names)); },
                   [names, chosen] {
                     const size_t i = chosen();
                     if (i >= names.size()) bug("an enum has a value without a name.");
                     return Tree::of(names[i]);
                   },
                   nullptr});
  return *this;
}

void read_fields(const Fields& fields, const Tree& map) { read_group(fields, map, {}); }

void set_field(const Fields& fields, std::string_view assignment) {
  const std::string where = fmt::format("--set {}", assignment);
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0)
    fail(where, "has no 'key=' in front of the value; give --set key=value.");
  const std::string path(assignment.substr(0, equals));
  const auto [field, rest] = field_at(fields, path, where);
  Tree value = assigned_value(*field, std::string(assignment.substr(equals + 1)), where);
  if (!rest.empty()) value = with_entry(field->write(), rest, std::move(value));
  read_field(*field, value, path);
}

Tree to_tree(const Fields& fields) {
  Tree map = Tree::map();
  for (const Fields::Field& field : fields.all())
    map.set(field.name, field.group ? to_tree(*field.group) : field.write());
  return map;
}

std::string explain(const Fields& fields, const std::string& prefix) {
  std::string text;
  explain_all(fields, prefix, text);
  return text;
}

}  // namespace instantnet
