#include <fmt/format.h>

#include <cmath>

#include "instantnet/mapper/cost.h"
#include "instantnet/mapper/misfit_text.h"

namespace instantnet::mapper {

namespace {

/// Elements of the least tile: of a whole layer at the outermost level, one of each tensor inside.
PerTensor<double> least_elements(const LayerShape& layer, bool outermost) {
  if (!outermost) return {1, 1, 1};
  const auto side = [&](int64_t out, int64_t filter) {
    return static_cast<double>(layer.stride * (out - 1) + layer.dilation * (filter - 1) + 1);
  };
  return {static_cast<double>(layer.weights()),
          static_cast<double>(layer.n * layer.groups * layer.c) * side(layer.p, layer.r) *
              side(layer.q, layer.s),
          static_cast<double>(layer.n * layer.k * layer.p * layer.q)};
}

/// Why a level's space, `has` words, cannot hold `need` words of tensors; 0 = unlimited.
std::optional<Misfit> too_small(const StorageLevel& level, uint8_t tensors, double need,
                                int64_t has) {
  const int64_t halves = level.double_buffered ? 2 : 1;
  if (has == 0 || fits_words(need, static_cast<double>(has / halves))) return std::nullopt;
  const double enough = std::ceil(need * (1 - 1e-12)) * static_cast<double>(halves);
  return Misfit{fmt::format("{}: {} need at least {} words{}, it has {}; {:.0f} words would do.",
                            level.name, listed(tensors), words_text(need),
                            halves == 2 ? " in each of two halves" : "", has, enough)};
}

}  // namespace

std::optional<Misfit> smallest_misfit(const LayerShape& layer, Precision precision,
                                      const Accelerator& device) {
  check(layer, "layer");
  check(device);
  for (const StorageLevel& level : device.levels) {
    const PerTensor<double> elements = least_elements(layer, &level == &device.levels.front());
    double shared = 0;
    uint8_t sharing = 0;
    for (const Tensor t : kAllTensors) {
      if (level.keep[t] != Keep::Always) continue;
      const double need =
          elements[t] * words_per_element(level, element_bits(device, precision, t));
      const int64_t own = level.tensor_capacity_words[t];
      if (own == 0)
        shared += need, sharing |= bit(t);
      else if (auto misfit = too_small(level, bit(t), need, own))
        return misfit;
    }
    if (auto misfit = too_small(level, sharing, shared, level.capacity_words)) return misfit;
  }
  return std::nullopt;
}

}  // namespace instantnet::mapper
