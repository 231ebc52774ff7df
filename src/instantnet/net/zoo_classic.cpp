// AlexNet and VGG16: plain chains of convolutions with bias, and three fully connected layers.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/net/builder.h"
#include "instantnet/net/families.h"

namespace instantnet {
namespace {

/// Error when the pools would leave nothing of the image.
void need_image_of(int64_t least, const std::string& name, const ZooOptions& options) {
  if (std::min(options.height, options.width) < least)
    fail("zoo", fmt::format("{} cannot take images of {} x {}: its pooling would leave nothing; "
                            "give at least {} x {}.",
                            name, options.height, options.width, least, least));
}

/// Convolution with bias and ReLU.
Node& biased_conv(NetworkBuilder& net, const std::string& name, ConvNumbers numbers, int bits = 0) {
  Node& node = net.conv(name, numbers, Activation::Relu, bits);
  node.batch_norm = false;
  node.bias = true;
  return node;
}

/// Two hidden layers of 4096 and the classes. VGG drops out behind the hidden layers, AlexNet
/// before them.
void classifier(NetworkBuilder& net, bool dropout_before, const ZooOptions& options) {
  net.plain("flatten", Op::Flatten);
  for (const char* number : {"6", "7"}) {
    const std::string dropout = fmt::format("dropout{}", number);
    if (dropout_before) net.dropout(dropout, 0.5);
    net.linear(fmt::format("fc{}", number), 4096).activation = Activation::Relu;
    if (!dropout_before) net.dropout(dropout, 0.5);
  }
  net.linear("fc8", options.classes, options.last_bits);
}

}  // namespace

NetworkSpec alexnet(const ZooOptions& options) {
  need_image_of(63, "alexnet", options);
  NetworkBuilder net("alexnet", options);
  biased_conv(net, "conv1", {64, 11, 4}, options.first_bits).padding = 2;
  net.max_pool("pool1", 3, 2);
  biased_conv(net, "conv2", {192, 5});
  net.max_pool("pool2", 3, 2);
  biased_conv(net, "conv3", {384, 3});
  biased_conv(net, "conv4", {256, 3});
  biased_conv(net, "conv5", {256, 3});
  net.max_pool("pool5", 3, 2);
  classifier(net, true, options);
  return net.done();
}

NetworkSpec vgg16(const ZooOptions& options) {
  need_image_of(32, "vgg16", options);
  NetworkBuilder net("vgg16", options);
  const std::vector<std::vector<int64_t>> stages = {
      {64, 64}, {128, 128}, {256, 256, 256}, {512, 512, 512}, {512, 512, 512}};
  for (size_t s = 0; s < stages.size(); ++s) {
    for (size_t i = 0; i < stages[s].size(); ++i)
      biased_conv(net, fmt::format("conv{}_{}", s + 1, i + 1), {stages[s][i], 3},
                  s == 0 && i == 0 ? options.first_bits : 0);
    net.max_pool(fmt::format("pool{}", s + 1), 2, 2);
  }
  classifier(net, false, options);
  return net.done();
}

}  // namespace instantnet
