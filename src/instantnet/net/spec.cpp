#include "instantnet/net/spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <optional>

#include "instantnet/core/error.h"
#include "instantnet/net/places.h"

namespace instantnet {
namespace {

/// a * b * ..., or nothing when it does not fit 63 bits. All factors >= 0.
std::optional<int64_t> product(std::initializer_list<int64_t> factors) {
  int64_t result = 1;
  for (const int64_t factor : factors)
    if (__builtin_mul_overflow(result, factor, &result)) return std::nullopt;
  return result;
}

/// a + b; Error at `where` when it does not fit 63 bits.
int64_t sum(int64_t a, int64_t b, const std::string& where, std::string_view what) {
  int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result))
    fail(where,
         fmt::format("its {} exceed 2^63 - 1 and cannot be counted; make the layers smaller.",
                     what));
  return result;
}

/// "16 x 32 x 32", or "64 values" when flat.
std::string shape_text(const TensorShape& shape) {
  if (shape.flat) return fmt::format("{} values", shape.channels);
  return fmt::format("{} x {} x {}", shape.channels, shape.height, shape.width);
}

void check_size(const std::string& where, std::string_view what, int64_t value, int64_t least) {
  if (value < least || value > kLargestSize)
    fail(where, fmt::format("{} is {}; it may be {}..{}.", what, value, least, kLargestSize));
}

/// The numbers shape arithmetic relies on.
void check_sizes(const Node& node, const std::string& where) {
  if (node.op == Op::Conv || node.op == Op::Linear) check_size(where, "channels", node.channels, 1);
  check_size(where, "kernel", node.kernel, 1);
  check_size(where, "stride", node.stride, 1);
  check_size(where, "padding", node.padding, 0);
  check_size(where, "dilation", node.dilation, 1);
  check_size(where, "groups", node.groups, 1);
}

void check_image(const NetworkSpec& spec, const std::string& where) {
  check_size(where, "input channels", spec.channels, 1);
  check_size(where, "input height", spec.height, 1);
  check_size(where, "input width", spec.width, 1);
  check_size(where, "classes", spec.classes, 1);
  if (spec.nodes.empty())
    fail(where, "it has no layers; give at least one that gives the classes.");
}

void need_image(const Node& node, const TensorShape& in, const std::string& where) {
  if (in.flat)
    fail(where, fmt::format("op {} needs an image, but '{}' gives {} in a row; put it before "
                            "pooling or flattening.",
                            to_string(node.op), node.inputs[0], shape_text(in)));
}

/// Windows of `reach` pixels that fit into `size` + 2 * padding, `stride` apart.
int64_t window_count(int64_t size, int64_t reach, int64_t stride, int64_t padding) {
  return (size + 2 * padding - reach) / stride + 1;
}

/// Height and width after sliding the node's window.
TensorShape slide(const Node& node, const TensorShape& in, int64_t channels,
                  const std::string& where) {
  need_image(node, in, where);
  const int64_t reach = node.dilation * (node.kernel - 1) + 1;
  const int64_t least = std::min(in.height, in.width) + 2 * node.padding;
  if (reach > least)
    fail(where,
         fmt::format(
             "its kernel reaches over {} pixels but its padded input '{}' is only {} x {}; use a "
             "smaller kernel or stride before it, more padding or a larger image.",
             reach, node.inputs[0], in.height + 2 * node.padding, in.width + 2 * node.padding));
  return {channels, window_count(in.height, reach, node.stride, node.padding),
          window_count(in.width, reach, node.stride, node.padding), false};
}

void check_groups(const Node& node, int64_t channels, std::string_view which,
                  const std::string& where) {
  if (channels % node.groups != 0)
    fail(where, fmt::format("{} {} channels do not divide into {} groups; groups must divide them.",
                            channels, which, node.groups));
}

TensorShape conv_shape(const Node& node, const TensorShape& in, const std::string& where) {
  const TensorShape out = slide(node, in, node.channels, where);
  check_groups(node, in.channels, "input", where);
  check_groups(node, node.channels, "output", where);
  return out;
}

TensorShape add_shape(const Node& node, const std::vector<TensorShape>& in,
                      const std::string& where) {
  for (size_t i = 1; i < in.size(); ++i)
    if (!(in[i] == in[0]))
      fail(where,
           fmt::format(
               "it adds unlike shapes: '{}' gives {} and '{}' gives {}; both must be the same.",
               node.inputs[0], shape_text(in[0]), node.inputs[i], shape_text(in[i])));
  return in[0];
}

TensorShape linear_shape(const Node& node, const TensorShape& in, const std::string& where) {
  if (!in.flat)
    fail(where,
         fmt::format(
             "op linear needs values in a row, but '{}' gives an image of {}; put flatten or "
             "global_avg_pool before it.",
             node.inputs[0], shape_text(in)));
  return {node.channels, 1, 1, true};
}

