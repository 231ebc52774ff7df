// A NetworkSpec by numbers instead of names: which value each node makes, from which, and who reads
// it in the end.
#pragma once

#include <vector>

#include "instantnet/net/spec.h"

namespace instantnet::runtime {

/// A value is what a node gives, and has the node's number; the image is value -1.
inline constexpr int kImage = -1;

/// A convolution or linear layer.
struct GraphLayer {
  int node = 0;
  /// The value it reads, seen through dropout and, for linear layers, flattening: an image, of
  /// which a linear layer takes all pixels.
  int input = kImage;
  LayerShape loops;  // as layers(spec)
};

struct Graph {
  /// `spec` has passed check() and outlives the graph.
  explicit Graph(const NetworkSpec& spec);

  const NetworkSpec* spec;
  std::vector<std::vector<int>> inputs;   // values each node reads
  std::vector<std::vector<int>> readers;  // nodes that read value v, at v + 1
  std::vector<TensorShape> shapes;        // of value v, at v + 1
  std::vector<GraphLayer> layers;         // in order
  std::vector<int> layer_of;              // of each node; -1 for other ops

  const Node& node(int value) const { return spec->nodes[static_cast<size_t>(value)]; }
  const TensorShape& shape(int value) const { return shapes[static_cast<size_t>(value + 1)]; }
  int output() const { return static_cast<int>(spec->nodes.size()) - 1; }

  /// Max pooling, channel shuffle, flattening, dropout: values pass, none is computed.
  bool passes(int value) const;
  /// The value that `value` is, seen through nodes that pass.
  int producer(int value) const;
  /// All that read the value, seen through nodes that pass, are convolutions or linear layers.
  bool direct(int value) const;
  /// For `value` a channel shuffle: which input channel output channel k is.
  int64_t shuffled_from(int value, int64_t k) const;
};

}  // namespace instantnet::runtime
