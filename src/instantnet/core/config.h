// Options structs to and from YAML, `--set key=value` and help text: each default and each sentence
// stands once, in the struct's own `fields` function.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "instantnet/core/tree.h"

namespace instantnet {

/// What a number may be; both ends included.
struct Range {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  std::string unit = {};  // printed in help: "epochs", "images"
};

/// The names of an enum's values, found by argument-dependent lookup:
/// `const EnumNames<Loss>& names_of(Loss);`
template <class E>
using EnumNames = std::vector<std::pair<E, std::string>>;

/// The members of one options struct, by name. Holds references to the struct it was made from: use
/// it while that lives. Made by a free function `Fields fields(SomeOptions&)` next to the struct.
class Fields {
 public:
  struct Field {
    std::string name;
    std::string help;  // one sentence, with the paper where there is one
    // "integer", "number", "true|false", "text", "list of integers", "cdt|sp|joint", "group"
    std::string kind;
    std::string range;  // ">= 1 epochs", empty for none
    // Error "is 0; give an integer >= 1 (images)." when the value is not one; place and key are put
    // before it.
    std::function<void(const Tree&)> read;
    std::function<Tree()> write;
    std::shared_ptr<Fields> group;  // a nested struct instead of read and write
    bool open = false;              // a map whose keys are another struct's: kept as it is
  };

  Fields& add(std::string name, bool& value, std::string help);
  Fields& add(std::string name, int& value, std::string help, Range range = {});
  Fields& add(std::string name, int64_t& value, std::string help, Range range = {});
  Fields& add(std::string name, uint64_t& value, std::string help, Range range = {});
  Fields& add(std::string name, double& value, std::string help, Range range = {});
  Fields& add(std::string name, std::string& value, std::string help);
  Fields& add(std::string name, std::vector<int>& value, std::string help, Range range = {});
  Fields& add(std::string name, std::vector<int64_t>& value, std::string help, Range range = {});
  Fields& add(std::string name, std::vector<double>& value, std::string help, Range range = {});
  Fields& add(std::string name, std::vector<std::string>& value, std::string help);
  template <class E>
  requires std::is_enum_v<E> Fields& add(std::string name, E& value, std::string help) {
    std::vector<std::string> names;
    for (const auto& [one, text] : names_of(E{})) names.push_back(text);
    return add_choice(
        std::move(name), names, std::move(help),
        [&value](size_t i) { value = names_of(E{})[i].first; },
        [&value]() -> size_t {
          const EnumNames<E>& all_names = names_of(E{});
          size_t i = 0;
          while (i < all_names.size() && all_names[i].first != value) ++i;
          return i;
        });
  }
  Fields& add_group(std::string name, Fields group, std::string help);

  /// A map that somebody else reads: any keys, kept with the places they came from. `of` says whose
  /// they are, for help ("keys of train.yaml"). `--set name.a.b=1` adds to it.
  Fields& add_keys(std::string name, Tree& map, std::string help, std::string of);

  /// The fields of `other` behind these.
  Fields& add_all(const Fields& other);

  const std::vector<Field>& all() const { return fields_; }

 private:
  Fields& add_choice(std::string name, std::vector<std::string> names, std::string help,
                     std::function<void(size_t)> choose, std::function<size_t()> chosen);

  std::vector<Field> fields_;
};

/// Fills the struct from a map. Keys that are absent keep their value, and so does an empty group;
/// a list may be given as its only item. Error (file, line, what was given, what would be right)
/// for an unknown key with the nearest known one, a wrong type, or a value out of range.
void read_fields(const Fields& fields, const Tree& map);

/// `--set loss.kind=cdt`: the value is YAML, so lists are written [4, 8] or 4,8; a text needs no
/// quotes. Error as read_fields, naming the assignment.
void set_field(const Fields& fields, std::string_view assignment);

/// The whole struct, every key, in declaration order: read_fields(f, to_tree(f)) changes nothing.
Tree to_tree(const Fields& fields);

/// Help: for each key a line "key = value", and below it its sentence, kind and range; wrapped to
/// 80 columns. `prefix` is put before each key.
std::string explain(const Fields& fields, const std::string& prefix = {});

}  // namespace instantnet
