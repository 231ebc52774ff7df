#include "instantnet/cli/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <system_error>

#include "instantnet/core/error.h"

namespace instantnet::cli {
namespace {

using Names = std::vector<std::string>;

/// Those that --help lists.
Names verbs_of(const CLI::App& app) {
  Names names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!verb->get_group().empty()) names.push_back(verb->get_name());
  return names;
}

const CLI::App* find_verb(const CLI::App& app, const std::string& name) {
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    if (verb->get_name() == name) return verb;
  return nullptr;
}

/// "data check" of the verb check; empty of the program.
std::string path_of(const CLI::App& app) {
  if (app.get_parent() == nullptr) return {};
  const std::string before = path_of(*app.get_parent());
  return before.empty() ? app.get_name() : before + " " + app.get_name();
}

std::string with_space(const std::string& path) { return path.empty() ? path : path + " "; }

/// Where to read about a verb.
std::string help_of(const CLI::App& app) {
  return fmt::format("'instantnet {}--help'", with_space(path_of(app)));
}

const CLI::App& deepest_verb(const CLI::App& app) {
  const CLI::App* deepest = &app;
  while (!deepest->get_subcommands().empty()) deepest = deepest->get_subcommands().front();
  return *deepest;
}

Names long_options(const CLI::App& app) {
  Names names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

/// What is wrong with a word that nobody takes.
std::string unexpected(const CLI::App& verb, const std::string& word) {
  if (!word.starts_with('-') || word == "-")
    return fmt::format("'{}' is a word too many; see {}.", word, help_of(verb));
  const std::string name = word.substr(0, word.find('='));
  return fmt::format("unknown option '{}'{}", name, suggestion(name, long_options(verb)));
}

/// CLI11's refusal, told of `verb`.
std::string told(const CLI::App& verb, const CLI::ParseError& error) {
  const std::string text = error.what();
  const Names left = verb.remaining();
  const bool verb_missing = verb.get_parent() == nullptr;  // only options, one of them unknown
  if (!left.empty() && (verb_missing || dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr))
    return unexpected(verb, left.front());
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr)
    return fmt::format("{} takes one value; see {}.", text.substr(0, text.find(':')),
                       help_of(verb));
  return fmt::format("{}; see {}.", text, help_of(verb));
}

}  // namespace

CLI::Validator whole_number(int64_t least, int64_t most) {
  const std::string wanted = most == std::numeric_limits<int64_t>::max()
                                 ? fmt::format("a whole number, {} or more", least)
                                 : fmt::format("a whole number from {} to {}", least, most);
  return CLI::Validator(
      [=](std::string& text) {
        int64_t value = 0;
        const char* const end = text.data() + text.size();
        const auto [after, error] = std::from_chars(text.data(), end, value);
        const bool fits = error == std::errc() && after == end && value >= least && value <= most;
        return fits ? std::string() : fmt::format("'{}' is not {}", text, wanted);
      },
      std::string());
}

void check_verbs(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* at = &app;
  for (const std::string& word : words) {
    const Names known = verbs_of(*at);
    if (known.empty() || word.starts_with('-')) return;
    const CLI::App* verb = find_verb(*at, word);
    if (verb == nullptr)
      fail(path_of(*at), fmt::format("unknown verb '{}'{}", word, suggestion(word, known)));
    at = verb;
  }
  if (const Names known = verbs_of(*at); !known.empty())
    fail(path_of(*at), fmt::format("no verb is given; known are {} (see {}).",
                                   fmt::join(known, ", "), help_of(*at)));
}

std::string sentence_of(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& verb = deepest_verb(app);
  const std::string path = path_of(verb);
  return (path.empty() ? path : path + ": ") + told(verb, error);
}

}  // namespace instantnet::cli
