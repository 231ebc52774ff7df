#include "mapper/random_cases.h"

#include <fmt/format.h>

#include <algorithm>

namespace instantnet::mapper {

namespace {

int64_t from_to(Rng& rng, int64_t least, int64_t most) {
  return least + static_cast<int64_t>(rng.below(static_cast<uint64_t>(most - least + 1)));
}

LayerShape any_layer(Rng& rng) {
  LayerShape layer;
  layer.n = rng.flip(0.3) ? from_to(rng, 1, 3) : 1;
  layer.p = from_to(rng, 1, 7), layer.q = from_to(rng, 1, 4);
  layer.r = from_to(rng, 1, 4), layer.s = from_to(rng, 1, 3);
  layer.stride = rng.flip(0.4) ? from_to(rng, 1, 3) : 1;
  layer.dilation = rng.flip(0.3) ? from_to(rng, 1, 3) : 1;
  switch (rng.below(5)) {
    case 0:  // depthwise
      layer.groups = layer.k = from_to(rng, 1, 7);
      break;
    case 1:  // grouped
      layer.groups = from_to(rng, 1, 3);
      layer.k = layer.groups * from_to(rng, 1, 4);
      layer.c = from_to(rng, 1, 4);
      break;
    case 2:  // fully connected
      layer.p = layer.q = layer.r = layer.s = 1;
      layer.k = from_to(rng, 1, 13), layer.c = from_to(rng, 1, 13);
      break;
    default:  // dense
      layer.k = from_to(rng, 1, 7), layer.c = from_to(rng, 1, 7);
      if (rng.flip(0.2)) layer.r = layer.s = 1;
  }
  return layer;
}

/// A factor of a rest that is still to be covered.
int64_t random_factor(Rng& rng, int64_t rest, bool perfect) {
  if (rng.flip(0.4)) return 1;
  int64_t factor = from_to(rng, 1, rest);
  while (perfect && rest % factor != 0) factor = from_to(rng, 1, rest);
  if (!perfect && rng.flip(0.05)) factor += from_to(rng, 1, 3);  // longer than needed
  return factor;
}

/// The bound of a level's fan-out that is left for more loops.
struct Room {
  int64_t columns = 1, rows = 1;
};

/// Appends a loop over the children, or nothing where there is no room.
void put_spatial(Rng& rng, LevelLoops& level, Room& room, Loop loop) {
  const bool columns = rng.flip();
  int64_t& free = columns ? room.columns : room.rows;
  if (loop.bound == 1 || loop.bound > free) return;
  free /= loop.bound;
  (columns ? level.spatial_x : level.spatial_y).push_back(loop);
}

int64_t product(const std::vector<Loop>& loops, Dim d) {
  int64_t all = 1;
  for (const Loop& loop : loops)
    if (loop.dim == d) all *= loop.bound;
  return all;
}

/// Loops of one dim over all levels, then a last one for what they leave.
void put_dim(Rng& rng, Mapping& mapping, std::vector<Room>& rooms, Dim d, int64_t bound,
             bool perfect) {
  int64_t rest = bound;
  const auto levels = static_cast<int64_t>(mapping.levels.size());
  for (int64_t tries = from_to(rng, 0, 2 * levels); tries > 0 && rest > 1; --tries) {
    LevelLoops& level = mapping.levels[from_to(rng, 0, levels - 1)];
    const int64_t factor = random_factor(rng, rest, perfect);
    if (rng.flip(0.5)) {
      const int64_t before = product(level.spatial_x, d) * product(level.spatial_y, d);
      put_spatial(rng, level, rooms[&level - mapping.levels.data()], {d, factor});
      const int64_t after = product(level.spatial_x, d) * product(level.spatial_y, d);
      rest = (rest + after / before - 1) / (after / before);
    } else if (factor > 1) {
      level.temporal.push_back({d, factor});
      rest = (rest + factor - 1) / factor;
    }
  }
  if (rest > 1) mapping.levels[from_to(rng, 0, levels - 1)].temporal.push_back({d, rest});
}

/// Loops over one dim within a level become one, mostly.
void merge(Rng& rng, std::vector<Loop>& loops) {
  if (rng.flip(0.1)) return;
  std::vector<Loop> merged;
  for (const Loop& loop : loops) {
    const auto same = std::find_if(merged.begin(), merged.end(),
                                   [&](const Loop& other) { return other.dim == loop.dim; });
    if (same == merged.end())
      merged.push_back(loop);
    else
      same->bound *= loop.bound;
  }
  loops = merged;
}

void shuffle(Rng& rng, std::vector<Loop>& loops) {
  for (size_t i = loops.size(); i > 1; --i) std::swap(loops[i - 1], loops[rng.below(i)]);
}

}  // namespace

LayerShape random_layer(Rng& rng, int64_t largest) {
  for (;;) {
    const LayerShape layer = any_layer(rng);
    if (layer.macs() <= largest) return layer;
  }
}

LayerShape random_window_layer(Rng& rng) {
  LayerShape layer;
  layer.k = from_to(rng, 1, 2), layer.c = from_to(rng, 1, 2);
  layer.p = from_to(rng, 2, 8), layer.r = from_to(rng, 2, 4);
  layer.q = from_to(rng, 1, 3), layer.s = from_to(rng, 1, 3);
  layer.stride = from_to(rng, 1, 3), layer.dilation = from_to(rng, 1, 3);
  return layer;
}

Accelerator random_device(Rng& rng, size_t most_levels) {
  Accelerator device;
  device.name = "random";
  const auto count = static_cast<size_t>(from_to(rng, 2, static_cast<int64_t>(most_levels)));
  for (size_t l = 0; l < count; ++l) {
    StorageLevel level;
    level.name = fmt::format("L{}", l);
    if (l > 0) level.keep = {Keep::Search, Keep::Search, Keep::Search};
    const bool array = rng.flip(0.6);
    level.fanout_x = array ? from_to(rng, 1, 6) : 1;
    level.fanout_y = array ? from_to(rng, 1, 6) : 1;
    level.multicast = rng.flip(0.75);
    level.reduction = rng.flip(0.75);
    level.read_pj = {rng.uniform(0, 9), rng.uniform(0, 9), rng.uniform(0, 9)};
    level.write_pj = {rng.uniform(0, 9), rng.uniform(0, 9), rng.uniform(0, 9)};
    level.network_pj = rng.uniform(0, 2);
    device.levels.push_back(level);
  }
  return device;
}

Accelerator unlimited(Accelerator device) {
  for (StorageLevel& level : device.levels) {
    level.capacity_words = 0;
    level.tensor_capacity_words = {};
  }
  return device;
}

Mapping random_mapping(Rng& rng, const LayerShape& layer, const Accelerator& device,
                       int64_t largest_array) {
  const bool perfect = rng.flip(0.4);
  Mapping mapping;
  mapping.levels.resize(device.levels.size());
  std::vector<Room> rooms;
  int64_t array = largest_array;
  for (const StorageLevel& level : device.levels) {
    Room room{std::min(level.fanout_x, array), 1};
    room.rows = std::min(level.fanout_y, array / room.columns);
    array /= room.columns * room.rows;
    rooms.push_back(room);
  }
  const PerDim bounds = bounds_of(layer);
  for (const Dim d : kAllDims) put_dim(rng, mapping, rooms, d, bounds[at(d)], perfect);
  for (size_t l = 0; l < device.levels.size(); ++l) {
    LevelLoops& level = mapping.levels[l];
    merge(rng, level.temporal);
    shuffle(rng, level.temporal);
    for (const Tensor t : kAllTensors)
      level.keeps[t] = device.levels[l].keep[t] == Keep::Search
                           ? rng.flip(0.65)
                           : device.levels[l].keep[t] == Keep::Always;
  }
  return mapping;
}

Mapping random_window_mapping(Rng& rng, const LayerShape& layer, Accelerator& device) {
  StorageLevel& array = device.levels[rng.below(device.levels.size())];
  const Loop rows{Dim::P, from_to(rng, 1, layer.p)}, filter{Dim::R, from_to(rng, 1, layer.r)};
  LayerShape rest = layer;
  rest.p = (layer.p + rows.bound - 1) / rows.bound;
  rest.r = (layer.r + filter.bound - 1) / filter.bound;
  Mapping mapping = random_mapping(rng, rest, device, 6);
  LevelLoops& level = mapping.levels[&array - device.levels.data()];
  level.spatial_x.insert(level.spatial_x.begin(), rows);
  level.spatial_y.insert(level.spatial_y.begin(), filter);
  array.fanout_x *= rows.bound, array.fanout_y *= filter.bound;
  return mapping;
}

std::string describe(const LayerShape& layer, const Accelerator& device, const Mapping& mapping) {
  std::string text = fmt::format(
      "n {} groups {} k {} c {} p {} q {} r {} s {} stride {} dilation {}\n", layer.n, layer.groups,
      layer.k, layer.c, layer.p, layer.q, layer.r, layer.s, layer.stride, layer.dilation);
  for (const StorageLevel& level : device.levels)
    text += fmt::format("{}: multicast {} reduction {}\n", level.name, level.multicast,
                        level.reduction);
  return text + print_yaml(to_tree(mapping, device));
}

}  // namespace instantnet::mapper
