// How a layer runs on a device: for each level its loops, outermost first, and what it keeps.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "instantnet/core/tree.h"
#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/workload.h"

namespace instantnet::mapper {

struct Loop {
  Dim dim = Dim::N;
  int64_t bound = 1;
  bool operator==(const Loop&) const = default;
};

/// The loops of one level: temporal ones outside, then those spread over its children.
struct LevelLoops {
  std::vector<Loop> temporal;              // outermost first
  std::vector<Loop> spatial_x, spatial_y;  // over columns and rows of children
  PerTensor<bool> keeps = {true, true, true};
  bool operator==(const LevelLoops&) const = default;
};

/// One entry a level of the device, in its order (outermost first). The bounds of a dim, from the
/// innermost loop out, cover its extent: each loop steps over tiles of everything inside it, steps
/// that lie wholly outside the layer are skipped, and edge tiles are clipped. Loops of bound 1 need
/// not be written.
struct Mapping {
  std::vector<LevelLoops> levels;
  bool operator==(const Mapping&) const = default;
};

/// Why a mapping cannot run: an ordinary answer.
struct Misfit {
  std::string why;  // "GLB: inputs and outputs need 70000 words, it has 65536."
};

/// The same as a plain block of numbers, for code that tries millions: one factor a (level, dim),
/// temporal and spatial, and the order of each level's temporal loops. X and Y are not told apart;
/// a fan-out that can be split over them always can be (any divisor of a product of factors is a
/// product of divisors of the factors).
inline constexpr int kMaxLevels = 8;
struct Nest {
  int levels = 0;
  std::array<std::array<int32_t, kDims>, kMaxLevels> temporal, spatial;
  std::array<std::array<Dim, kDims>, kMaxLevels> order;  // outermost first
  std::array<uint8_t, kMaxLevels> keeps;                 // bit t: keeps Tensor t
};

/// All factors 1, order N G K C P Q R S, everything kept.
Nest empty_nest(int levels);
/// Equal in cost. A dim with several temporal loops at one level has no Nest: nullopt.
std::optional<Nest> to_nest(const Mapping& mapping);
/// Splits the spatial factors over X and Y; Bug when no split fits the device's fan-out.
Mapping to_mapping(const Nest& nest, const Accelerator& device);
/// Whether factors with this product fit x columns times y rows, each a divisor of the product.
bool fits_array(int64_t product, int64_t columns, int64_t rows);

/// The mapping as it is written in files: a list of levels with `temporal: [k2, c4]`,
/// `spatial_x: [...]`, `spatial_y`, `keep: [weights, inputs]`; mapping_from_tree(to_tree(m)) == m.
Tree to_tree(const Mapping& mapping, const Accelerator& device);
/// Error with file and line for unknown levels, loops and keys.
Mapping mapping_from_tree(const Tree& tree, const Accelerator& device);

/// The loop nest as indented text, one loop a line, each level headed by its tiles.
std::string loop_nest_text(const Mapping& mapping, const LayerShape& layer,
                           const Accelerator& device);

}  // namespace instantnet::mapper
