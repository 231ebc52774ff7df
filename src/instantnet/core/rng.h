// Counter-based random numbers: any draw is a function of (seed, stream, index) alone, so that
// order of work and number of threads cannot change it.
#pragma once

#include <cstdint>

namespace instantnet {

/// One well-mixed 64-bit value of up to four numbers (SplitMix64 finaliser, Steele et al., OOPSLA
/// 2014, chained).
uint64_t mix(uint64_t a, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0);

/// A small generator (SplitMix64). Copy it to repeat a sequence; its whole state is one number.
class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}
  /// An independent generator for (seed, stream, index).
  Rng(uint64_t seed, uint64_t stream, uint64_t index = 0) : state_(mix(seed, stream, index)) {}

  uint64_t next();
  /// Uniform in [0, bound), without bias (Lemire 2019). bound >= 1.
  uint64_t below(uint64_t bound);
  /// Uniform in [0, 1) with 53 bits.
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Standard normal (Box-Muller, one value a call).
  double normal();
  bool flip(double probability = 0.5) { return uniform() < probability; }

  uint64_t state() const { return state_; }

  // UniformRandomBitGenerator, for std::shuffle and the like (whose results differ between
  // libraries).
  using result_type = uint64_t;
  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return ~uint64_t{0}; }
  uint64_t operator()() { return next(); }

 private:
  uint64_t state_;
};

}  // namespace instantnet
