#include "instantnet/core/format.h"

#include <fmt/format.h>

#include "instantnet/core/error.h"

namespace instantnet {

void check_version(const Format& format, int64_t version, const std::string& where) {
  if (version > format.newest)
    fail(where, fmt::format("is of version {} of {}; this program reads versions up to {}. Use a "
                            "newer InstantNet, or {}.",
                            version, format.name, format.newest, format.again));
  if (version < format.oldest)
    fail(where, fmt::format("is of version {} of {}; this program reads versions from {} on. Use "
                            "the InstantNet that wrote it, or {}.",
                            version, format.name, format.oldest, format.again));
}

}  // namespace instantnet
