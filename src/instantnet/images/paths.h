// What is on the disk under a name; anything unreadable counts as not there.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>

namespace instantnet::images {

inline bool is_file(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

inline bool is_folder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

}  // namespace instantnet::images
