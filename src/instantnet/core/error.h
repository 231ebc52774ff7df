// The three kinds of "no": a user's mistake (Error), our own (Bug), and values for the rest.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace instantnet {

/// The user's mistake, as one sentence: where, what was wrong, what was given, what would be right.
/// The program prints it and exits with code 2.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Our mistake: an invariant of the program does not hold. Never thrown for input.
class Bug : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Throws Error "where: sentence".
[[noreturn]] void fail(std::string_view where, std::string_view sentence);

/// Throws Bug with the sentence.
[[noreturn]] void bug(std::string_view sentence);

/// The candidate with the smallest edit distance (insert, delete, replace, swap of neighbours) to
/// `word`; empty when none is closer than half the length of the longer of the two.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// ", did you mean 'x'?" for the nearest candidate, or "; known are a, b, c." when none is near.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace instantnet
