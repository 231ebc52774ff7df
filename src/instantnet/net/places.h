// Where a network and its layers stand, for messages: by name, or by line of the file they were
// read from.
#pragma once

#include <string>
#include <vector>

#include "instantnet/net/spec.h"

namespace instantnet {

/// Prefixes of error sentences.
struct Places {
  std::string network;  // "network 'resnet8'" or "net.yaml:1"
  std::vector<std::string>
      nodes;  // "network 'resnet8', layer 'stem'" or "net.yaml:5, layer 'stem'"
};

/// Places by name, for a network made by a program.
Places places_by_name(const NetworkSpec& spec);

/// check() with these places in its messages.
void check_at(const NetworkSpec& spec, const Places& places);

/// infer_shapes() with these places in its messages.
std::vector<TensorShape> infer_shapes_at(const NetworkSpec& spec, const Places& places);

/// summarize() with these places in its messages.
std::vector<NodeSummary> summarize_at(const NetworkSpec& spec, const Places& places);

}  // namespace instantnet
