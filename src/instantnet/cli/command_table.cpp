#include "instantnet/cli/command_table.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "instantnet/cli/argument_values.h"
#include "instantnet/cli/help.h"

namespace instantnet::cli {
namespace {

Argument argument_of(const CLI::Option& option, const std::vector<std::string>& path) {
  Argument argument;
  if (option.get_positional()) argument.names = {option.get_name(true, false)};
  for (const std::string& name : option.get_snames()) argument.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) argument.names.push_back("--" + name);
  argument.sentence = option_sentence(option);
  const std::string type = option.get_type_name();
  if (option.get_type_size() != 0) argument.value = type.substr(0, type.find(':'));
  argument.required = option.get_required();
  argument.repeats = option.get_expected_max() > 1;
  if (!argument.value.empty())
    argument.values = values_of(path, argument.names.back(), option.get_description());
  return argument;
}

Command command_of(const CLI::App& app, const std::vector<std::string>& path) {
  Command command{path, app.get_description(), {}, {}, {}, app.get_footer()};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    auto& list = option->get_positional() ? command.positionals : command.options;
    list.push_back(argument_of(*option, path));
  }
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (verb->get_group().empty()) continue;
    std::vector<std::string> below = path;
    below.push_back(verb->get_name());
    command.verbs.push_back(command_of(*verb, below));
  }
  return command;
}

}  // namespace

Command command_table(const CLI::App& app) { return command_of(app, {}); }

std::string full_name(const Command& command) {
  return fmt::format("instantnet{}{}", command.path.empty() ? "" : " ",
                     fmt::join(command.path, " "));
}

std::string usage(const Command& command) {
  std::string text = full_name(command);
  if (!command.verbs.empty()) return text + " VERB ...";
  for (const Argument& one : command.positionals) {
    const std::string name = one.names.front() + (one.repeats ? "..." : "");
    text += " " + (one.required ? name : fmt::format("[{}]", name));
  }
  for (const Argument& one : command.options)
    if (one.required) text += fmt::format(" {} {}", one.names.front(), one.value);
  return text + " [options]";
}

std::vector<const Command*> all_verbs(const Command& command) {
  std::vector<const Command*> all;
  for (const Command& verb : command.verbs) {
    all.push_back(&verb);
    for (const Command* below : all_verbs(verb)) all.push_back(below);
  }
  return all;
}

}  // namespace instantnet::cli
