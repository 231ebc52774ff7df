#include "mapper/small_spaces.h"

#include "instantnet/core/tree.h"
#include "instantnet/mapper/space.h"
#include "mapper/random_cases.h"

namespace instantnet::mapper {

namespace {

double some_bandwidth(Rng& rng) { return rng.flip(0.6) ? 0 : rng.uniform(0.2, 4); }

Bandwidth random_bandwidth(Rng& rng) {
  return {some_bandwidth(rng), some_bandwidth(rng), some_bandwidth(rng)};
}

}  // namespace

Accelerator tight_device(Rng& rng, size_t most_levels) {
  Accelerator device = random_device(rng, most_levels);
  device.static_mw = rng.flip(0.3) ? rng.uniform(0, 3) : 0;
  device.mac.energy_pj = rng.uniform(0, 3);
  device.psum.extra_bits = rng.flip() ? 0 : static_cast<int>(rng.below(17));
  for (size_t l = 0; l < device.levels.size(); ++l) {
    StorageLevel& level = device.levels[l];
    if (rng.flip(0.5)) level.bandwidth = random_bandwidth(rng);
    if (rng.flip(0.2)) level.tensor_bandwidth.outputs = random_bandwidth(rng);
    if (l == 0) continue;
    for (const Tensor t : kAllTensors)
      if (rng.flip(0.85)) level.keep[t] = rng.flip(0.75) ? Keep::Always : Keep::Never;
    level.double_buffered = rng.flip(0.2);
    if (rng.flip(0.8)) level.capacity_words = 3 + static_cast<int64_t>(rng.below(80));
    for (const Tensor t : kAllTensors)
      if (rng.flip(0.2)) level.tensor_capacity_words[t] = 2 + static_cast<int64_t>(rng.below(40));
  }
  return device;
}

SmallSpace small_space(Rng& rng, size_t most_levels, double largest) {
  for (;;) {
    SmallSpace one;
    one.layer = random_layer(rng, 200);
    one.precision = rng.flip() ? Precision{16, 16} : Precision{8, 4};
    one.device = tight_device(rng, most_levels);
    one.factors = rng.flip() ? Factors::Any : Factors::Perfect;
    if (Space(one.layer, one.device, {}, one.factors).size() > largest) continue;
    if (!smallest_misfit(one.layer, one.precision, one.device)) return one;
  }
}

std::string describe(const SmallSpace& space) {
  Mapping none;
  none.levels.resize(space.device.levels.size());
  return describe(space.layer, space.device, none) + to_string(space.precision) + " bits";
}

}  // namespace instantnet::mapper
