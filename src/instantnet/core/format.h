// Versions of the files that programs write and read: one rule and one sentence for all of them.
#pragma once

#include <cstdint>
#include <string>

#include "instantnet/core/tree.h"

namespace instantnet {

/// A kind of file and which of its versions this program reads; it writes the newest.
/// docs/versions.md lists them all.
struct Format {
  const char* name;   // as users call it: "plan.yaml"
  const char* again;  // how to make such a file: "map the network again"
  int64_t oldest = 1, newest = 1;
};

/// Error (`where`: which version it is, what is read, what to do) unless the version is read.
void check_version(const Format& format, int64_t version, const std::string& where);

/// The version a map gives in its entry "version"; one without it is of version 1. Error as
/// check_version, or when it is no whole number. Call it first: of other keys a newer file may have
/// any.
int64_t read_version(const Format& format, const Tree& map);

/// The same, and the entry is removed.
int64_t take_version(const Format& format, Tree& map);

}  // namespace instantnet
