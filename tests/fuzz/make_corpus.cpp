// Writes small random models to start fuzzing from: make_corpus FOLDER [COUNT]
#include <cstdio>
#include <cstdlib>
#include <string>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/runtime/model_file.h"
#include "net/random_network.h"
#include "runtime/random_model.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 40;
  try {
    instantnet::make_folders(argv[1]);
    for (uint64_t seed = 0; seed < count; ++seed) {
      instantnet::runtime::RandomModelOptions options;
      options.floats = seed % 2 == 0;
      options.bits = seed % 3 == 0 ? std::vector<int>{2, 8} : std::vector<int>{4, 12, 16};
      const std::string bytes = print_model(
          instantnet::runtime::random_model(instantnet::random_network(seed), seed, options));
      if (bytes.size() <= 16384)
        instantnet::write_file_atomic(std::string(argv[1]) + "/" + std::to_string(seed) + ".spnet",
                                      bytes);
    }
    return 0;
  } catch (const instantnet::Error& error) {
    std::fprintf(stderr, "make_corpus: %s\n", error.what());
    return 1;
  }
}
