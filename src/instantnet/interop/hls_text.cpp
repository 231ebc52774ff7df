#include "instantnet/interop/hls_text.h"

#include <cctype>

namespace instantnet::interop::hls {

void Code::lines(const std::string& text) {
  size_t from = 0;
  while (from < text.size()) {
    const size_t end = std::min(text.find('\n', from), text.size());
    const std::string one = text.substr(from, end - from);
    if (one.empty())
      blank();
    else
      put(one);
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
    if (!all.empty()) all = fmt::format("{} * {}", sum ? fmt::format("({})", all) : all, index.extent);
    if (index.at.terms.empty()) {
      sum = false;
      continue;
    }
    sum = !all.empty() || index.at.terms.size() > 1 || index.at.terms[0].second != 1;
    all = all.empty() ? index.at.text() : fmt::format("{} + {}", all, index.at.text());
  }
  return all.empty() ? "0" : all;
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
