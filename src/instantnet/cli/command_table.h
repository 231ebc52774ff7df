// What the command line offers as plain values, read off CLI11's tree: completions, the manual and
// the reference pages are printed from it.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace instantnet::cli {

/// What can stand for an argument, as far as it is known.
struct Values {
  std::vector<std::string> choices;  // these words
  std::vector<std::string> files;    // or files that match one of these patterns: "*.yaml"
  bool folders = false;              // or folders
};

/// An option or a positional argument.
struct Argument {
  std::vector<std::string> names;  // {"-o", "--out"}; of a positional {"MODEL"}
  std::string sentence;            // as --help prints it, with the default
  std::string value;               // "TEXT", "INT"; empty of a flag
  bool required = false, repeats = false;
  Values values;
};

/// A verb, or the program itself.
struct Command {
  std::vector<std::string> path;  // {"data", "check"}; empty of the program
  std::string sentence;
  std::vector<Argument> options, positionals;
  std::vector<Command> verbs;
  std::string notes;  // what --help prints below the options
};

/// The program and its verbs, those left out that --help does not list.
Command command_table(const CLI::App& app);

/// "instantnet data check"
std::string full_name(const Command& command);

/// "instantnet map -n TEXT -a TEXT [options]"
std::string usage(const Command& command);

/// Every command below this one, verbs before their own verbs.
std::vector<const Command*> all_verbs(const Command& command);

}  // namespace instantnet::cli
