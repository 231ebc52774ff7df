#include "instantnet/flow/digest.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"

namespace instantnet::flow {
namespace {

namespace fs = std::filesystem;

struct Part {
  std::string name;  // within the folder; empty for a file
  fs::path path;
  uint64_t bytes = 0;
};

[[noreturn]] void fail_unreadable(const std::string& path, const std::error_code& error) {
  fail(path, fmt::format("cannot be read ({}).", error.message()));
}

std::vector<Part> parts_of(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return {{"", path, fs::file_size(path)}};
  std::vector<Part> parts;
  for (fs::recursive_directory_iterator i(path, error), end; i != end && !error; i.increment(error))
    if (i->is_regular_file())
      parts.push_back({fs::relative(i->path(), path).string(), i->path(), i->file_size()});
  if (error) fail_unreadable(path, error);
  std::sort(parts.begin(), parts.end(),
            [](const Part& a, const Part& b) { return a.name < b.name; });
  return parts;
}

std::string by_time(const Part& part) {
  const auto time = fs::last_write_time(part.path).time_since_epoch().count();
  return fmt::format("{} bytes, changed {}", part.bytes, time);
}

}  // namespace

std::string digest_of(const std::string& path, uint64_t most_content) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  try {
    const std::vector<Part> parts = parts_of(path);
    uint64_t bytes = 0;
    for (const Part& part : parts) bytes += part.bytes;
    const bool content = bytes <= most_content;
    if (content && parts.size() == 1 && parts[0].name.empty()) return sha256_file(path);
    std::string list;
    for (const Part& part : parts)
      list += fmt::format("{}\n{}\n", part.name,
                          content ? sha256_file(part.path.string()) : by_time(part));
    return sha256(list);
  } catch (const fs::filesystem_error& error) {
    fail_unreadable(path, error.code());
  }
}

const std::string& Digests::of(const std::string& path) {
  const auto found = known_.find(path);
  if (found != known_.end()) return found->second;
  return known_[path] = digest_of(path);
}

void Digests::forget(const std::string& path) {
  std::erase_if(known_, [&](const auto& one) {
    return one.first == path || one.first.starts_with(path + "/") ||
           path.starts_with(one.first + "/");
  });
}

}  // namespace instantnet::flow
