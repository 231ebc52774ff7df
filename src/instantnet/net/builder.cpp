#include "instantnet/net/builder.h"

#include <utility>

namespace instantnet {
namespace {

Node named(const std::string& name, Op op) {
  Node node;
  node.name = name;
  node.op = op;
  return node;
}

}  // namespace

NetworkBuilder::NetworkBuilder(std::string name, const ZooOptions& options) {
  spec_.name = std::move(name);
  spec_.channels = options.channels;
  spec_.height = options.height;
  spec_.width = options.width;
  spec_.classes = options.classes;
}

Node& NetworkBuilder::append(Node node) {
  node.inputs.insert(node.inputs.begin(), here_);
  here_ = node.name;
  spec_.nodes.push_back(std::move(node));
  return spec_.nodes.back();
}

Node& NetworkBuilder::conv(const std::string& name, ConvNumbers numbers, Activation activation,
                           int bits) {
  Node node = named(name, Op::Conv);
  node.channels = numbers.channels;
  node.kernel = numbers.kernel;
  node.stride = numbers.stride;
  node.padding = numbers.kernel / 2;
  node.groups = numbers.groups;
  node.batch_norm = true;
  node.activation = activation;
  node.bits = bits;
  return append(std::move(node));
}

Node& NetworkBuilder::linear(const std::string& name, int64_t channels, int bits) {
  Node node = named(name, Op::Linear);
  node.channels = channels;
  node.bias = true;
  node.bits = bits;
  return append(std::move(node));
}

Node& NetworkBuilder::max_pool(const std::string& name, int64_t kernel, int64_t stride,
                               int64_t padding) {
  Node node = named(name, Op::MaxPool);
  node.kernel = kernel;
  node.stride = stride;
  node.padding = padding;
  return append(std::move(node));
}

Node& NetworkBuilder::shuffle(const std::string& name, int64_t groups) {
  Node node = named(name, Op::ChannelShuffle);
  node.groups = groups;
  return append(std::move(node));
}

Node& NetworkBuilder::dropout(const std::string& name, double probability) {
  Node node = named(name, Op::Dropout);
  node.probability = probability;
  return append(std::move(node));
}

Node& NetworkBuilder::plain(const std::string& name, Op op) { return append(named(name, op)); }

Node& NetworkBuilder::add(const std::string& name, const std::string& other,
                          Activation activation) {
  Node node = named(name, Op::Add);
  node.inputs = {other};
  node.activation = activation;
  return append(std::move(node));
}

NetworkSpec NetworkBuilder::done() const {
  check(spec_);
  return spec_;
}

}  // namespace instantnet
