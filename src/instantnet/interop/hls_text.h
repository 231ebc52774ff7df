// Text of C++ as it is written line by line: indentation, blocks, index expressions.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace instantnet::interop::hls {

/// Lines with two blanks an open block.
class Code {
 public:
  Code() = default;
  /// Lines that go inside `depth` open blocks of another one.
  explicit Code(size_t depth) : depth_(depth) {}
  size_t depth() const { return depth_; }
  void append(const Code& inside) { text_ += inside.text_; }

  /// Lines longer than 100 columns are broken: statements behind a comma or beside an operator.
  void line(const std::string& text);
  /// A line that ends in "{" (the caller writes it) and indents what follows.
  void open(const std::string& text) {
    line(text);
    ++depth_;
  }
  void close(const std::string& end = "}") {
    --depth_;
    line(end);
  }
  /// Ends an indentation without a line.
  void end() { --depth_; }
  void blank() { text_ += '\n'; }
  /// Lines as they are, indented.
  void lines(const std::string& text);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  size_t depth_ = 0;
};

/// A sum of loop variables times constants, and the largest value it takes.
struct Linear {
  std::vector<std::pair<std::string, int64_t>> terms;
  int64_t most = 0;

  void add(const std::string& variable, int64_t factor, int64_t largest) {
    terms.emplace_back(variable, factor);
    most += factor * largest;
  }
  void add(const Linear& other, int64_t factor = 1) {
    for (const auto& [variable, by] : other.terms) terms.emplace_back(variable, factor * by);
    most += factor * other.most;
  }
  /// "2 * k1 + k2"; "0" when there are no terms.
  std::string text() const;
};

/// One index of several into a row of numbers.
struct Index {
  Linear at;
  int64_t extent = 1;
};
/// The place in row-major order: "((k * 3) + r) * 3 + s". Extents of 1 are left out.
std::string flat_index(const std::vector<Index>& indices);

/// Whether the name stands in the text as a word of its own.
bool mentions(const std::string& text, const std::string& name);

/// Letters, digits and '_' stay, others become '_'.
std::string identifier_of(const std::string& name);

/// Rows of at most `a_line` numbers between braces.
std::string number_rows(const std::vector<int64_t>& numbers, size_t a_line, size_t indent);

}  // namespace instantnet::interop::hls
