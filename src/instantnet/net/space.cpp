// The search space of InstantNet (Fu et al., DAC 2021), with the cells of FBNet (Wu et al., CVPR
// 2019).
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/net/families.h"
#include "instantnet/net/search_space.h"
#include "instantnet/net/zoo.h"

namespace instantnet {
namespace {

/// Position of the operator of cell `cell`.
size_t operator_index(const std::string& op, size_t cell) {
  const std::vector<std::string>& known = space_operators();
  const auto found = std::find(known.begin(), known.end(), op);
  if (found == known.end())
    fail("search space",
         fmt::format("unknown operator '{}' in cells.{}{}", op, cell, suggestion(op, known)));
  return static_cast<size_t>(found - known.begin());
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

SearchSpace space_of_options(const SpaceOptions& options) {
  SearchSpace space;
  space.cells = options.layers_per_stage;
  space.channels = options.channels;
  space.strides = options.strides;
  space.operators = space_operators();
  space.stem_channels = options.stem_channels;
  space.header_channels = options.header_channels;
  space.first_bits = options.first_bits;
  space.header_bits = options.header_bits;
  space.last_bits = options.last_bits;
  return space;
}

/// "space:k3_e3" when all cells are alike, "space" otherwise.
std::string space_name(const std::vector<std::string>& operators) {
  const bool alike = std::all_of(operators.begin(), operators.end(),
                                 [&](const auto& op) { return op == operators[0]; });
  return alike && !operators.empty() ? "space:" + operators[0] : "space";
}

}  // namespace

const std::vector<std::string>& space_operators() {
  static const std::vector<std::string> names = SearchSpace{}.operators;
  return names;
}

NetworkSpec space_network(const std::vector<std::string>& operators, const SpaceOptions& options) {
  const std::vector<std::string> chosen = one_each(operators, count_cells(options));
  Architecture architecture;
  for (size_t cell = 0; cell < chosen.size(); ++cell)
    architecture.push_back(operator_index(chosen[cell], cell));
  const SpaceImage image{options.input_channels, options.height, options.width, options.classes};
  return network_of(space_of_options(options), image, architecture, space_name(chosen));
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
