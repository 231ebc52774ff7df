// MobileNetV2 (Sandler et al., CVPR 2018).
#include <fmt/format.h>

#include <vector>

#include "instantnet/net/builder.h"
#include "instantnet/net/families.h"

namespace instantnet {
namespace {

/// One row of the paper's table 2.
struct Stage {
  int64_t expansion, channels, blocks, stride;
};

/// 1x1 to expansion * in channels, 3x3 depthwise, 1x1 linear; the identity is added when shapes
/// allow.
void inverted_residual(NetworkBuilder& net, const std::string& prefix, int64_t in_channels,
                       const Stage& stage, int64_t stride) {
  const std::string block_input = net.here();
  const int64_t wide = stage.expansion * in_channels;
  if (stage.expansion > 1) net.conv(prefix + "expand", {wide}, Activation::Relu6);
  net.conv(prefix + "depthwise", {wide, 3, stride, wide}, Activation::Relu6);
  net.conv(prefix + "project", {stage.channels}, Activation::None);
  if (stride == 1 && stage.channels == in_channels)
    net.add(prefix + "add", block_input, Activation::None);
}

/// What differs between the networks of the family.
struct Shape {
  int64_t stem_channels, stem_stride;
  std::vector<Stage> stages;
  int64_t header_channels;
};

/// The paper's, but for the strides of the stem and of the second stage.
Shape published(int64_t stem_stride, int64_t second_stride) {
  return {32,
          stem_stride,
          {{1, 16, 1, 1},
           {6, 24, 2, second_stride},
           {6, 32, 3, 2},
           {6, 64, 4, 2},
           {6, 96, 3, 1},
           {6, 160, 3, 2},
           {6, 320, 1, 1}},
          1280};
}

/// Stem, stages and 1x1 header.
void features(NetworkBuilder& net, const Shape& shape, const ZooOptions& options) {
  const std::vector<Stage>& stages = shape.stages;
  int64_t channels = shape.stem_channels;
  net.conv("stem", {channels, 3, shape.stem_stride}, Activation::Relu6, options.first_bits);
  for (size_t s = 0; s < stages.size(); ++s) {
    for (int64_t i = 0; i < stages[s].blocks; ++i) {
      inverted_residual(net, fmt::format("stage{}.block{}.", s + 1, i), channels, stages[s],
                        i == 0 ? stages[s].stride : 1);
      channels = stages[s].channels;
    }
  }
  net.conv("header", {shape.header_channels}, Activation::Relu6);
  net.plain("pool", Op::GlobalAvgPool);
}

}  // namespace

NetworkSpec mobilenetv2(const ZooOptions& options) {
  NetworkBuilder net("mobilenetv2", options);
  features(net, published(2, 2), options);
  net.dropout("dropout", 0.2);
  net.linear("fc", options.classes, options.last_bits);
  return net.done();
}

NetworkSpec mobilenetv2_cifar(const ZooOptions& options) {
  NetworkBuilder net("mobilenetv2-cifar", options);
  features(net, published(1, 1), options);
  net.linear("fc", options.classes, options.last_bits);
  return net.done();
}

NetworkSpec mobilenetv2_s2(const ZooOptions& options) {
  const Shape small = {16, 2, {{1, 8, 1, 1}, {6, 16, 2, 1}, {6, 24, 2, 2}, {6, 40, 2, 2}}, 160};
  NetworkBuilder net("mobilenetv2-s2", options);
  features(net, small, options);
  net.linear("fc", options.classes, options.last_bits);
  return net.done();
}

}  // namespace instantnet
