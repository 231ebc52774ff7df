// The search space of InstantNet (Fu et al., DAC 2021), with the cells of FBNet (Wu et al., CVPR
// 2019).
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/net/builder.h"
#include "instantnet/net/families.h"
#include "instantnet/net/zoo.h"

namespace instantnet {
namespace {

/// kK_eE[_gG] as numbers.
struct Cell {
  const char* name;
  int64_t kernel, expansion, groups;
};

constexpr Cell kCells[] = {{"k3_e1", 3, 1, 1}, {"k3_e1_g2", 3, 1, 2}, {"k3_e3", 3, 3, 1},
                           {"k3_e6", 3, 6, 1}, {"k5_e1", 5, 1, 1},    {"k5_e1_g2", 5, 1, 2},
                           {"k5_e3", 5, 3, 1}, {"k5_e6", 5, 6, 1}};

/// The cell's place in the network.
struct Place {
  std::string prefix;  // "cells.3."
  int64_t in_channels = 0, out_channels = 0, stride = 1;

  bool keeps_shape() const { return stride == 1 && in_channels == out_channels; }
};

void add_skip(NetworkBuilder& net, const Place& place) {
  if (place.keeps_shape()) return;
  net.conv(place.prefix + "skip", {place.out_channels, 1, place.stride}, Activation::Relu);
}

void add_block(NetworkBuilder& net, const Place& place, const Cell& cell) {
  const std::string cell_input = net.here();
  const int64_t wide = place.in_channels * cell.expansion;
  net.conv(place.prefix + "conv1", {wide, 1, 1, cell.groups}, Activation::Relu);
  if (cell.groups > 1) net.shuffle(place.prefix + "shuffle", cell.groups);
  net.conv(place.prefix + "conv2", {wide, cell.kernel, place.stride, wide}, Activation::Relu);
  net.conv(place.prefix + "conv3", {place.out_channels, 1, 1, cell.groups}, Activation::None);
  if (place.keeps_shape()) net.add(place.prefix + "add", cell_input, Activation::None);
}

void add_cell(NetworkBuilder& net, const Place& place, const std::string& op) {
  if (op == "skip") return add_skip(net, place);
  for (const Cell& cell : kCells)
    if (op == cell.name) return add_block(net, place, cell);
  fail("search space", fmt::format("unknown operator '{}' in {}{}", op,
                                   place.prefix.substr(0, place.prefix.size() - 1),
                                   suggestion(op, space_operators())));
}

/// Number of cells. Error when the lists of stages differ in length or hold numbers that make no
/// network.
size_t count_cells(const SpaceOptions& options) {
  const size_t stages = options.layers_per_stage.size();
  if (options.channels.size() != stages || options.strides.size() != stages)
    fail(
        "search space",
        fmt::format("layers_per_stage has {} entries, channels {} and strides {}; give one of each "
                    "for each stage.",
                    stages, options.channels.size(), options.strides.size()));
  int64_t cells = 0;
  for (const int64_t layers : options.layers_per_stage) {
    if (layers < 1 || layers > 1000)
      fail("search space",
           fmt::format("layers_per_stage has {}; each stage has 1..1000 cells.", layers));
    cells += layers;
  }
  return static_cast<size_t>(cells);
}

/// One operator a cell. Error when there are neither one nor as many as cells.
std::vector<std::string> one_each(const std::vector<std::string>& operators, size_t cells) {
  if (operators.size() == cells) return operators;
  if (operators.size() == 1) return std::vector<std::string>(cells, operators[0]);
  fail("search space", fmt::format("{} operators are given for {} cells; give one for all, or {}.",
                                   operators.size(), cells, cells));
}

ZooOptions size_of(const SpaceOptions& options) {
  ZooOptions size;
  size.classes = options.classes;
  size.channels = options.input_channels;
  size.height = options.height;
  size.width = options.width;
  return size;
}

/// "space:k3_e3" when all cells are alike, "space" otherwise.
std::string space_name(const std::vector<std::string>& operators) {
  const bool alike = std::all_of(operators.begin(), operators.end(),
                                 [&](const auto& op) { return op == operators[0]; });
  return alike && !operators.empty() ? "space:" + operators[0] : "space";
}

}  // namespace

const std::vector<std::string>& space_operators() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> result;
    for (const Cell& cell : kCells) result.emplace_back(cell.name);
    result.emplace_back("skip");
    return result;
  }();
  return names;
}

NetworkSpec space_network(const std::vector<std::string>& operators, const SpaceOptions& options) {
  const std::vector<std::string> chosen = one_each(operators, count_cells(options));
  NetworkBuilder net(space_name(chosen), size_of(options));
  net.conv("stem", {options.stem_channels, 3}, Activation::Relu, options.first_bits);
  int64_t channels = options.stem_channels;
  size_t cell = 0;
  for (size_t stage = 0; stage < options.layers_per_stage.size(); ++stage) {
    for (int64_t i = 0; i < options.layers_per_stage[stage]; ++i, ++cell) {
      const int64_t stride = i == 0 ? options.strides[stage] : 1;
      add_cell(net, {fmt::format("cells.{}.", cell), channels, options.channels[stage], stride},
               chosen[cell]);
      channels = options.channels[stage];
    }
  }
  net.conv("header", {options.header_channels}, Activation::Relu, options.header_bits);
  net.plain("pool", Op::GlobalAvgPool);
  net.linear("fc", options.classes, options.last_bits);
  return net.done();
}

NetworkSpec space_of(const std::string& op, const ZooOptions& options) {
  SpaceOptions space;
  space.input_channels = options.channels;
  space.height = options.height;
  space.width = options.width;
  space.classes = options.classes;
  space.first_bits = options.first_bits;
  space.header_bits = space.last_bits = options.last_bits;
  return space_network({op}, space);
}

}  // namespace instantnet
