// How --help looks: 80 columns, defaults behind the sentences.
#pragma once

#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace instantnet::cli {

/// Sets the look of the help of `app` and of all its verbs; call when they are added.
void format_help(CLI::App& app);

/// What --help says of an option: its sentence, whether it is required, its default, what excludes
/// it.
std::string option_sentence(const CLI::Option& option);

}  // namespace instantnet::cli
