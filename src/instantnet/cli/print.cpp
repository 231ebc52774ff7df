#include "instantnet/cli/print.h"

#include <cstdio>

namespace instantnet::cli {

void print_text(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  std::puts(text.c_str());
}

}  // namespace instantnet::cli
