// Mistakes in the words of the command line, as our sentences: CLI11 parses, this says what is
// wrong.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
class Validator;
}  // namespace CLI

namespace instantnet::cli {

/// Check of an option: a whole number from `least` on, up to `most` when that is given.
CLI::Validator whole_number(int64_t least, int64_t most = std::numeric_limits<int64_t>::max());

/// Error when the words (without the program's name) do not begin with verbs that there are: naming
/// the nearest one, or all when none is given. Says nothing once an option comes.
void check_verbs(const CLI::App& app, const std::vector<std::string>& words);

/// One sentence for what CLI11 refused, with the verb in front: an unknown option with the nearest
/// known one, a word too many, or CLI11's own text and where help is.
std::string sentence_of(const CLI::App& app, const CLI::ParseError& error);

}  // namespace instantnet::cli
