// What a network is: a graph of layers, without weights. Everything else (training, search,
// mapping, deployment) starts from this.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "instantnet/core/tree.h"

namespace instantnet {

/// One convolution as loop bounds. A linear layer has p = q = r = s = 1. Depthwise: groups = k, c
/// = 1.
struct LayerShape {
  int64_t n = 1, k = 1, c = 1;  // batch, output channels, input channels per group
  int64_t p = 1, q = 1;         // output height, width
  int64_t r = 1, s = 1;         // kernel height, width
  int64_t stride = 1, dilation = 1, groups = 1;

  int64_t macs() const { return n * k * c * p * q * r * s; }
  int64_t weights() const { return k * c * r * s; }
  bool operator==(const LayerShape&) const = default;
};

/// The kinds of layer.
enum class Op {
  Conv,            // 2-d convolution, with optional bias, batch norm and activation fused behind it
  Linear,          // fully connected, on (n, features); the same extras
  Add,             // element-wise sum of its inputs, with optional activation
  MaxPool,         // kernel, stride, padding
  AvgPool,         // kernel, stride, padding; padded zeros are counted (torch's default)
  GlobalAvgPool,   // (n, c, h, w) -> (n, c)
  Flatten,         // (n, c, h, w) -> (n, c*h*w)
  ChannelShuffle,  // groups: (g, c/g) transposed (ShuffleNet, CVPR 2018)
  Dropout,         // probability; only in training
};

enum class Activation { None, Relu, Relu6 };

/// One layer. Which fields count depends on `op`; the others keep their defaults.
struct Node {
  std::string name;  // unique; letters, digits, '_', '-', '.'; dots group layers into blocks
  Op op = Op::Conv;
  std::vector<std::string>
      inputs;  // names of earlier nodes, or "input"; a chain names its predecessor

  int64_t channels = 0;  // Conv, Linear: output channels
  int64_t kernel = 1;    // Conv, MaxPool, AvgPool: square kernel
  int64_t stride = 1, padding = 0, dilation = 1;
  int64_t groups = 1;       // Conv, ChannelShuffle
  bool bias = false;        // Conv, Linear: only without batch norm
  bool batch_norm = false;  // Conv, Linear: one per bit-width when the model is switchable
  Activation activation = Activation::None;  // Conv, Linear, Add
  /// Conv, Linear: 0 = switchable; 1..16 or 32 = always at this bit-width (first layer,
  /// classifier).
  int bits = 0;
  double probability = 0;  // Dropout

  bool operator==(const Node&) const = default;
};

/// A network: input image size and layers in an order in which each comes after its inputs. The
/// last is the output (logits, one per class).
struct NetworkSpec {
  std::string name;
  int64_t channels = 3, height = 32, width = 32;  // input image
  int64_t classes = 10;
  std::vector<Node> nodes;

  bool operator==(const NetworkSpec&) const = default;
};

/// Shape of a tensor that flows between nodes; height = width = 1 and flat = true after pooling or
/// flattening.
struct TensorShape {
  int64_t channels = 0, height = 0, width = 0;
  bool flat = false;
  bool operator==(const TensorShape&) const = default;
};

/// The largest image side, channel count, kernel, stride, padding, dilation, groups or number of
/// classes.
inline constexpr int64_t kLargestSize = int64_t{1} << 30;

/// Output shape of each node, in order. Error naming the node when shapes do not fit (channels not
/// divisible by groups, an Add of unlike shapes, an empty output), an input is unknown, a name
/// repeats, or the last layer does not give `classes` values. Sizes outside 1..kLargestSize and
/// tensors that cannot be counted in 63 bits are errors too.
std::vector<TensorShape> infer_shapes(const NetworkSpec& spec);

/// Checks everything infer_shapes checks, every field's range, that fields an op has no use for
/// keep their defaults, that every layer's output is used, and that costs can be counted in 63
/// bits. Error with the node's name.
void check(const NetworkSpec& spec);

/// The convolutions and linear layers as loop bounds, in order, batch 1.
struct NamedLayer {
  std::string name;
  LayerShape shape;
  int bits = 0;  // as Node::bits
  bool operator==(const NamedLayer&) const = default;
};
std::vector<NamedLayer> layers(const NetworkSpec& spec);

/// What one node turns its (first) input into, and what that costs.
struct NodeSummary {
  std::string name;
  Op op = Op::Conv;
  TensorShape input, output;
  int64_t macs = 0;        // of one image; 0 for other than convolutions and linear layers
  int64_t parameters = 0;  // as count_parameters
  bool operator==(const NodeSummary&) const = default;
};
/// One entry a node, in order. Error as infer_shapes.
std::vector<NodeSummary> summarize(const NetworkSpec& spec);

/// Multiply-accumulates of one image: convolutions and linear layers (what papers count).
int64_t count_macs(const NetworkSpec& spec);
/// Trainable numbers: weights, biases, and batch norm's scale and shift (once, not per bit-width).
int64_t count_parameters(const NetworkSpec& spec);

/// network.yaml: for every network that passes check(), network_from_tree(to_tree(s)) == s, through
/// text too. Fields of nodes at their default are left out, as are inputs that are just the node
/// before (or "input" for the first).
Tree to_tree(const NetworkSpec& spec);
/// Error with file and line for an unknown or missing key, a wrong type, and everything check()
/// refuses.
NetworkSpec network_from_tree(const Tree& tree);
NetworkSpec read_network(const std::string& path);
/// Writes atomically. Error when check() refuses the network or the file cannot be written.
void write_network(const NetworkSpec& spec, const std::string& path);

/// The names used in network.yaml and in tables.
const std::vector<std::pair<Op, std::string>>& names_of(Op);
const std::vector<std::pair<Activation, std::string>>& names_of(Activation);
const std::string& to_string(Op op);
const std::string& to_string(Activation activation);

}  // namespace instantnet
