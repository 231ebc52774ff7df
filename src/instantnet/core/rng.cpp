#include "instantnet/core/rng.h"

#include <cmath>

#include "instantnet/core/error.h"

namespace instantnet {

namespace {

__extension__ using Wide = unsigned __int128;

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio, odd

/// The finaliser of SplitMix64 (Steele et al., OOPSLA 2014; constants of Stafford's mix 13).
constexpr uint64_t finalise(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

}  // namespace

uint64_t mix(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
  uint64_t h = finalise(a + kGolden);
  h = finalise(h + b + kGolden);
  h = finalise(h + c + kGolden);
  return finalise(h + d + kGolden);
}

uint64_t Rng::next() {
  state_ += kGolden;
  return finalise(state_);
}

uint64_t Rng::below(uint64_t bound) {
  if (bound == 0) bug("Rng::below needs a bound of at least 1.");
  // Lemire, "Fast Random Integer Generation in an Interval", 2019: of the 2^64 products, the first
  // 2^64 mod bound of each interval are drawn again, so that every result has equally many.
  Wide product = Wide{next()} * bound;
  if (static_cast<uint64_t>(product) < bound) {
    const uint64_t surplus = (0 - bound) % bound;
    while (static_cast<uint64_t>(product) < surplus) product = Wide{next()} * bound;
  }
  return static_cast<uint64_t>(product >> 64);
}

double Rng::uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

double Rng::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));  // 1 - u is in (0, 1]
  return radius * std::cos(2.0 * 3.14159265358979323846 * uniform());
}

}  // namespace instantnet
