#include "instantnet/runtime/kernel.h"

#include <algorithm>

#include "instantnet/core/error.h"

namespace instantnet::runtime {

void WeightSource::narrow(int bits, int64_t first, int64_t count, uint16_t* codes) const {
  const uint16_t* from = master + first;
  if (bits == master_bits) {
    std::copy(from, from + count, codes);
  } else if (lattice == Lattice::Nested) {
    const int shift = master_bits - bits;
    for (int64_t i = 0; i < count; ++i) codes[i] = static_cast<uint16_t>(from[i] >> shift);
  } else {
    // (2 m L + T) / (2 T) with T = 2^M - 1 is (m L + (T - 1) / 2) / T, rounded down; and for
    // v < T 2^M, v / T rounded down is (v + (v >> M) + 1) >> M.
    const auto largest = static_cast<uint32_t>((1 << bits) - 1);
    const auto half = static_cast<uint32_t>(((1 << master_bits) - 2) / 2);
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t v = from[i] * largest + half;
      codes[i] = static_cast<uint16_t>((v + (v >> master_bits) + 1) >> master_bits);
    }
  }
}

std::string_view Kernels::name() const { return "portable"; }

const std::vector<const Kernels*>& kernel_sets() {
  static const Kernels portable;
  static const std::vector<const Kernels*> sets = [] {
    std::vector<const Kernels*> all = native_kernels();
    all.push_back(&portable);
    return all;
  }();
  return sets;
}

const Kernels& kernels_called(std::string_view name) {
  if (name == "auto") return *kernel_sets().front();
  std::vector<std::string> names = {"auto"};
  for (const Kernels* set : kernel_sets()) {
    if (set->name() == name) return *set;
    names.emplace_back(set->name());
  }
  fail("kernels", "there are none called '" + std::string(name) + "' for this processor" +
                      suggestion(name, names));
}

}  // namespace instantnet::runtime
