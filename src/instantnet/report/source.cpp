#include "instantnet/report/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"

namespace instantnet::report {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostBytes = uint64_t{1} << 28;

/// A line of a log, whose parts know where they stand.
void set_line(Tree& tree, int line) {
  tree.line = line;
  for (Tree& item : tree.items) set_line(item, line);
  for (auto& [key, value] : tree.entries) set_line(value, line);
}

[[noreturn]] void refuse_record(const std::string& place, int line) {
  fail(fmt::format("{}:{}", place, line),
       "is no record of a run (one JSON map a line); the file is damaged here.");
}

Tree record_of(std::string_view text, const std::string& place, int line) {
  Tree record;
  try {
    record = parse_yaml(text, place);
  } catch (const Error&) {
    refuse_record(place, line);
  }
  if (record.kind != Tree::Kind::Map || record.find("event") == nullptr) refuse_record(place, line);
  set_line(record, line);
  return record;
}

}  // namespace

std::string joined(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

Source::Source(std::string folder) : folder_(std::move(folder)) {
  std::error_code ignored;
  if (!fs::exists(folder_, ignored))
    fail(folder_, "there is no such folder; give one that InstantNet wrote.");
  if (!fs::is_directory(folder_, ignored))
    fail(folder_, "is a file; give the folder that it lies in.");
}

std::string Source::place(const std::string& path) const {
  return path.empty() ? folder_ : (fs::path(folder_) / path).string();
}

bool Source::has(const std::string& path) const {
  std::error_code ignored;
  return fs::is_regular_file(place(path), ignored);
}

bool Source::has_folder(const std::string& path) const {
  std::error_code ignored;
  return fs::is_directory(place(path), ignored);
}

std::vector<std::string> Source::folders(const std::string& path) const {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(place(path), ignored))
    if (entry.is_directory(ignored)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> Source::files(const std::string& path, std::string_view ending) const {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(place(path), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.size() > ending.size() && name.ends_with(ending) && entry.is_regular_file(ignored))
      names.push_back(name.substr(0, name.size() - ending.size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string Source::text(const std::string& path) {
  std::string bytes = read_file(place(path), kMostBytes);
  const auto same = [&](const ReadFile& one) { return one.path == path; };
  if (std::none_of(read_.begin(), read_.end(), same))
    read_.push_back({path, bytes.size(), sha256(bytes)});
  return bytes;
}

Tree Source::map(const std::string& path) {
  Tree tree = parse_yaml(text(path), place(path));
  if (tree.kind != Tree::Kind::Map)
    fail(place(path), fmt::format("is {}; it should be a map.", tree.given()));
  return tree;
}

std::vector<Tree> Source::records(const std::string& path) {
  const std::string bytes = text(path);
  std::vector<Tree> all;
  int line = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = bytes.find('\n', at);
    ++line;
    if (end == std::string::npos) {
      note(fmt::format("{}: line {}, the last, was cut short and is left out.", path, line));
      break;
    }
    all.push_back(record_of(std::string_view(bytes).substr(at, end - at), place(path), line));
    at = end + 1;
  }
  return all;
}

}  // namespace instantnet::report
