#include "instantnet/net/search_space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/net/builder.h"

namespace instantnet {
namespace {

constexpr const char* kWhere = "search space";
constexpr const char* kSkip = "skip";

// ---- Operators

/// kK_eE[_gG] or fK_eE[_gG] as numbers.
struct Block {
  bool dense = false;
  int64_t kernel = 1, expansion = 1, groups = 1;
};

/// Takes "PREFIX<number>" off the front of `text`.
std::optional<int64_t> take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  int64_t number = 0;
  const char* first = text.data() + prefix.size();
  const auto [end, error] = std::from_chars(first, text.data() + text.size(), number);
  if (error != std::errc() || end == first || *first == '0' || *first == '-') return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

/// Nothing for a name that is no block's.
std::optional<Block> block_of(std::string_view name) {
  Block block;
  block.dense = name.starts_with("f");
  const auto kernel = take(name, block.dense ? "f" : "k");
  const auto expansion = take(name, "_e");
  if (!kernel || !expansion) return std::nullopt;
  const auto groups = name.empty() ? std::optional<int64_t>(1) : take(name, "_g");
  if (!groups || !name.empty()) return std::nullopt;
  block.kernel = *kernel;
  block.expansion = *expansion;
  block.groups = *groups;
  return block;
}

// ---- Places

/// A cell's place in the network.
struct Place {
  size_t cell = 0;
  int64_t in_channels = 0, out_channels = 0, stride = 1;