TensorShape pool_shape(const Node& node, const TensorShape& in, const std::string& where) {
  if (2 * node.padding > node.kernel)
    fail(where,
         fmt::format("padding {} is more than half of the pooling kernel {}; it may be 0..{}.",
                     node.padding, node.kernel, node.kernel / 2));
  return slide(node, in, in.channels, where);
}

TensorShape flat_shape(const Node& node, const TensorShape& in, int64_t features,
                       const std::string& where) {
  need_image(node, in, where);
  return {features, 1, 1, true};
}

TensorShape shuffle_shape(const Node& node, const TensorShape& in, const std::string& where) {
  need_image(node, in, where);
  check_groups(node, in.channels, "input", where);
  return in;
}

/// Output shape of a node whose sizes are in range and whose inputs are known.
TensorShape output_shape(const Node& node, const std::vector<TensorShape>& in,
                         const std::string& where) {
  switch (node.op) {
    case Op::Conv:
      return conv_shape(node, in[0], where);
    case Op::Linear:
      return linear_shape(node, in[0], where);
    case Op::Add:
      return add_shape(node, in, where);
    case Op::MaxPool:
    case Op::AvgPool:
      return pool_shape(node, in[0], where);
    case Op::GlobalAvgPool:
      return flat_shape(node, in[0], in[0].channels, where);
    case Op::Flatten:
      return flat_shape(node, in[0], in[0].channels * in[0].height * in[0].width, where);
    case Op::ChannelShuffle:
      return shuffle_shape(node, in[0], where);
    case Op::Dropout:
      return in[0];
  }
  bug("a node has an op that does not exist");
}

void check_countable(const TensorShape& shape, const std::string& where) {
  if (!product({shape.channels, shape.height, shape.width}))
    fail(where,
         fmt::format(
             "its output of {} is too large to count; the values of a tensor must fit 63 bits.",
             shape_text(shape)));
}

/// Number of inputs the op takes.
void check_input_count(const Node& node, const std::string& where) {
  const size_t count = node.inputs.size();
  if (node.op == Op::Add && count < 2)
    fail(where,
         fmt::format("op add has {} input{}; it sums at least two, for example inputs: [a, b].",
                     count, count == 1 ? "" : "s"));
  if (node.op != Op::Add && count != 1)
    fail(where,
         fmt::format("op {} has {} inputs; it takes exactly one.", to_string(node.op), count));
}

/// Names of nodes seen so far, and what they give.
class Known {
 public:
  Known(const NetworkSpec& spec, const Places& places) : spec_(spec), places_(places) {
    shapes_["input"] = {spec.channels, spec.height, spec.width, false};
    check_countable(shapes_["input"], places.network);
  }

  void add(size_t i, const TensorShape& shape) {
    const std::string& name = spec_.nodes[i].name;
    if (name == "input")
      fail(places_.nodes[i], "'input' is the name of the image; give the layer another name.");
    if (!shapes_.emplace(name, shape).second)
      fail(places_.nodes[i],
           fmt::format("the name '{}' is used twice; give each layer its own.", name));
  }

  const TensorShape& get(size_t i, const std::string& name) const {
    const auto found = shapes_.find(name);
    if (found == shapes_.end()) fail(places_.nodes[i], unknown_sentence(i, name));
    return found->second;
  }

 private:
  std::string unknown_sentence(size_t i, const std::string& name) const {
    for (size_t later = i; later < spec_.nodes.size(); ++later)
      if (spec_.nodes[later].name == name)
        return fmt::format("its input '{}' does not come before it; move that layer up.", name);
    std::vector<std::string> earlier;
    for (const auto& [one, shape] : shapes_) earlier.push_back(one);
    const std::string near = nearest(name, earlier);
    return fmt::format("its input '{}' is unknown{}", name,
                       near.empty()
                           ? "; give the name of an earlier layer, or 'input' for the image."
                           : fmt::format(", did you mean '{}'?", near));
  }

  const NetworkSpec& spec_;
  const Places& places_;
  std::map<std::string, TensorShape> shapes_;
};

void check_classes(const NetworkSpec& spec, const TensorShape& last, const Places& places) {
  const TensorShape wanted = {spec.classes, 1, 1, true};
  if (last == wanted) return;
  fail(places.nodes.back(),
       fmt::format("it is the last layer and gives {}, but the network has {} classes; end with "
                   "a linear layer of {} channels.",
                   shape_text(last), spec.classes, spec.classes));
}

