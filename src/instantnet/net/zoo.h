// Networks people know, as NetworkSpecs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/net/spec.h"

namespace instantnet {

/// One entry of the zoo.
struct ZooEntry {
  std::string name;                               // "resnet20"
  std::string description;                        // one line, with the paper
  int64_t channels = 3, height = 32, width = 32;  // of the image it is made for
  int64_t classes = 10;
};

/// All entries, in the order they are listed.
const std::vector<ZooEntry>& zoo();

/// What to build an entry for: 0 keeps the entry's own value. Sizes other than the entry's are
/// allowed where the network can take them (Error otherwise, naming what it can take).
struct ZooOptions {
  int64_t classes = 0;
  int64_t channels = 0;  // of the input image
  int64_t height = 0, width = 0;
  int first_bits = 32;  // of the first convolution; 0 = switchable
  int last_bits =
      32;  // of the classifier, and of the header of a "space:" network; 0 = switchable, as above
};

/// The network called `name`; "space:OPERATOR" is the search space's network with that operator in
/// all cells. Error with the nearest name when there is none.
NetworkSpec zoo_network(const std::string& name, const ZooOptions& options = {});

/// The InstantNet search space: stem, `layers_per_stage` cells a stage, header, classifier.
/// Authors' values for 32 x 32 images are the defaults (config_search.py).
struct SpaceOptions {
  std::vector<int64_t> layers_per_stage = {1, 4, 4, 4, 4, 4, 1};
  std::vector<int64_t> channels = {16, 24, 32, 64, 112, 184, 352};
  std::vector<int64_t> strides = {1, 1, 2, 2, 1, 2, 1};
  int64_t stem_channels = 16, header_channels = 1504;
  int64_t input_channels = 3, height = 32, width = 32, classes = 100;
  int first_bits = 32, header_bits = 32, last_bits = 32;
};

/// The nine operators, in the authors' order:
/// k3_e1 k3_e1_g2 k3_e3 k3_e6 k5_e1 k5_e1_g2 k5_e3 k5_e6 skip.
const std::vector<std::string>& space_operators();

/// The network with operators[i] in cell i (one name for all cells, or one a cell). Node names:
/// "stem", "cells.I.conv1|shuffle|conv2|conv3|add|skip" (I counts cells from 0; an identity has no
/// node), "header", "pool", "fc". kK_eE[_gG]: 1x1 (groups G) BN ReLU, channel shuffle if G > 1, KxK
/// depthwise with the stride BN ReLU, 1x1 (groups G) BN, plus the identity when shapes allow. skip:
/// identity, or 1x1 conv with the stride BN ReLU when shapes change. Stem (3x3, stride 1) and
/// header (1x1) are conv BN ReLU. Error for an unknown operator or a wrong number of them.
NetworkSpec space_network(const std::vector<std::string>& operators,
                          const SpaceOptions& options = {});

}  // namespace instantnet
