// Versions of files that are trees; apart from format.cpp, so that the runtime's library has no
// more of trees than it needs.
#include <algorithm>

#include "instantnet/core/format.h"

namespace instantnet {

int64_t read_version(const Format& format, const Tree& map) {
  const Tree* found = map.kind == Tree::Kind::Map ? map.find("version") : nullptr;
  if (found == nullptr) return 1;
  const int64_t version = found->as_int();
  check_version(format, version, found->where());
  return version;
}

int64_t take_version(const Format& format, Tree& map) {
  const int64_t version = read_version(format, map);
  std::erase_if(map.entries, [](const auto& entry) { return entry.first == "version"; });
  return version;
}

}  // namespace instantnet