/// Loop bounds of a convolution or linear layer, batch 1; nothing for other ops.
std::optional<LayerShape> loops(const Node& node, const TensorShape& in, const TensorShape& out) {
  LayerShape shape;
  shape.k = node.channels;
  if (node.op == Op::Linear) {
    shape.c = in.channels;
    return shape;
  }
  if (node.op != Op::Conv) return std::nullopt;
  shape.c = in.channels / node.groups;
  shape.p = out.height;
  shape.q = out.width;
  shape.r = shape.s = node.kernel;
  shape.stride = node.stride;
  shape.dilation = node.dilation;
  shape.groups = node.groups;
  return shape;
}

/// shape.macs() without overflow.
int64_t checked_macs(const LayerShape& shape, const std::string& where) {
  const auto macs = product({shape.n, shape.k, shape.c, shape.p, shape.q, shape.r, shape.s});
  if (!macs)
    fail(where,
         "its multiply-accumulates exceed 2^63 - 1 and cannot be counted; make the layer smaller.");
  return *macs;
}

/// Weights, bias, and scale and shift of the batch norm. No overflow when the multiply-accumulates
/// have none.
int64_t parameters(const Node& node, const LayerShape& shape, const std::string& where) {
  const int64_t extras = shape.k * (int64_t{node.bias} + 2 * int64_t{node.batch_norm});
  return sum(shape.weights(), extras, where, "parameters");
}

/// Shape of the node's first input.
TensorShape first_input(const NetworkSpec& spec, const std::vector<TensorShape>& outputs,
                        size_t i) {
  if (spec.nodes[i].inputs[0] == "input") return {spec.channels, spec.height, spec.width, false};
  for (size_t j = i; j-- > 0;)
    if (spec.nodes[j].name == spec.nodes[i].inputs[0]) return outputs[j];
  bug("infer_shapes accepted an unknown input");
}

}  // namespace

Places places_by_name(const NetworkSpec& spec) {
  Places places{fmt::format("network '{}'", spec.name), {}};
  for (const Node& node : spec.nodes)
    places.nodes.push_back(fmt::format("{}, layer '{}'", places.network, node.name));
  return places;
}

std::vector<TensorShape> infer_shapes_at(const NetworkSpec& spec, const Places& places) {
  check_image(spec, places.network);
  Known known(spec, places);
  std::vector<TensorShape> outputs;
  for (size_t i = 0; i < spec.nodes.size(); ++i) {
    const Node& node = spec.nodes[i];
    check_sizes(node, places.nodes[i]);
    check_input_count(node, places.nodes[i]);
    std::vector<TensorShape> in;
    for (const std::string& name : node.inputs) in.push_back(known.get(i, name));
    outputs.push_back(output_shape(node, in, places.nodes[i]));
    check_countable(outputs.back(), places.nodes[i]);
    known.add(i, outputs.back());
  }
  check_classes(spec, outputs.back(), places);
  return outputs;
}

std::vector<TensorShape> infer_shapes(const NetworkSpec& spec) {
  return infer_shapes_at(spec, places_by_name(spec));
}

std::vector<NodeSummary> summarize_at(const NetworkSpec& spec, const Places& places) {
  const std::vector<TensorShape> outputs = infer_shapes_at(spec, places);
  std::vector<NodeSummary> result;
  for (size_t i = 0; i < spec.nodes.size(); ++i) {
    const Node& node = spec.nodes[i];
    NodeSummary one{node.name, node.op, first_input(spec, outputs, i), outputs[i], 0, 0};
    if (const auto shape = loops(node, one.input, one.output)) {
      one.macs = checked_macs(*shape, places.nodes[i]);
      one.parameters = parameters(node, *shape, places.nodes[i]);
    }
    result.push_back(std::move(one));
  }
  return result;
}

std::vector<NodeSummary> summarize(const NetworkSpec& spec) {
  return summarize_at(spec, places_by_name(spec));
}

std::vector<NamedLayer> layers(const NetworkSpec& spec) {
  const Places places = places_by_name(spec);
  const std::vector<NodeSummary> summaries = summarize_at(spec, places);
  std::vector<NamedLayer> result;
  for (size_t i = 0; i < spec.nodes.size(); ++i)
    if (const auto shape = loops(spec.nodes[i], summaries[i].input, summaries[i].output))
      result.push_back({spec.nodes[i].name, *shape, spec.nodes[i].bits});
  return result;
}

int64_t count_macs(const NetworkSpec& spec) {
  const Places places = places_by_name(spec);
  int64_t total = 0;
  for (const NodeSummary& node : summarize_at(spec, places))
    total = sum(total, node.macs, places.network, "multiply-accumulates");
  return total;
}

int64_t count_parameters(const NetworkSpec& spec) {
  const Places places = places_by_name(spec);
  int64_t total = 0;
  for (const NodeSummary& node : summarize_at(spec, places))
    total = sum(total, node.parameters, places.network, "parameters");
  return total;
}

}  // namespace instantnet
