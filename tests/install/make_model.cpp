// Writes a random model: make_model FILE.spnet [NETWORK [SBM [BITS]]], a network of the zoo
// (default resnet8) or a network.yaml, SBM the share of layers on the sbm lattice (default 0.5),
// BITS its bit-widths (default 2,4,8,12,16,32).
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/net/zoo.h"
#include "runtime/random_model.h"

namespace {

std::vector<int> bits_of(const std::string& text) {
  std::vector<int> bits;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) bits.push_back(std::atoi(part.c_str()));
  return bits;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 5) return 2;
  try {
    instantnet::runtime::RandomModelOptions options;
    options.bits = bits_of(argc > 4 ? argv[4] : "2,4,8,12,16,32");
    options.floats = std::erase(options.bits, 32) > 0;
    options.trained_inputs = true;
    if (argc > 3) options.sbm = std::atof(argv[3]);
    const std::string network = argc > 2 ? argv[2] : "resnet8";
    write_model(instantnet::runtime::random_model(network.ends_with(".yaml")
                                                      ? instantnet::read_network(network)
                                                      : instantnet::zoo_network(network),
                                                  1, options),
                argv[1]);
    return 0;
  } catch (const instantnet::Error& error) {
    std::fprintf(stderr, "make_model: %s\n", error.what());
    return 1;
  }
}
