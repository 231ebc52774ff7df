// Bash's completion: a few functions that look things up, and tables as case statements.
#include <fmt/format.h>

#include "instantnet/cli/completion_text.h"

namespace instantnet::cli {
namespace {

/// 'text' for the shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string path_text(const Command& command) {
  return fmt::format("{}", fmt::join(command.path, " "));
}

std::vector<const Command*> all_commands(const Command& program) {
  std::vector<const Command*> all = all_verbs(program);
  all.insert(all.begin(), &program);
  return all;
}

std::string verbs_case(const Command& program) {
  std::string text;
  for (const Command* command : all_commands(program)) {
    std::vector<std::string> names;
    for (const Command& verb : command->verbs) names.push_back(verb.path.back());
    if (!names.empty())
      text += fmt::format("    {}) verbs={} ;;\n", quoted(path_text(*command)),
                          quoted(fmt::format("{}", fmt::join(names, " "))));
  }
  return text;
}

std::string options_case(const Command& program) {
  std::string text;
  for (const Command* command : all_commands(program)) {
    std::vector<std::string> names;
    for (const Argument& option : command->options)
      names.insert(names.end(), option.names.begin(), option.names.end());
    text += fmt::format("    {}) options={} ;;\n", quoted(path_text(*command)),
                        quoted(fmt::format("{}", fmt::join(names, " "))));
  }
  return text;
}

std::string value_line(const std::string& keys, const Values& values) {
  std::string does;
  if (!values.choices.empty())
    does += fmt::format(" choices={}", quoted(fmt::format("{}", fmt::join(values.choices, " "))));
  if (!values.files.empty())
    does += fmt::format(" files={}", quoted(fmt::format("{}", fmt::join(values.files, " "))));
  if (values.folders) does += " folders=1";
  return fmt::format("    {}){} ;;\n", keys, does.empty() ? " :" : does);
}

/// Options by name, positionals by number: 'bundle 2'.
std::string values_case(const Command& program) {
  std::string text;
  for (const Command* command : all_commands(program)) {
    for (const Argument& option : command->options) {
      if (option.value.empty()) continue;
      std::vector<std::string> keys;
      for (const std::string& name : option.names)
        keys.push_back(quoted(path_text(*command) + " " + name));
      text += value_line(fmt::format("{}", fmt::join(keys, " | ")), option.values);
    }
    for (size_t i = 0; i < command->positionals.size(); ++i) {
      const Argument& one = command->positionals[i];
      const std::string key = quoted(fmt::format("{} {}", path_text(*command), i + 1));
      const bool any_number = one.repeats && i + 1 == command->positionals.size();
      text += value_line(
          any_number ? fmt::format("{} | {}[0-9]*", key, quoted(path_text(*command) + " ")) : key,
          one.values);
    }
  }
  return text;
}

constexpr const char* kHead =
    R"(# bash completion of instantnet, written by 'instantnet completion bash'.

# Sets verbs: those of verb $1.
_instantnet_verbs() {
  verbs=
  case $1 in
)";

constexpr const char* kOptions = R"(  esac
}

# Sets options: those of verb $1.
_instantnet_options() {
  options=
  case $1 in
)";

constexpr const char* kValues = R"(  esac
}

# Sets choices, files and folders: what can stand for option or positional $2 of verb $1. Fails when nothing can.
_instantnet_values() {
  choices= files= folders=
  case "$1 $2" in
)";

constexpr const char* kRest = R"(    *) return 1 ;;
  esac
}

# Completes $1 by the words $2.
_instantnet_complete_words() {
  local -a found
  mapfile -t found < <(compgen -W "$2" -- "$1")
  # Readline replaces what stands behind the last : or =.
  local before=${1%"${1##*[:=]}"}
  COMPREPLY+=("${found[@]#"$before"}")
}

# Completes $1 by folders and, with patterns $2, by files.
_instantnet_complete_files() {
  local path name pattern
  local -a patterns
  read -r -a patterns <<<"$2"
  while IFS= read -r path; do
    name=${path##*/}
    if [[ -d ${path/#\~/$HOME} ]]; then
      COMPREPLY+=("$path")
      continue
    fi
    for pattern in "${patterns[@]}"; do
      # shellcheck disable=SC2053  # a pattern
      [[ $name == $pattern ]] && COMPREPLY+=("$path") && break
    done
  done < <(compgen -f -- "$1")
  compopt -o filenames 2>/dev/null
}

_instantnet() {
  local verbs options choices files folders
  local word glue='' verb='' option='' only_words='' i
  local -a words=()
  COMPREPLY=()
  # Bash takes words apart at : and =.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if ((i > 1)) && [[ $word == [:=]* ]]; then
      words[${#words[@]} - 1]+=$word
      glue=1
    elif [[ $glue ]]; then
      words[${#words[@]} - 1]+=$word
      glue=
    else
      words+=("$word")
    fi
  done
  local current=${words[${#words[@]} - 1]} number=1
  for word in "${words[@]:1:${#words[@]}-2}"; do
    _instantnet_verbs "$verb"
    if [[ $option ]]; then
      option=
    elif [[ $only_words || $word != -?* ]]; then
      if [[ " $verbs " == *" $word "* ]]; then verb=${verb:+$verb }$word; else ((number++)); fi
    elif [[ $word == -- ]]; then
      only_words=1
    elif [[ $word != *=* ]] && _instantnet_values "$verb" "$word"; then
      option=$word
    fi
  done
  if [[ ! $option && ! $only_words && $current == --*=* ]]; then
    option=${current%%=*}
    current=${current#*=}
  elif [[ ! $option && ! $only_words && $current == -* ]]; then
    _instantnet_options "$verb"
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
    return
  fi
  _instantnet_verbs "$verb"
  if [[ ! $option && $verbs ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$current")
    return
  fi
  _instantnet_values "$verb" "${option:-$number}" || return
  [[ $choices ]] && _instantnet_complete_words "$current" "$choices"
  [[ $files || $folders ]] && _instantnet_complete_files "$current" "$files"
}

complete -F _instantnet instantnet
)";

}  // namespace

std::string bash_completion(const Command& program) {
  return kHead + verbs_case(program) + kOptions + options_case(program) + kValues +
         values_case(program) + kRest;
}

}  // namespace instantnet::cli
