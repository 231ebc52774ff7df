// Residual networks of He et al., CVPR 2016.
#include <fmt/format.h>

#include <vector>

#include "instantnet/net/builder.h"
#include "instantnet/net/families.h"

namespace instantnet {
namespace {

/// What a residual block turns its input into.
struct Block {
  int64_t channels = 0;  // of its 3x3 convolutions
  int64_t stride = 1;
  bool reshapes = false;  // output has another shape than the input
};

/// Ends a block whose residual branch has been added: a shortcut where shapes change, the sum and
/// its ReLU.
void close_block(NetworkBuilder& net, const std::string& prefix, const std::string& block_input,
                 int64_t channels, const Block& block) {
  const std::string branch = net.here();
  std::string shortcut = block_input;
  if (block.reshapes) {
    net.go_to(block_input);
    net.conv(prefix + "shortcut", {channels, 1, block.stride}, Activation::None);
    shortcut = net.here();
  }
  net.go_to(branch);
  net.add(prefix + "add", shortcut, Activation::Relu);
}

/// 3x3, 3x3.
void basic_block(NetworkBuilder& net, const std::string& prefix, const Block& block) {
  const std::string block_input = net.here();
  net.conv(prefix + "conv1", {block.channels, 3, block.stride}, Activation::Relu);
  net.conv(prefix + "conv2", {block.channels, 3}, Activation::None);
  close_block(net, prefix, block_input, block.channels, block);
}

/// 1x1, 3x3 with the stride, 1x1 to four times the channels.
void bottleneck(NetworkBuilder& net, const std::string& prefix, const Block& block) {
  const std::string block_input = net.here();
  net.conv(prefix + "conv1", {block.channels}, Activation::Relu);
  net.conv(prefix + "conv2", {block.channels, 3, block.stride}, Activation::Relu);
  net.conv(prefix + "conv3", {4 * block.channels}, Activation::None);
  close_block(net, prefix, block_input, 4 * block.channels, block);
}

using BlockMaker = void (*)(NetworkBuilder&, const std::string&, const Block&);

/// Stages "stage1", ... of blocks[i] blocks; channels double from stage to stage, and all but the
/// first halve the image. `widens`: the first block of the first stage changes the number of
/// channels.
void residual_stages(NetworkBuilder& net, const std::vector<int64_t>& blocks, int64_t channels,
                     BlockMaker make, bool widens) {
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    for (int64_t i = 0; i < blocks[stage]; ++i) {
      const bool halves = stage > 0 && i == 0;
      const bool reshapes = i == 0 && (stage > 0 || widens);
      make(net, fmt::format("stage{}.block{}.", stage + 1, i),
           {channels << stage, halves ? 2 : 1, reshapes});
    }
  }
}

NetworkSpec finish(NetworkBuilder& net, const ZooOptions& options) {
  net.plain("pool", Op::GlobalAvgPool);
  net.linear("fc", options.classes, options.last_bits);
  return net.done();
}

/// 7x7 stem with stride 2 and pooling, for ImageNet.
void large_stem(NetworkBuilder& net, const ZooOptions& options) {
  net.conv("stem", {64, 7, 2}, Activation::Relu, options.first_bits);
  net.max_pool("stem_pool", 3, 2, 1);
}

}  // namespace

NetworkSpec small_resnet(const std::string& name, int64_t blocks, int64_t stem_stride,
                         const ZooOptions& options) {
  NetworkBuilder net(name, options);
  net.conv("stem", {16, 3, stem_stride}, Activation::Relu, options.first_bits);
  residual_stages(net, {blocks, blocks, blocks}, 16, basic_block, false);
  return finish(net, options);
}

NetworkSpec resnet18(const ZooOptions& options) {
  NetworkBuilder net("resnet18", options);
  large_stem(net, options);
  residual_stages(net, {2, 2, 2, 2}, 64, basic_block, false);
  return finish(net, options);
}

NetworkSpec resnet50(const ZooOptions& options) {
  NetworkBuilder net("resnet50", options);
  large_stem(net, options);
  residual_stages(net, {3, 4, 6, 3}, 64, bottleneck, true);
  return finish(net, options);
}

}  // namespace instantnet
