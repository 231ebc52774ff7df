// Zsh's completion: one function a verb, whose options are specifications of _arguments.
#include <fmt/format.h>

#include <algorithm>

#include "instantnet/cli/completion_text.h"

namespace instantnet::cli {
namespace {

/// The text with a backslash before each of `special`, as it stands between single quotes.
std::string escaped(const std::string& text, const std::string& special) {
  std::string out;
  for (const char c : text) {
    if (special.find(c) != std::string::npos) out += '\\';
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return out;
}

std::string function_of(const Command& command) {
  std::string name = "_instantnet";
  for (const std::string& word : command.path) name += "_" + word;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

/// ":value:action" with all that can stand there.
std::string action_of(const Argument& argument) {
  const Values& values = argument.values;
  const bool positional = !argument.names.front().starts_with('-');
  const std::string message = escaped(positional ? argument.names.front() : argument.value, ":\\");
  if (values.choices.empty() && values.files.empty() && !values.folders)
    return fmt::format(":{}:", message);
  const std::string files = fmt::format("{}", fmt::join(values.files, " "));
  const std::string action =
      fmt::format("_instantnet_values \"{}\" -- {}", values.folders ? "/" : files,
                  fmt::join(values.choices, " "));
  return fmt::format(":{}:{}", message, escaped(action, ":\\"));
}

/// '(-o --out)'{-o+,--out=}'[sentence]:value:action': an option and what it excludes, itself too.
std::string option_line(const Argument& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.names)
    names.push_back(name + (option.value.empty() ? "" : name.starts_with("--") ? "=" : "+"));
  const std::string all =
      names.size() == 1 ? names.front() : fmt::format("'{{{}}}'", fmt::join(names, ","));
  const bool ends = option.names.back() == "--help" || option.names.back() == "--version";
  const std::string excluded = ends ? "- *" : fmt::format("{}", fmt::join(option.names, " "));
  return fmt::format("    '{}{}[{}]{}'", option.repeats ? "*" : "(" + excluded + ")", all,
                     escaped(option.sentence, "[]:\\"),
                     option.value.empty() ? "" : action_of(option));
}

std::string positional_line(const Argument& one) {
  return fmt::format("    '{}{}'", one.repeats ? "*" : one.required ? "" : ":", action_of(one));
}

std::string arguments_of(const Command& command) {
  std::string text = "  _arguments -s -S";
  for (const Argument& option : command.options) text += " \\\n" + option_line(option);
  for (const Argument& one : command.positionals) text += " \\\n" + positional_line(one);
  return text;
}

/// A command whose first word is a verb.
std::string dispatcher(const Command& command) {
  std::string text = fmt::format(
      "{}() {{\n  local curcontext=$curcontext state line ret=1\n"
      "  local -a verbs\n  typeset -A opt_args\n",
      function_of(command));
  std::string call = arguments_of(command);
  call.replace(call.find(" -s -S"), 6, " -C");
  text += call + " \\\n    '1: :->verb' '*:: :->rest' && ret=0\n  case $state in\n    verb)\n";
  text += "      verbs=(\n";
  for (const Command& verb : command.verbs)
    text += fmt::format("        '{}:{}'\n", verb.path.back(), escaped(verb.sentence, "\\"));
  text +=
      "      )\n      _describe -t commands verb verbs && ret=0\n      ;;\n    rest)\n"
      "      case $words[1] in\n";
  for (const Command& verb : command.verbs)
    text += fmt::format("        {}) {} && ret=0 ;;\n", verb.path.back(), function_of(verb));
  return text + "      esac\n      ;;\n  esac\n  return ret\n}\n\n";
}

constexpr const char* kHead = R"zsh(#compdef instantnet
# zsh completion of instantnet, written by 'instantnet completion zsh'.

# Completes by words, the arguments behind a --, and by files that match the patterns before it ("/": folders). What stands
# before the patterns comes from _arguments and is for compadd.
_instantnet_values() {
  local at=${argv[(I)--]} ret=1
  local files=${argv[at-1]}
  local -a for_compadd=("${(@)argv[1,at-2]}") choices=("${(@)argv[at+1,-1]}")
  ((at + 1 <= $#argv)) && compadd "${(@)for_compadd}" -a choices && ret=0
  case $files in
    '') ;;
    /) _files "${(@)for_compadd}" -/ && ret=0 ;;
    '*') _files "${(@)for_compadd}" && ret=0 ;;
    *) _files "${(@)for_compadd}" -g "$files" && ret=0 ;;
  esac
  return ret
}

)zsh";

}  // namespace

std::string zsh_completion(const Command& program) {
  std::string text = kHead;
  for (const Command* verb : all_verbs(program))
    text += verb->verbs.empty()
                ? fmt::format("{}() {{\n{}\n}}\n\n", function_of(*verb), arguments_of(*verb))
                : dispatcher(*verb);
  return text + dispatcher(program) +
         "if [[ $funcstack[1] == _instantnet ]]; then\n  _instantnet \"$@\"\nelse\n"
         "  compdef _instantnet instantnet\nfi\n";
}

}  // namespace instantnet::cli
