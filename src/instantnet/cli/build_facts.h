// How this program was built, as CMake saw it (build_facts.cpp.in).
#pragma once

#include <string>

namespace instantnet::cli {

struct BuildFacts {
  std::string compiler;   // "GNU 12.2.0"
  std::string type;       // "Release"
  std::string processor;  // "x86_64"
  std::string source;     // `git describe` when it was configured; empty outside a clone
};
BuildFacts build_facts();

}  // namespace instantnet::cli
