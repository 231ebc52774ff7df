#include "instantnet/cli/help.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/core/units.h"

namespace instantnet::cli {
namespace {

constexpr size_t kColumns = 80, kNameColumns = 26;

/// A name at the left, its sentence at the right, or below where the name is too long for that.
std::string entry(const std::string& name, const std::string& sentence) {
  const std::string left = "  " + name;
  const std::string right = wrap_text(sentence, kColumns, kNameColumns);
  if (left.size() + 2 > kNameColumns) return left + "\n" + right + "\n";
  return left + right.substr(left.size()) + "\n";
}

class Formatter : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    return entry(name_of(option, is_positional), option_sentence(*option));
  }

  std::string make_description(const CLI::App* app) const override {
    return wrap_text(app->get_description(), kColumns) + "\n";
  }

  std::string make_subcommand(const CLI::App* verb) const override {
    return entry(verb->get_name(), verb->get_description());
  }

 private:
  /// "-o,--out TEXT"
  static std::string name_of(const CLI::Option* option, bool is_positional) {
    std::string name = option->get_name(is_positional, !is_positional);
    const std::string type = option->get_type_name();
    const bool takes_value = option->get_type_size() != 0 && !is_positional;
    return takes_value ? name + " " + type.substr(0, type.find(':')) : name;
  }
};

}  // namespace

std::string option_sentence(const CLI::Option& option) {
  std::string sentence = option.get_description();
  if (option.get_required() && !option.get_positional()) sentence += " (required)";
  if (option.get_type_size() != 0 && !option.get_default_str().empty())
    sentence += fmt::format(" (default: {})", option.get_default_str());
  for (const CLI::Option* other : option.get_excludes())
    sentence += fmt::format(" (not with {})", other->get_name());
  return sentence;
}

void format_help(CLI::App& app) {
  const auto formatter = std::make_shared<Formatter>();
  formatter->label("SUBCOMMAND", "VERB");
  app.formatter(formatter);
  app.set_help_flag("-h,--help", "Print this and exit");
  for (CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!verb->get_group().empty()) verb->group("Verbs");
    format_help(*verb);
  }
}

}  // namespace instantnet::cli
