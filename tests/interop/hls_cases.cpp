#include "interop/hls_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "mapper/random_cases.h"
#include "own_folder.h"

namespace instantnet::interop {
namespace {

int64_t from_to(Rng& rng, int64_t least, int64_t most) {
  return least + static_cast<int64_t>(rng.below(static_cast<uint64_t>(most - least + 1)));
}

Node conv(const std::string& name, const std::string& input, int64_t channels, int64_t kernel,
          Activation activation = Activation::Relu) {
  Node node{.name = name, .op = Op::Conv, .inputs = {input}};
  node.channels = channels;
  node.kernel = kernel;
  node.padding = kernel / 2;
  node.activation = activation;
  return node;
}

/// A window that fits an image of `side` pixels.
Node random_conv(Rng& rng, int number, int64_t channels, int64_t side) {
  Node node = conv(fmt::format("conv{}", number), number == 0 ? "input" : "", 1, 1);
  node.inputs = {number == 0 ? "input" : fmt::format("conv{}", number - 1)};
  const bool depthwise = channels > 1 && rng.flip(0.3);
  if (depthwise)
    node.groups = channels;
  else if (channels % 2 == 0 && rng.flip(0.4))
    node.groups = 2;
  node.channels =
      node.groups * (depthwise ? 1 : from_to(rng, 1, 7 / std::min<int64_t>(node.groups, 3)));
  node.kernel = from_to(rng, 1, 4);
  node.stride = rng.flip(0.7) ? 1 : 2;
  node.dilation = rng.flip(0.7) ? 1 : 2;
  while (node.dilation * (node.kernel - 1) + 1 > side)
    node.dilation > 1 ? --node.dilation : --node.kernel;
  node.padding = from_to(rng, 0, node.kernel - 1);
  if (side < 4) node.stride = 1, node.padding = std::max(node.padding, node.kernel / 2);
  node.activation = rng.flip()   ? Activation::Relu
                    : rng.flip() ? Activation::Relu6
                                 : Activation::None;
  return node;
}

}  // namespace

NetworkSpec small_network() {
  NetworkSpec spec;
  spec.name = "small";
  spec.height = 9, spec.width = 10;
  spec.classes = 5;
  Node stem = conv("stem", "input", 8, 3);
  stem.bits = 32;
  Node grouped = conv("grouped", "stem", 12, 1);
  grouped.groups = 2;
  Node mixed{.name = "mixed", .op = Op::ChannelShuffle, .inputs = {"grouped"}};
  mixed.groups = 3;
  Node depthwise = conv("depthwise", "mixed", 12, 3, Activation::Relu6);
  depthwise.groups = 12;
  Node narrow = conv("narrow", "depthwise", 8, 1, Activation::None);
  Node sum{.name = "sum", .op = Op::Add, .inputs = {"narrow", "stem"}};
  sum.activation = Activation::Relu;
  Node largest{.name = "largest", .op = Op::MaxPool, .inputs = {"sum"}};
  largest.kernel = 3, largest.stride = 2, largest.padding = 1;
  Node wide = conv("wide", "largest", 10, 3);
  wide.dilation = 2, wide.padding = 2;
  Node mean{.name = "mean", .op = Op::AvgPool, .inputs = {"wide"}};
  mean.kernel = 2, mean.stride = 2;
  Node flat{.name = "flat", .op = Op::Flatten, .inputs = {"mean"}};
  Node last{.name = "last", .op = Op::Linear, .inputs = {"flat"}};
  last.channels = spec.classes;
  last.bits = 32;
  spec.nodes = {stem, grouped, mixed, depthwise, narrow, sum, largest, wide, mean, flat, last};
  return spec;
}

NetworkSpec random_chain(Rng& rng, int layers) {
  NetworkSpec spec;
  spec.name = "chain";
  spec.channels = from_to(rng, 1, 4);
  spec.height = from_to(rng, 4, 9), spec.width = from_to(rng, 4, 9);
  spec.classes = from_to(rng, 2, 7);
  TensorShape shape{spec.channels, spec.height, spec.width, false};
  for (int i = 0; i < layers; ++i) {
    const Node node = random_conv(rng, i, shape.channels, std::min(shape.height, shape.width));
    spec.nodes.push_back(node);
    const int64_t window = node.dilation * (node.kernel - 1) + 1;
    shape.channels = node.channels;
    shape.height = (shape.height + 2 * node.padding - window) / node.stride + 1;
    shape.width = (shape.width + 2 * node.padding - window) / node.stride + 1;
  }
  spec.nodes.push_back({.name = "flat", .op = Op::Flatten, .inputs = {spec.nodes.back().name}});
  Node last{.name = "last", .op = Op::Linear, .inputs = {"flat"}};
  last.channels = spec.classes;
  spec.nodes.push_back(last);
  return spec;
}

mapper::MappingPlan random_plan(Rng& rng, const NetworkSpec& network, const std::vector<int>& bits,
                                const mapper::Accelerator& device) {
  mapper::MappingPlan plan;
  plan.network = network.name;
  plan.accelerator = device;
  plan.options.bits = bits;
  for (const mapper::Workload& work : mapper::workloads_of(network))
    for (const int one : bits) {
      mapper::LayerPlan layer{work.name, one, work.bits, work.count, work.shape, {}};
      for (bool priced = false; !priced;) {
        layer.found.mapping = mapper::random_mapping(rng, work.shape, device);
        const auto answer =
            mapper::evaluate(work.shape, layer.precision(), device, layer.found.mapping);
        if (const auto* cost = std::get_if<mapper::Cost>(&answer))
          layer.found.cost = *cost, priced = true;
      }
      plan.layers.push_back(std::move(layer));
    }
  plan.stages.resize(bits.size());
  return plan;
}

Outcome compile_and_run(const HlsDesign& design, const std::string& flags) {
  static int number = 0;
  const std::string folder = fmt::format("{}hls{}", own_folder(), number++);
  write_hls(design, folder, false);
  const std::string command = fmt::format(
      "cd '{}' && c++ -std=c++14 -Wall -Wextra -Werror -Wno-unknown-pragmas -DIN_CHECK_WRAP "
      "-DIN_COUNT_STEPS {} -o testbench *.cpp 2>&1 && ./testbench golden 2>&1",
      folder, flags);
  Outcome outcome;
  FILE* pipe = ::popen(command.c_str(), "r");
  std::array<char, 4096> part;
  while (std::fgets(part.data(), part.size(), pipe) != nullptr) outcome.output += part.data();
  outcome.code = ::pclose(pipe);
  return outcome;
}

}  // namespace instantnet::interop
