#include "instantnet/quant/weight_rows.h"

#include <cmath>

// One function, three instruction sets, chosen by the loader. Sanitizers cannot run the loader's
// hooks.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define INSTANTNET_EVERY_ISA \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define INSTANTNET_EVERY_ISA
#endif

namespace instantnet::quant {

namespace {

constexpr int64_t kLanes = 16;  // sums of a row, in an order that every instruction set keeps

float clamped(float x, float least, float most) {
  const float above = x > least ? x : least;
  return above < most ? above : most;
}

}  // namespace

INSTANTNET_EVERY_ISA
float nested_row_range(const float* row, int64_t count, double multiple) {
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      sums[lane] += static_cast<double>(row[i + lane]) * static_cast<double>(row[i + lane]);
  for (; i < count; ++i) sums[0] += static_cast<double>(row[i]) * static_cast<double>(row[i]);
  double total = 0;
  for (const double sum : sums) total += sum;
  return static_cast<float>(std::sqrt(total / static_cast<double>(count)) * multiple);
}

INSTANTNET_EVERY_ISA
void nested_row_values(const float* row, float* values, int64_t count, float range, int bits) {
  const float safe = range == 0.0F ? 1.0F : range;
  const auto half = static_cast<float>(std::ldexp(1.0, bits - 1)),
             levels = static_cast<float>(std::ldexp(1.0, bits));
  const auto unit = static_cast<float>(std::ldexp(1.0, -bits));
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) {
    const float code = clamped(std::floor((row[i] / safe + 1.0F) * half), 0.0F, levels - 1.0F);
    values[i] = (code * 2.0F + (1.0F - levels)) * unit * range;
  }
}

INSTANTNET_EVERY_ISA
void minmax_row_values(const float* row, float* values, int64_t count, int bits) {
  float low = row[0], high = row[0];
  for (int64_t i = 1; i < count; ++i) {
    low = row[i] < low ? row[i] : low;
    high = row[i] > high ? row[i] : high;
  }
  const float most = static_cast<float>((1 << bits) - 1);
  const float step = (high - low) / most;
  const float division = step == 0.0F ? 1.0F : step, zero = step == 0.0F ? 0.0F : low;
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i)
    values[i] = std::nearbyintf(clamped((row[i] - low) / division, 0.0F, most)) * step + zero;
}

}  // namespace instantnet::quant