  bool keeps_shape() const { return stride == 1 && in_channels == out_channels; }
};

std::vector<Place> places_of(const SearchSpace& space) {
  std::vector<Place> places;
  int64_t channels = space.stem_channels;
  for (size_t stage = 0; stage < space.cells.size(); ++stage)
    for (int64_t i = 0; i < space.cells[stage]; ++i) {
      places.push_back(
          {places.size(), channels, space.channels[stage], i == 0 ? space.strides[stage] : 1});
      channels = space.channels[stage];
    }
  return places;
}

// ---- Building

/// The block's layers behind the last one added; not the identity.
void add_block(NetworkBuilder& net, const std::string& prefix, const Place& place,
               const Block& block) {
  const int64_t wide = place.in_channels * block.expansion;
  const int64_t kernel = block.dense ? block.kernel : 1, stride = block.dense ? place.stride : 1;
  net.conv(prefix + "conv1", {wide, kernel, stride, block.groups}, Activation::Relu);
  if (block.groups > 1) net.shuffle(prefix + "shuffle", block.groups);
  if (!block.dense)
    net.conv(prefix + "conv2", {wide, block.kernel, place.stride, wide}, Activation::Relu);
  net.conv(prefix + (block.dense ? "conv2" : "conv3"), {place.out_channels, 1, 1, block.groups},
           Activation::None);
}

void add_projection(NetworkBuilder& net, const std::string& prefix, const Place& place) {
  net.conv(prefix + kSkip, {place.out_channels, 1, place.stride}, Activation::Relu);
}

ZooOptions size_of(const SpaceImage& image) {
  ZooOptions size;
  size.classes = image.classes;
  size.channels = image.channels;
  size.height = image.height;
  size.width = image.width;
  return size;
}

using AddCell = std::function<void(NetworkBuilder&, const Place&)>;

NetworkSpec chain(const SearchSpace& space, const SpaceImage& image, const std::string& name,
                  const AddCell& add_cell) {
  NetworkBuilder net(name, size_of(image));
  net.conv("stem", {space.stem_channels, 3, space.stem_stride}, Activation::Relu, space.first_bits);
  for (const Place& place : places_of(space)) add_cell(net, place);
  if (space.header_channels > 0)
    net.conv("header", {space.header_channels}, Activation::Relu, space.header_bits);
  net.plain("pool", Op::GlobalAvgPool);
  net.linear("fc", image.classes, space.last_bits);
  return net.done();
}

// ---- Checks

void check_lists(const SearchSpace& space) {
  const size_t stages = space.cells.size();
  if (stages == 0) fail(kWhere, "cells is empty; give the number of cells of each stage.");
  if (space.channels.size() != stages || space.strides.size() != stages)
    fail(kWhere,
         fmt::format("cells has {} entries, channels {} and strides {}; give one of each for each "
                     "stage.",
                     stages, space.channels.size(), space.strides.size()));
  const auto check_each = [](const char* what, const std::vector<int64_t>& values, int64_t most) {
    for (const int64_t value : values)
      if (value < 1 || value > most)
        fail(kWhere, fmt::format("{} has {}; each may be 1..{}.", what, value, most));
  };
  check_each("cells", space.cells, 1000);
  check_each("channels", space.channels, int64_t{1} << 20);
  check_each("strides", space.strides, 16);
}

void check_operators(const SearchSpace& space) {
  if (space.operators.size() < 2)
    fail(kWhere, fmt::format("operators has {} entr{}; a search chooses from at least two.",
                             space.operators.size(), space.operators.size() == 1 ? "y" : "ies"));
  for (size_t i = 0; i < space.operators.size(); ++i) {
    const std::string& name = space.operators[i];
    const auto block = block_of(name);
    if (name != kSkip && !block)
      fail(kWhere, fmt::format("'{}' is no operator; give kK_eE or fK_eE with kernel K and "
                               "expansion E, with _gG for G groups (k3_e6, k5_e1_g2, f3_e2), or "
                               "skip.",
                               name));
    if (block && (block->kernel % 2 == 0 || block->kernel > 31 || block->expansion > 64))
      fail(kWhere, fmt::format("operator '{}': the kernel may be 1, 3, ..., 31 and the expansion "
                               "1..64.",
                               name));
    if (std::find(space.operators.begin(), space.operators.begin() + static_cast<int64_t>(i),
                  name) != space.operators.begin() + static_cast<int64_t>(i))
      fail(kWhere, fmt::format("operator '{}' is there twice; give each once.", name));
  }
}

void check_place(const SearchSpace& space, const Place& place) {
  for (const std::string& name : space.operators) {
    if (name == kSkip && !place.keeps_shape() && !space.skip_projection)
      fail(kWhere,
           fmt::format("cell {} turns {} channels into {} with stride {}, where a skip needs a "
                       "projection; set skip_projection: true, or leave skip out of operators.",
                       place.cell, place.in_channels, place.out_channels, place.stride));
    const auto block = block_of(name);
    if (!block) continue;
    for (const int64_t channels : {place.in_channels, place.out_channels})
      if (channels % block->groups != 0)
        fail(kWhere,
             fmt::format("operator '{}' has {} groups, which do not divide the {} channels of cell "
                         "{}; give channels that are a multiple, or other groups.",
                         name, block->groups, channels, place.cell));
  }
}

// ---- Presets

struct Preset {
  const char* name;
  const char* sentence;
  SearchSpace space;
};

SearchSpace fbnet224() {
  SearchSpace space;
  space.strides = {1, 2, 2, 2, 1, 2, 1};
  space.stem_stride = 2;
  return space;
}

SearchSpace small_space() {
  SearchSpace space;
  space.cells = {2, 2, 2};
  space.channels = {16, 32, 64};
  space.strides = {1, 2, 2};
  space.operators = {"f3_e1", "f3_e2", "f5_e1", "f3_e1_g2", "f3_e2_g2", "skip"};
  space.stem_stride = 2;
  space.header_channels = 0;
  return space;
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"instantnet32",
       "The authors' space for 32x32 images: 22 cells of 9 operators (InstantNet, DAC 2021).",
       SearchSpace{}},
      {"fbnet224", "The same cells for 224x224 images, strides as in FBNet (CVPR 2019), table 1.",
       fbnet224()},
      {"small",
       "Six cells of six dense operators for grey 28x28 images: 46,656 networks, searched in "
       "minutes.",
       small_space()},
  };
  return all;
}

