// The networks an architecture search chooses from: a chain of cells in stages, each cell one of
// several operators.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/core/config.h"
#include "instantnet/net/spec.h"

namespace instantnet {

/// Stem, stages of cells, header, pooling, classifier. A default-made one is the authors' space for
/// 32x32 images: 22 cells of 9 operators (config_search.py). Operators are named by their numbers:
///   kK_eE[_gG]  inverted residual (MobileNetV2, CVPR 2018): 1x1 (groups G) to E times the input
///               channels, BN, ReLU, channel shuffle if G > 1, KxK depthwise with the stride, BN,
///               ReLU, 1x1 (groups G), BN
///   fK_eE[_gG]  the same with one dense KxK (groups G) in place of the first two (fused inverted
///               residual, EfficientNetV2, ICML 2021)
///   skip        identity; 1x1 with the stride, BN, ReLU where shapes change
/// Both residuals add their input where shapes allow.
struct SearchSpace {
  std::vector<int64_t> cells = {1, 4, 4, 4, 4, 4, 1};  // of each stage
  std::vector<int64_t> channels = {16, 24, 32, 64, 112, 184, 352};
  std::vector<int64_t> strides = {1, 1, 2, 2, 1, 2, 1};  // of a stage's first cell
  std::vector<std::string> operators = {"k3_e1",    "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1",
                                        "k5_e1_g2", "k5_e3",    "k5_e6", "skip"};
  bool skip_projection = true;
  int64_t stem_channels = 16, stem_stride = 1;
  int64_t header_channels = 1504;  // 0 = no header
  int first_bits = 32, header_bits = 32, last_bits = 32;
  bool operator==(const SearchSpace&) const = default;
};
Fields fields(SearchSpace& space);

/// instantnet32 (the authors'), fbnet224, small.
const std::vector<std::string>& space_preset_names();
/// One sentence a preset, for help.
std::string describe_space(std::string_view name);
/// Error with the nearest name when there is none.
SearchSpace space_preset(std::string_view name);

/// What the networks see and tell apart.
struct SpaceImage {
  int64_t channels = 3, height = 32, width = 32, classes = 100;
  bool operator==(const SpaceImage&) const = default;
};

/// Error, one sentence, for a space that holds a network that cannot be: lists of unlike length,
/// fewer than two operators, groups that do not divide channels, a skip that needs a projection.
void check(const SearchSpace& space, const SpaceImage& image);

/// Number of cells of a checked space.
size_t cell_count(const SearchSpace& space);

/// One operator a cell, as positions in SearchSpace::operators.
using Architecture = std::vector<size_t>;

/// The network with these operators. Nodes: "stem", "cells.I.PART" (PART: conv1, shuffle, conv2,
/// conv3, skip, add; I counts cells from 0; an identity has no node), "header", "pool", "fc".
NetworkSpec network_of(const SearchSpace& space, const SpaceImage& image,
                       const Architecture& architecture, const std::string& name);

/// Where a cell's input is added to what its operators compute.
enum class Identity {
  Shared,  // once, behind the weighted sum: less work, the same mathematics
  Own,     // in each block, before the sum, in the authors' order: the last bits are theirs
};

/// A cell of the supernet: the sum of its operators' outputs, in the Add node `mix`.
struct MixedCell {
  std::string mix;            // "cells.3.mix"
  std::vector<int> input_of;  // by operator: its input of `mix`; -1: nothing but the identity
  int identity = -1;          // input of `mix` that is the cell's, part of every operator; -1: none
  std::vector<std::string> prefix;  // by operator, of its nodes: "cells.3.k3_e1."
};

/// All networks of the space in one: nodes "cells.I.OPERATOR.PART" and "cells.I.mix".
struct Supernet {
  NetworkSpec network;
  std::vector<MixedCell> cells;
};
Supernet supernet_of(const SearchSpace& space, const SpaceImage& image,
                     Identity identity = Identity::Shared);

/// Convolution layers of each operator of each cell, and those outside the cells, as loop bounds.
struct SpaceLayers {
  std::vector<NamedLayer> fixed;
  std::vector<std::vector<std::vector<NamedLayer>>> cells;  // by cell, by operator
};
SpaceLayers layers_of(const Supernet& supernet);

}  // namespace instantnet
