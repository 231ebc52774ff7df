#include "instantnet/cli/paths.h"

#include <filesystem>

#include "instantnet/core/error.h"

namespace instantnet::cli {

std::string plain_path(const std::string& path) {
  if (path.empty()) fail("path", "is empty; give a path.");
  std::filesystem::path plain = std::filesystem::absolute(path).lexically_normal();
  if (!plain.has_filename()) plain = plain.parent_path();
  return plain.string();
}

}  // namespace instantnet::cli
