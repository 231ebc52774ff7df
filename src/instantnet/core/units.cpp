#include "instantnet/core/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>

#include "instantnet/core/error.h"

namespace instantnet {

namespace {

/// Columns a UTF-8 text takes, one a code point.
size_t columns(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

/// A number, perhaps with a unit behind it: "12", "-3.5 %", "25.56 M", "1:33".
bool looks_like_number(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return true;  // "-" stands for no value
  const size_t number = text.find_first_not_of("0123456789.:,e");
  if (text[0] < '0' || text[0] > '9') return text == "nan" || text == "inf";
  if (number == std::string_view::npos) return true;
  const std::string_view unit = text.substr(number);
  return unit.size() <= 4 && unit.find_first_of("0123456789") == std::string_view::npos;
}

std::string padded(const std::string& text, size_t width, bool right) {
  const std::string blanks(width - std::min(width, columns(text)), ' ');
  return right ? blanks + text : text + blanks;
}

}  // namespace

std::string si(double value) {
  constexpr std::array<const char*, 11> kPrefixes = {"p", "n", "u", "m", "", "k",
                                                     "M", "G", "T", "P", "E"};
  if (value == 0 || !std::isfinite(value)) return fmt::format("{}", value == 0 ? 0.0 : value);
  int step = 0;
  double scaled = std::abs(value);
  // 999.95 would round to four digits as 1000.
  while (scaled >= 999.95 && step < 6) scaled /= 1000, ++step;
  while (scaled < 0.99995 && step > -4) scaled *= 1000, --step;
  const char* sign = value < 0 ? "-" : "";
  if (step == 0) return fmt::format("{}{:.4g}", sign, scaled);
  const int decimals = scaled < 9.9995 ? 3 : scaled < 99.995 ? 2 : 1;
  return fmt::format("{}{:.{}f} {}", sign, scaled, decimals, kPrefixes[step + 4]);
}

std::string bytes_text(uint64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  size_t unit = 0;
  double value = static_cast<double>(bytes) / 1024;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) value /= 1024, ++unit;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string duration_text(double seconds) {
  if (!(seconds < 1e15)) return "?";  // unknown: infinite or not a number
  const auto whole = static_cast<int64_t>(std::max(seconds, 0.0));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string wrap_text(std::string_view text, size_t most, size_t indent) {
  std::string out(indent, ' ');
  size_t used = indent;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (used > indent && used + 1 + columns(word) > most) {
      out.append("\n").append(indent, ' ');
      used = indent;
    }
    out.append(used > indent ? " " : "").append(word);
    used += (used > indent ? 1 : 0) + columns(word);
  }
  return out;
}

std::string table_text(const std::vector<std::string>& header,
                       const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> width;
  std::vector<bool> right(header.size(), !rows.empty());
  for (const std::string& title : header) width.push_back(columns(title));
  for (const auto& row : rows) {
    if (row.size() > header.size()) bug("a row of a table has more cells than its header.");
    for (size_t i = 0; i < row.size(); ++i) {
      width[i] = std::max(width[i], columns(row[i]));
      if (!looks_like_number(row[i])) right[i] = false;
    }
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i)
      line += (i == 0 ? "" : "  ") + padded(cells[i], width[i], right[i]);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  add_line(header);
  std::vector<std::string> rule;
  for (const size_t columns_wide : width) rule.emplace_back(columns_wide, '-');
  add_line(rule);
  for (const auto& row : rows) add_line(row);
  return text;
}

}  // namespace instantnet
