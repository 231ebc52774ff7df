// The exact mapper against brute force: every mapping of random small spaces, three objectives.
//
//   bench_mapper_brute_force [COUNT] [SEED] [MOST]        20000 1 20000
//
// COUNT spaces, each of at most about MOST mappings. Prints each difference, and at the end how
// many there are; the exit code is 1 when there is one.
#include <fmt/core.h>

#include <cstdlib>
#include <map>

#include "instantnet/core/error.h"
#include "mapper/exact_cases.h"

int main(int argc, char** argv) {
  using namespace instantnet::mapper;
  const uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
  const uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const double most = argc > 3 ? std::strtod(argv[3], nullptr) : 20000;
  int64_t mappings = 0, wrong = 0, empty = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const CaseKind kind = kCaseKinds[i % kCaseKinds.size()];
    const ExactCase one = draw_exact_case(seed, i, kind, most);
    const BruteForce expected = brute_force(one);
    mappings += expected.mappings;
    empty += !expected.best[0];
    std::string text;
    try {
      text = difference(one, expected);
    } catch (const std::exception& error) {
      text = error.what();
    }
    if (text.empty()) continue;
    if (++wrong <= 3) fmt::print("space {} (kind {}): {}\n{}\n", i, int(kind), text, describe(one));
    if (wrong > 3) fmt::print("space {} (kind {}): {}\n", i, int(kind), text);
    std::fflush(stdout);
  }
  fmt::print("{} spaces with {} mappings (seed {}), {} of them without any; {} differences\n",
             count, mappings, seed, empty, wrong);
  return wrong == 0 ? 0 : 1;
}
