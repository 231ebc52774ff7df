#include "net/random_network.h"

#include <algorithm>
#include <string>
#include <vector>

namespace instantnet {
namespace {

class Maker {
 public:
  explicit Maker(uint64_t seed) : rng_(seed) {
    spec_.name =
        one_of<std::string>({"net", "a net: with colon", "12", "true", "#x", "it's", "null"});
    shape_ = {between(1, 4), between(1, 20), between(1, 20), false};
    spec_.channels = shape_.channels;
    spec_.height = shape_.height;
    spec_.width = shape_.width;
    spec_.classes = between(1, 12);
  }

  NetworkSpec make() {
    for (int64_t i = between(0, 8); i > 0; --i) add_image_layer();
    add_flattening();
    for (int64_t i = between(0, 2); i > 0; --i) add_flat_layer();
    Node last = fresh(Op::Linear);
    last.channels = spec_.classes;
    append(with_extras(last), {spec_.classes, 1, 1, true});
    return spec_;
  }

 private:
  int64_t between(int64_t least, int64_t most) {
    return least + static_cast<int64_t>(rng_.below(static_cast<uint64_t>(most - least + 1)));
  }
  template <class T>
  T one_of(const std::vector<T>& values) {
    return values[rng_.below(values.size())];
  }

  Node fresh(Op op) {
    Node node;
    const std::string prefix =
        one_of<std::string>({"conv", "stage1.block-0.", "", "_", "1e", "n."});
    node.name = prefix + std::to_string(spec_.nodes.size());
    node.op = op;
    node.inputs = {spec_.nodes.empty() ? "input" : spec_.nodes.back().name};
    return node;
  }

  void append(const Node& node, const TensorShape& shape) {
    spec_.nodes.push_back(node);
    shape_ = shape;
  }

  Activation activation() {
    return one_of<Activation>({Activation::None, Activation::Relu, Activation::Relu6});
  }

  Node with_extras(Node node) {
    node.batch_norm = rng_.flip();
    node.bias = !node.batch_norm && rng_.flip();
    node.activation = activation();
    node.bits = one_of<int>({0, 0, 0, 1, 4, 8, 16, 32});
    return node;
  }

  /// Kernel, stride and padding under which something of the image is left.
  void set_window(Node& node, TensorShape& out) {
    const int64_t side = std::min(out.height, out.width);
    node.kernel = between(1, std::min<int64_t>(5, side));
    node.stride = between(1, 3);
    node.padding = between(0, node.kernel / 2);
    if (node.op == Op::Conv && node.kernel > 1 && 2 * (node.kernel - 1) < side)
      node.dilation = between(1, 2);
    const int64_t reach = node.dilation * (node.kernel - 1) + 1;
    out.height = (out.height + 2 * node.padding - reach) / node.stride + 1;
    out.width = (out.width + 2 * node.padding - reach) / node.stride + 1;
  }

  void add_conv() {
    Node node = with_extras(fresh(Op::Conv));
    TensorShape out = shape_;
    set_window(node, out);
    node.groups = rng_.flip() ? 1 : shape_.channels;
    node.channels = out.channels = node.groups * between(1, 3);
    append(node, out);
  }

  void add_residual() {
    const std::string before = spec_.nodes.empty() ? "input" : spec_.nodes.back().name;
    Node conv = with_extras(fresh(Op::Conv));
    conv.channels = shape_.channels;
    conv.kernel = 3;
    conv.padding = 1;
    append(conv, shape_);
    Node add = fresh(Op::Add);
    add.inputs.insert(rng_.flip() ? add.inputs.begin() : add.inputs.end(), before);
    add.activation = activation();
    append(add, shape_);
  }

  void add_pool() {
    Node node = fresh(rng_.flip() ? Op::MaxPool : Op::AvgPool);
    TensorShape out = shape_;
    set_window(node, out);
    append(node, out);
  }

  void add_shuffle() {
    Node node = fresh(Op::ChannelShuffle);
    node.groups = rng_.flip() ? shape_.channels : 1;
    append(node, shape_);
  }

  void add_dropout() {
    Node node = fresh(Op::Dropout);
    node.probability = rng_.flip() ? rng_.uniform() : 0.1;
    append(node, shape_);
  }

  void add_image_layer() {
    switch (between(0, 5)) {
      case 0:
        return add_residual();
      case 1:
        return add_pool();
      case 2:
        return add_shuffle();
      case 3:
        return add_dropout();
      default:
        return add_conv();
    }
  }

  void add_flattening() {
    if (rng_.flip())
      append(fresh(Op::GlobalAvgPool), {shape_.channels, 1, 1, true});
    else
      append(fresh(Op::Flatten), {shape_.channels * shape_.height * shape_.width, 1, 1, true});
  }

  void add_flat_layer() {
    if (rng_.flip()) return add_dropout();
    Node node = with_extras(fresh(Op::Linear));
    node.channels = between(1, 9);
    append(node, {node.channels, 1, 1, true});
  }

  Rng rng_;
  NetworkSpec spec_;
  TensorShape shape_;
};

}  // namespace

NetworkSpec random_network(uint64_t seed) { return Maker(seed).make(); }

}  // namespace instantnet