const Preset& find_preset(std::string_view name) {
  for (const Preset& one : presets())
    if (one.name == name) return one;
  fail("space.preset",
       fmt::format("unknown space '{}'{}", name, suggestion(name, space_preset_names())));
}

}  // namespace

const std::vector<std::string>& space_preset_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Preset& one : presets()) list.emplace_back(one.name);
    return list;
  }();
  return names;
}

std::string describe_space(std::string_view name) { return find_preset(name).sentence; }

SearchSpace space_preset(std::string_view name) { return find_preset(name).space; }

void check(const SearchSpace& space, const SpaceImage& image) {
  check_lists(space);
  check_operators(space);
  for (const Place& place : places_of(space)) check_place(space, place);
  supernet_of(space, image);  // shapes
}

size_t cell_count(const SearchSpace& space) {
  int64_t count = 0;
  for (const int64_t cells : space.cells) count += cells;
  return static_cast<size_t>(count);
}

NetworkSpec network_of(const SearchSpace& space, const SpaceImage& image,
                       const Architecture& architecture, const std::string& name) {
  if (architecture.size() != cell_count(space)) bug("an architecture has one operator a cell");
  return chain(space, image, name, [&](NetworkBuilder& net, const Place& place) {
    const std::string prefix = fmt::format("cells.{}.", place.cell);
    const std::string& op = space.operators.at(architecture[place.cell]);
    const std::string input = net.here();
    if (const auto block = block_of(op)) {
      add_block(net, prefix, place, *block);
      if (place.keeps_shape()) net.add(prefix + "add", input, Activation::None);
    } else if (!place.keeps_shape()) {
      add_projection(net, prefix, place);
    }
  });
}

Supernet supernet_of(const SearchSpace& space, const SpaceImage& image, Identity identity) {
  Supernet result;
  result.network = chain(space, image, "supernet", [&](NetworkBuilder& net, const Place& place) {
    MixedCell cell;
    cell.mix = fmt::format("cells.{}.mix", place.cell);
    const std::string input = net.here();
    std::vector<std::string> outputs;
    for (const std::string& op : space.operators) {
      cell.prefix.push_back(fmt::format("cells.{}.{}.", place.cell, op));
      net.go_to(input);
      if (const auto block = block_of(op))
        add_block(net, cell.prefix.back(), place, *block);
      else if (!place.keeps_shape())
        add_projection(net, cell.prefix.back(), place);
      const bool own = identity == Identity::Own;
      if (own && place.keeps_shape() && net.here() != input)
        net.add(cell.prefix.back() + "add", input, Activation::None);
      const bool counts = own || net.here() != input;
      cell.input_of.push_back(counts ? static_cast<int>(outputs.size()) : -1);
      if (counts) outputs.push_back(net.here());
    }
    if (place.keeps_shape() && identity == Identity::Shared) {
      cell.identity = static_cast<int>(outputs.size());
      outputs.push_back(input);
    }
    net.go_to(outputs[0]);
    Node& mix = net.add(cell.mix, outputs[1], Activation::None);
    mix.inputs = outputs;
    result.cells.push_back(std::move(cell));
  });
  return result;
}

SpaceLayers layers_of(const Supernet& supernet) {
  SpaceLayers result;
  for (const MixedCell& cell : supernet.cells) result.cells.emplace_back(cell.prefix.size());
  const auto place = [&](const NamedLayer& layer) -> std::vector<NamedLayer>& {
    for (size_t i = 0; i < supernet.cells.size(); ++i)
      for (size_t k = 0; k < supernet.cells[i].prefix.size(); ++k)
        if (layer.name.starts_with(supernet.cells[i].prefix[k])) return result.cells[i][k];
    return result.fixed;
  };
  for (const NamedLayer& layer : layers(supernet.network)) place(layer).push_back(layer);
  return result;
}

}  // namespace instantnet
