#include <fmt/format.h>

#include <algorithm>

#include "instantnet/core/error.h"
#include "instantnet/mapper/mapping.h"

namespace instantnet::mapper {

namespace {

/// Extents of the tile inside all loops of the levels before `level`: everything that the loops of
/// `level` and those inside it cover, clipped to the layer.
PerDim tile_inside(const Mapping& mapping, size_t level, const PerDim& bounds) {
  PerDim tile;
  tile.fill(1);
  for (size_t l = level; l < mapping.levels.size(); ++l)
    for (const auto* loops :
         {&mapping.levels[l].temporal, &mapping.levels[l].spatial_x, &mapping.levels[l].spatial_y})
      for (const Loop& loop : *loops)
        if (__builtin_mul_overflow(tile[at(loop.dim)], loop.bound, &tile[at(loop.dim)]))
          tile[at(loop.dim)] = bounds[at(loop.dim)];
  for (const Dim d : kAllDims) tile[at(d)] = std::min(tile[at(d)], bounds[at(d)]);
  return tile;
}

/// Input rows or columns under `out` outputs and a kernel of `kernel`.
int64_t window(int64_t out, int64_t kernel, const LayerShape& layer) {
  return layer.stride * (out - 1) + layer.dilation * (kernel - 1) + 1;
}

int64_t elements(Tensor t, const PerDim& tile, const LayerShape& layer) {
  const auto of = [&](Dim d) { return tile[at(d)]; };
  switch (t) {
    case Tensor::Weights:
      return of(Dim::G) * of(Dim::K) * of(Dim::C) * of(Dim::R) * of(Dim::S);
    case Tensor::Inputs:
      return of(Dim::N) * of(Dim::G) * of(Dim::C) * window(of(Dim::P), of(Dim::R), layer) *
             window(of(Dim::Q), of(Dim::S), layer);
    case Tensor::Outputs:
      return of(Dim::N) * of(Dim::G) * of(Dim::K) * of(Dim::P) * of(Dim::Q);
  }
  return 0;
}

/// "GLB: inputs 3364, outputs 3136": what an instance keeps, in elements.
std::string heading(const Mapping& mapping, size_t level, const LayerShape& layer,
                    const Accelerator& device) {
  const PerDim tile = tile_inside(mapping, level, bounds_of(layer));
  std::vector<std::string> kept;
  for (const Tensor t : kAllTensors)
    if (mapping.levels[level].keeps[t])
      kept.push_back(fmt::format("{} {}", to_string(t), elements(t, tile, layer)));
  return fmt::format("{}: {}", device.levels[level].name,
                     kept.empty() ? "keeps nothing" : fmt::format("{}", fmt::join(kept, ", ")));
}

}  // namespace

std::string loop_nest_text(const Mapping& mapping, const LayerShape& layer,
                           const Accelerator& device) {
  if (mapping.levels.size() != device.levels.size())
    bug("the mapping has not as many levels as the device.");
  std::string text, indent;
  const auto add = [&](const std::vector<Loop>& loops, const char* kind) {
    for (const Loop& loop : loops) {
      if (loop.bound == 1) continue;
      text +=
          fmt::format("{}for {} in 0..{}{}\n", indent, to_string(loop.dim), loop.bound - 1, kind);
      indent += "  ";
    }
  };
  for (size_t l = 0; l < mapping.levels.size(); ++l) {
    text += fmt::format("{}[{}]\n", indent, heading(mapping, l, layer, device));
    add(mapping.levels[l].temporal, "");
    add(mapping.levels[l].spatial_y, " across rows (y)");
    add(mapping.levels[l].spatial_x, " across columns (x)");
  }
  return text + indent + "multiply-accumulate\n";
}

}  // namespace instantnet::mapper
