#include "instantnet/runtime/graph.h"

#include <string>
#include <unordered_map>

namespace instantnet::runtime {

Graph::Graph(const NetworkSpec& network) : spec(&network) {
  std::unordered_map<std::string, int> value_of = {{"input", kImage}};
  shapes.push_back({network.channels, network.height, network.width, false});
  for (const TensorShape& shape : infer_shapes(network)) shapes.push_back(shape);
  readers.resize(shapes.size());
  for (int i = 0; i < static_cast<int>(network.nodes.size()); ++i) {
    const Node& one = node(i);
    std::vector<int>& from = inputs.emplace_back();
    for (const std::string& name : one.inputs) {
      from.push_back(value_of.at(name));
      readers[static_cast<size_t>(from.back() + 1)].push_back(i);
    }
    value_of[one.name] = i;
    const bool computes = one.op == Op::Conv || one.op == Op::Linear;
    layer_of.push_back(computes ? static_cast<int>(layers.size()) : -1);
    if (!computes) continue;
    int input = from[0];
    while (input != kImage && (node(input).op == Op::Dropout || node(input).op == Op::Flatten))
      input = inputs[static_cast<size_t>(input)][0];
    layers.push_back({i, input, {}});
  }
  const std::vector<NamedLayer> named = instantnet::layers(network);
  for (size_t i = 0; i < layers.size(); ++i) layers[i].loops = named[i].shape;
}

bool Graph::passes(int value) const {
  if (value == kImage) return false;
  const Op op = node(value).op;
  return op == Op::MaxPool || op == Op::ChannelShuffle || op == Op::Flatten || op == Op::Dropout;
}

int Graph::producer(int value) const {
  while (passes(value)) value = inputs[static_cast<size_t>(value)][0];
  return value;
}

bool Graph::direct(int value) const {
  if (value == output()) return false;
  for (const int reader : readers[static_cast<size_t>(value + 1)]) {
    if (passes(reader)) {
      if (!direct(reader)) return false;
    } else if (layer_of[static_cast<size_t>(reader)] < 0) {
      return false;
    }
  }
  return true;
}

int64_t Graph::shuffled_from(int value, int64_t k) const {
  const int64_t groups = node(value).groups;
  const int64_t each = shape(value).channels / groups;
  return k % groups * each + k / groups;
}

}  // namespace instantnet::runtime
