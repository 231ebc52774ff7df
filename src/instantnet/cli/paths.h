// Paths as users write them.
#pragma once

#include <string>

namespace instantnet::cli {

/// An absolute path without "." and "..", so that "." has a name.
std::string plain_path(const std::string& path);

}  // namespace instantnet::cli
