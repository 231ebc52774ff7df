#include "instantnet/mapper/mapping.h"

#include <algorithm>
#include <numeric>

#include "instantnet/core/error.h"

namespace instantnet::mapper {

namespace {

/// a * b, or a number that no array has.
int64_t capped_product(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

int64_t product_of(const std::array<int32_t, kDims>& factors) {
  int64_t product = 1;
  for (const int32_t factor : factors) product = capped_product(product, factor);
  return product;
}

/// The columns to use: whole dims side by side where that fits, else any divisor that does; 0:
/// none.
int64_t columns_for(const std::array<int32_t, kDims>& factors, int64_t columns, int64_t rows) {
  const int64_t product = product_of(factors);
  int64_t best = 0;
  for (unsigned chosen = 0; chosen < 1u << kDims; ++chosen) {
    int64_t x = 1;
    for (int d = 0; d < kDims; ++d)
      if (chosen >> d & 1) x = capped_product(x, factors[d]);
    if (x <= columns && product / x <= rows) best = std::max(best, x);
  }
  for (int64_t x = std::min(columns, product); best == 0 && x >= 1; --x)
    if (product % x == 0 && product / x <= rows) best = x;
  return best;
}

/// Which of the dims make up a product of `x`, if some do; else parts of dims.
std::array<int32_t, kDims> column_factors(const std::array<int32_t, kDims>& factors, int64_t x) {
  std::array<int32_t, kDims> part;
  for (unsigned chosen = 0; chosen < 1u << kDims; ++chosen) {
    int64_t product = 1;
    for (int d = 0; d < kDims; ++d)
      product = capped_product(product, part[d] = chosen >> d & 1 ? factors[d] : 1);
    if (product == x) return part;
  }
  // x divides the product, so what is left of it divides the product of the dims that are left.
  for (int d = 0; d < kDims; ++d) {
    part[d] = static_cast<int32_t>(std::gcd<int64_t, int64_t>(x, factors[d]));
    x /= part[d];
  }
  return part;
}

/// Multiplies a factor; false when the dim has one already or it does not fit.
bool put_temporal(std::array<int32_t, kDims>& factors, const Loop& loop) {
  int32_t& factor = factors[at(loop.dim)];
  if (factor != 1 || loop.bound < 1 || loop.bound > INT32_MAX) return loop.bound == 1;
  factor = static_cast<int32_t>(loop.bound);
  return true;
}

bool put_spatial(std::array<int32_t, kDims>& factors, const Loop& loop) {
  int32_t& factor = factors[at(loop.dim)];
  if (loop.bound < 1) return false;
  const int64_t product = capped_product(factor, loop.bound);
  if (product > INT32_MAX) return false;
  factor = static_cast<int32_t>(product);
  return true;
}

constexpr std::array<int32_t, kDims> ones() { return {1, 1, 1, 1, 1, 1, 1, 1}; }

/// The written loops outermost first, and the dims that have none outside them.
std::array<Dim, kDims> order_of(const std::vector<Loop>& temporal) {
  std::array<Dim, kDims> order;
  std::array<bool, kDims> written{};
  for (const Loop& loop : temporal)
    if (loop.bound > 1) written[at(loop.dim)] = true;
  size_t i = 0;
  for (const Dim d : kAllDims)
    if (!written[at(d)]) order[i++] = d;
  for (const Loop& loop : temporal)
    if (loop.bound > 1) order[i++] = loop.dim;
  return order;
}

}  // namespace

Nest empty_nest(int levels) {
  if (levels < 1 || levels > kMaxLevels) bug("a nest has 1 to 8 levels.");
  Nest nest;
  nest.levels = levels;
  nest.temporal.fill(ones());
  nest.spatial.fill(ones());
  nest.order.fill(kAllDims);
  nest.keeps.fill(7);
  return nest;
}

std::optional<Nest> to_nest(const Mapping& mapping) {
  if (mapping.levels.empty() || mapping.levels.size() > kMaxLevels) return std::nullopt;
  Nest nest = empty_nest(static_cast<int>(mapping.levels.size()));
  for (size_t l = 0; l < mapping.levels.size(); ++l) {
    const LevelLoops& level = mapping.levels[l];
    for (const Loop& loop : level.temporal)
      if (!put_temporal(nest.temporal[l], loop)) return std::nullopt;
    for (const auto* loops : {&level.spatial_x, &level.spatial_y})
      for (const Loop& loop : *loops)
        if (!put_spatial(nest.spatial[l], loop)) return std::nullopt;
    nest.order[l] = order_of(level.temporal);
    nest.keeps[l] = static_cast<uint8_t>(level.keeps.weights | level.keeps.inputs << 1 |
                                         level.keeps.outputs << 2);
  }
  return nest;
}

Mapping to_mapping(const Nest& nest, const Accelerator& device) {
  if (static_cast<size_t>(nest.levels) != device.levels.size())
    bug("the nest has not as many levels as the device.");
  Mapping mapping;
  for (int l = 0; l < nest.levels; ++l) {
    LevelLoops level;
    for (const Dim d : nest.order[l])
      if (nest.temporal[l][at(d)] > 1) level.temporal.push_back({d, nest.temporal[l][at(d)]});
    const StorageLevel& storage = device.levels[l];
    const int64_t x = columns_for(nest.spatial[l], storage.fanout_x, storage.fanout_y);
    if (x == 0) bug("the spatial factors do not fit the fan-out of " + storage.name + ".");
    const std::array<int32_t, kDims> columns = column_factors(nest.spatial[l], x);
    for (const Dim d : kAllDims) {
      const int32_t column = columns[at(d)], row = nest.spatial[l][at(d)] / column;
      if (column > 1) level.spatial_x.push_back({d, column});
      if (row > 1) level.spatial_y.push_back({d, row});
    }
    for (const Tensor t : kAllTensors) level.keeps[t] = nest.keeps[l] >> at(t) & 1;
    mapping.levels.push_back(std::move(level));
  }
  return mapping;
}

bool fits_array(int64_t product, int64_t columns, int64_t rows) {
  if (product <= columns || product <= rows) return true;
  if (product / columns > rows) return false;
  for (int64_t x = columns; product / x <= rows; --x)
    if (product % x == 0) return true;
  return false;
}

}  // namespace instantnet::mapper
