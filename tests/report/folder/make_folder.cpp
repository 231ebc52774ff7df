// make_folder FOLDER: writes the small pipeline of the report's tests, for the test in a browser.
#include <cstdio>

#include "instantnet/core/error.h"
#include "report/small_pipeline.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    instantnet::report::write_pipeline(argv[1]);
    return 0;
  } catch (const instantnet::Error& error) {
    std::fprintf(stderr, "make_folder: %s\n", error.what());
    return 1;
  }
}
