#include "instantnet/interop/hls_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace instantnet::interop::hls {
namespace {

constexpr size_t kColumns = 100;

/// Where a statement may be broken: the start of what goes to the next line.
bool behind_comma(const std::string& line, size_t i) {
  return i >= 2 && line[i - 1] == ' ' && line[i - 2] == ',';
}

/// Or before an operator, or behind "=".
bool beside_operator(const std::string& line, size_t i) {
  if (i == 0 || line[i - 1] != ' ') return false;
  for (const char* sign : {"+ ", "&& ", "<= ", "? ", ": "})
    if (line.compare(i, std::string(sign).size(), sign) == 0) return true;
  return i >= 3 && line.compare(i - 3, 3, " = ") == 0;
}

/// The last place at or before `most` outside quotes, behind a comma if that leaves no short line;
/// 0: none.
size_t break_before(const std::string& line, size_t most) {
  size_t comma = 0, sign = 0;
  bool quoted = false;
  for (size_t i = 1; i <= std::min(most, line.size() - 1); ++i) {
    if (line[i] == '"') quoted = !quoted;
    if (quoted) continue;
    if (behind_comma(line, i)) comma = i;
    if (beside_operator(line, i)) sign = i;
  }
  return comma > most / 2 || comma > sign ? comma : sign;
}

/// Behind "=", when what follows fits into a line of `room`; 0: not.
size_t break_behind_equals(const std::string& line, size_t most, size_t room) {
  const size_t equals = line.find("= ");
  if (equals == std::string::npos || equals == 0 || equals + 2 > most) return 0;
  if (line.find(" = ", equals + 2) != std::string::npos) return 0;  // several declarations
  if (line[equals - 1] != ' ' && line[equals - 1] != '+') return 0;
  return line.size() - equals - 2 <= room ? equals + 2 : 0;
}

/// The last blank of a comment at or before `most`.
size_t blank_before(const std::string& line, size_t from, size_t most) {
  const size_t found = line.rfind(' ', most);
  return found == std::string::npos || found <= from ? 0 : found + 1;
}

}  // namespace

void Code::line(const std::string& text) {
  const std::string indent(2 * depth_, ' ');
  std::string rest = text;
  // A comment behind a statement that leaves it no room goes before it.
  const size_t remark = rest.find("  // ");
  if (remark != std::string::npos && indent.size() + rest.size() > kColumns) {
    line(rest.substr(remark + 2));
    rest.resize(remark);
  }
  const bool comment = rest.starts_with("//");
  std::string begin = indent;
  while (begin.size() + rest.size() > kColumns) {
    const size_t most = kColumns - begin.size();
    size_t at = comment ? blank_before(rest, 3, most)
                        : break_behind_equals(rest, most, kColumns - indent.size() - 4);
    if (at == 0 && !comment) at = break_before(rest, most);
    if (at == 0) break;
    text_ += begin + rest.substr(0, at - 1) + '\n';
    rest = comment ? fmt::format("// {}", rest.substr(at)) : rest.substr(at);
    if (!comment) begin = fmt::format("{}    ", indent);
  }
  text_ += begin + rest + '\n';
}

void Code::lines(const std::string& text) {
  size_t from = 0;
  while (from < text.size()) {
    const size_t end = std::min(text.find('\n', from), text.size());
    const std::string one = text.substr(from, end - from);
    if (one.empty())
      blank();
    else
      line(one);
    from = end + 1;
  }
}

std::string Linear::text() const {
  std::string all;
  for (const auto& [variable, factor] : terms) {
    if (!all.empty()) all += " + ";
    if (factor != 1) all += fmt::format("{} * ", factor);
    all += variable;
  }
  return all.empty() ? "0" : all;
}

std::string flat_index(const std::vector<Index>& indices) {
  std::string all;
  bool sum = false;  // `all` needs parentheses before it is multiplied
  for (const Index& index : indices) {
    if (index.extent == 1) continue;
    if (!all.empty())
      all = fmt::format("{} * {}", sum ? fmt::format("({})", all) : all, index.extent);
    if (index.at.terms.empty()) {
      sum = false;
      continue;
    }
    sum = !all.empty() || index.at.terms.size() > 1 || index.at.terms[0].second != 1;
    all = all.empty() ? index.at.text() : fmt::format("{} + {}", all, index.at.text());
  }
  return all.empty() ? "0" : all;
}

bool mentions(const std::string& text, const std::string& name) {
  const auto in_word = [&](size_t i) {
    return i < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == '_');
  };
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1))
    if (!(at > 0 && in_word(at - 1)) && !in_word(at + name.size())) return true;
  return false;
}

std::string identifier_of(const std::string& name) {
  std::string safe = name;
  for (char& c : safe) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 128 || std::isalnum(u) == 0) c = '_';
  }
  return safe;
}

std::string number_rows(const std::vector<int64_t>& numbers, size_t a_line, size_t indent) {
  std::string text;
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i % a_line == 0) {
      if (i > 0) text += '\n';
      text.append(indent, ' ');
    } else {
      text += ' ';
    }
    text += fmt::format("{}", numbers[i]);
    if (i + 1 < numbers.size()) text += ',';
  }
  return text;
}

}  // namespace instantnet::interop::hls
