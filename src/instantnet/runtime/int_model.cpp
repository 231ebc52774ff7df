#include "instantnet/runtime/int_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>

#include "instantnet/core/error.h"
#include "instantnet/runtime/graph.h"

namespace instantnet::runtime {
namespace {

/// The most values of one tensor, weights of one sum, and layers.
constexpr int64_t kMostValues = int64_t{1} << 28;
constexpr size_t kMostNodes = 10000;

/// A shift or lowest value: any number far from float's ends.
bool is_number(float value) { return std::isfinite(value) && std::fabs(value) < 1e30F; }
/// A range: a positive one.
bool is_range(float value) { return value > 1e-30F && value < 1e30F; }

void check_count(size_t given, int64_t wanted, const char* what, const std::string& where) {
  if (given != static_cast<size_t>(wanted))
    fail(where, fmt::format("it has {} {}; its shape needs {}.", given, what, wanted));
}

/// Some value may not be a number as is_number wants it. A loop that compilers make wide: the bits
/// of positive floats are ordered as the floats are.
bool may_be_bad(std::span<const float> values) {
  constexpr uint32_t kLargest = std::bit_cast<uint32_t>(1e30F) - 1;
  uint32_t beyond = 0;
  for (const float value : values)
    beyond |= kLargest - (std::bit_cast<uint32_t>(value) & 0x7FFFFFFF);
  return beyond >> 31 != 0;
}

void check_numbers(std::span<const float> values, const char* what, const std::string& where) {
  if (!may_be_bad(values)) return;
  for (size_t i = 0; i < values.size(); ++i)
    if (!is_number(values[i]))
      fail(where,
           fmt::format("{} number {} is {}; each is finite and below 1e30.", what, i, values[i]));
}

void check_ranges(const std::vector<float>& values, const char* what, const std::string& where) {
  for (size_t i = 0; i < values.size(); ++i)
    if (!is_range(values[i]))
      fail(where, fmt::format("{} number {} is {}; each lies between 1e-30 and 1e30.", what, i,
                              values[i]));
}

std::vector<int> integer_bits(const IntModel& model) {
  std::vector<int> bits = model.bits;
  std::erase(bits, 32);
  return bits;
}

void check_weights(const IntLayer& layer, const LayerShape& shape, const std::string& where) {
  check_count(layer.codes.size(), shape.weights(), "weight codes", where);
  check_count(layer.range.size(), shape.k, "weight ranges", where);
  check_count(layer.low.size(), layer.lattice == Lattice::Sbm ? shape.k : 0, "lowest weights",
              where);
  check_ranges(layer.range, "weight range", where);
  check_numbers(layer.low, "lowest weight", where);
  const int largest = (1 << layer.master_bits) - 1;
  uint16_t together = 0;  // a loop that compilers make wide
  for (const uint16_t code : std::as_const(layer.codes)) together |= code;
  if (together <= largest) return;
  const auto bad = std::find_if(layer.codes.begin(), layer.codes.end(),
                                [&](uint16_t code) { return code > largest; });
  fail(where, fmt::format("weight code number {} is {}; codes of {} bits are 0 .. {}.",
                          bad - layer.codes.begin(), *bad, layer.master_bits, largest));
}

void check_input_range(const LayerWidth& width, const IntLayer& layer, const LayerShape& shape,
                       const std::string& where) {
  const bool image = layer.input == InputKind::Image;
  const bool depthwise = shape.c == 1 && shape.groups > 1;
  const size_t count = width.range.size();
  if (image ? count != 0 : count != 1 && !(depthwise && count == static_cast<size_t>(shape.groups)))
    fail(where, fmt::format("it has {} input ranges at {} bits; it needs {}.", count, width.bits,
                            image       ? "none, as it reads pixels"
                            : depthwise ? "one, or one a channel"
                                        : "one"));
  check_count(width.low.size(), layer.input == InputKind::Offset ? static_cast<int64_t>(count) : 0,
              "lowest inputs", where);
  check_ranges(width.range, "input range", where);
  check_numbers(width.low, "lowest input", where);
}

void check_widths(const IntModel& model, const IntLayer& layer, const LayerShape& shape,
                  const std::string& where) {
  std::vector<int> bits;
  for (const LayerWidth& width : layer.widths) bits.push_back(width.bits);
  if (bits != integer_bits(model))
    fail(where, fmt::format("it has the bit-widths [{}]; the network has [{}].",
                            fmt::join(bits, ", "), fmt::join(integer_bits(model), ", ")));
  for (const LayerWidth& width : layer.widths) {
    check_count(width.scale.size(), shape.k, "scales", where);
    check_count(width.shift.size(), shape.k, "shifts", where);
    check_numbers(width.scale, "scale", where);
    check_numbers(width.shift, "shift", where);
    check_input_range(width, layer, shape, where);
  }
}

/// Widths the layer's weights and inputs may be asked for.
void check_layer_bits(const IntModel& model, const IntLayer& layer, int node_bits,
                      const std::string& where) {
  if (layer.master_bits != 8 && layer.master_bits != 16)
    fail(where, fmt::format("its codes have {} bits; they have 8 or 16.", layer.master_bits));
  std::vector<int> asked = {node_bits == 32 ? 16 : node_bits};
  if (node_bits == 0) asked = integer_bits(model);
  if (asked.back() > layer.master_bits)
    fail(where, fmt::format("it runs at {} bits, but its codes have only {}.", asked.back(),
                            layer.master_bits));
  if (layer.input == InputKind::Signed && asked.front() < 2)
    fail(where, "its input codes are signed, which needs at least 2 bits.");
}

void check_layer(const IntModel& model, const Graph& graph, size_t i) {
  const IntLayer& layer = model.layers[i];
  const int node = graph.layers[i].node;
  const std::string where = fmt::format("model '{}', layer '{}'", model.spec.name,
                                        model.spec.nodes[static_cast<size_t>(node)].name);
  if (layer.node != model.spec.nodes[static_cast<size_t>(node)].name)
    fail(where, fmt::format("the weights at its place are those of '{}'.", layer.node));
  const LayerShape& shape = graph.layers[i].loops;
  if (shape.c * shape.r * shape.s >= kMostValues)
    fail(where, fmt::format("its sums have 2^28 terms or more; that is too many."));
  check_layer_bits(model, layer, model.spec.nodes[static_cast<size_t>(node)].bits, where);
  if (layer.input == InputKind::Image && graph.producer(graph.layers[i].input) != kImage)
    fail(where, "its input is said to be pixels, but it does not read the image.");
  check_weights(layer, shape, where);
  check_widths(model, layer, shape, where);
  if (model.floats.empty()) return;
  const FloatLayer& floats = model.floats[i];
  check_count(floats.weights.size(), shape.weights(), "float weights", where);
  check_count(floats.scale.size(), shape.k, "float scales", where);
  check_count(floats.shift.size(), shape.k, "float shifts", where);
  check_numbers(floats.weights, "float weight", where);
  check_numbers(floats.scale, "float scale", where);
  check_numbers(floats.shift, "float shift", where);
}

void check_sizes(const Graph& graph, const std::string& where) {
  for (const TensorShape& shape : graph.shapes)
    if (shape.channels >= kMostValues / shape.height / shape.width)
      fail(where,
           fmt::format("an image of {} x {} x {} values is too large to run; at most 2^28 are.",
                       shape.channels, shape.height, shape.width));
  for (int i = 0; i <= graph.output(); ++i) {
    const Node& node = graph.node(i);
    if (std::max({node.kernel, node.padding, node.stride, node.dilation}) > 32767)
      fail(where, fmt::format("layer '{}' has a window of more than 32767 pixels.", node.name));
    const TensorShape& in = graph.shape(graph.inputs[static_cast<size_t>(i)][0]);
    const int64_t height = in.height + 2 * node.padding, width = in.width + 2 * node.padding;
    if (in.channels >= kMostValues / height / width)
      fail(where, fmt::format("layer '{}' pads its input to {} x {} x {} values; at most 2^28 are.",
                              node.name, in.channels, height, width));
  }
}

}  // namespace

void check(const IntModel& model) {
  const std::string where = fmt::format("model '{}'", model.spec.name);
  if (model.spec.nodes.size() > kMostNodes)
    fail(where, fmt::format("it has {} layers; at most {} can be run.", model.spec.nodes.size(),
                            kMostNodes));
  instantnet::check(model.spec);
  check_bits(model.bits, where);
  if (integer_bits(model).empty())
    fail(where, "it has no bit-width below 32; an integer model needs one.");
  const Graph graph(model.spec);
  check_sizes(graph, where);
  check_count(model.normalisation.mean.size(), model.spec.channels, "means", where);
  check_count(model.normalisation.deviation.size(), model.spec.channels, "deviations", where);
  check_numbers(model.normalisation.mean, "mean", where);
  check_ranges(model.normalisation.deviation, "deviation", where);
  check_count(model.layers.size(), static_cast<int64_t>(graph.layers.size()), "layers", where);
  if (!model.floats.empty())
    check_count(model.floats.size(), static_cast<int64_t>(graph.layers.size()), "float layers",
                where);
  if (model.bits.back() == 32 && model.floats.empty())
    fail(where, "it lists 32 bits but has no float weights.");
  if (!model.classes.empty())
    check_count(model.classes.size(), model.spec.classes, "class names", where);
  for (size_t i = 0; i < graph.layers.size(); ++i) check_layer(model, graph, i);
}

}  // namespace instantnet::runtime
