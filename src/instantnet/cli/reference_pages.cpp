// docs/reference as Markdown.
#include <fmt/format.h>

#include "instantnet/cli/completion_text.h"

namespace instantnet::cli {
namespace {

constexpr const char* kMadeBy =
    "<!-- Written by `make reference`; a test holds it to what the program prints. -->\n\n";

/// In a cell of a table.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*') out += '\\';
    out += c;
  }
  return out;
}

std::string name_cell(const Argument& argument) {
  std::string text;
  for (const std::string& name : argument.names)
    text += fmt::format("{}`{}`", text.empty() ? "" : ", ", name);
  if (!argument.value.empty() && argument.names.front().starts_with('-'))
    text += fmt::format(" {}", argument.value);
  return text;
}

std::string table_of(const Command& verb) {
  std::string text = "| | |\n|---|---|\n";
  for (const auto* list : {&verb.positionals, &verb.options})
    for (const Argument& one : *list)
      text += fmt::format("| {} | {} |\n", name_cell(one), cell(one.sentence));
  return text;
}

std::string fenced(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return fmt::format("```\n{}\n```\n", text);
}

std::string section_of(const Command& verb, const char* level) {
  std::string text = fmt::format("{} {}\n\n{}.\n\n{}\n{}", level, full_name(verb), verb.sentence,
                                 fenced(usage(verb)), table_of(verb));
  if (!verb.notes.empty()) text += fmt::format("\n{}", fenced(verb.notes));
  for (const Command& below : verb.verbs) text += fmt::format("\n{}", section_of(below, "##"));
  return text;
}

std::string overview(const Command& program) {
  std::string text =
      std::string(kMadeBy) +
      "# Commands\n\nWhat `instantnet --help` and `instantnet VERB --help` print. In "
      "a shell, `instantnet completion bash` or\n`zsh` and the manual page "
      "instantnet(1) have the same.\n\n| verb | |\n|---|---|\n";
  for (const Command& verb : program.verbs)
    text += fmt::format("| [{0}]({0}.md) | {1} |\n", verb.path.back(), cell(verb.sentence));
  return text + "\nOptions of the program itself:\n\n" + table_of(program);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> reference_pages(const Command& program) {
  std::vector<std::pair<std::string, std::string>> pages = {{"commands.md", overview(program)}};
  for (const Command& verb : program.verbs)
    pages.emplace_back(verb.path.back() + ".md", kMadeBy + section_of(verb, "#"));
  return pages;
}

}  // namespace instantnet::cli
