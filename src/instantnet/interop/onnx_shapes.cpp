#include "instantnet/interop/onnx_shapes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/interop/onnx_step.h"
#include "instantnet/interop/onnx_window.h"

namespace instantnet::interop {
namespace {

// ---- Element by element

void same(OnnxStep& step) {
  const OnnxSizes sizes = step.shape(0);
  for (size_t i = 0; i < std::max<size_t>(step.outputs(), 1); ++i) step.set_shape(sizes, i);
}

void same_first(OnnxStep& step) { step.set_shape(step.shape(0)); }

/// numpy's rule: from the last size on, equal or 1.
OnnxSizes broadcast(OnnxSizes left, OnnxSizes right) {
  if (left.size() < right.size()) std::swap(left, right);
  right.insert(right.begin(), left.size() - right.size(), 1);
  for (size_t i = 0; i < left.size(); ++i) {
    if (left[i] != right[i] && left[i] != 1 && right[i] != 1)
      throw OnnxUnknown{fmt::format("sizes {} and {} do not go together", left[i], right[i])};
    left[i] = std::max(left[i], right[i]);
  }
  return left;
}

void elementwise(OnnxStep& step) {
  OnnxSizes sizes = step.shape(0);
  for (size_t i = 1; i < step.inputs(); ++i) sizes = broadcast(sizes, step.shape(i));
  step.set_shape(sizes);
}

// ---- Windows

OnnxSizes with_axes(int64_t images, int64_t channels, const std::vector<OnnxAxis>& axes) {
  OnnxSizes sizes = {images, channels};
  for (const OnnxAxis& axis : axes) sizes.push_back(axis.out);
  return sizes;
}

const OnnxSizes& image(const OnnxStep& step) {
  const OnnxSizes& sizes = step.shape(0);
  if (sizes.size() < 3) throw OnnxUnknown{fmt::format("its data have {} sizes", sizes.size())};
  return sizes;
}

template <size_t WeightsAt>
void convolution(OnnxStep& step) {
  const OnnxSizes& input = image(step);
  const OnnxSizes& weights = step.shape(WeightsAt);
  if (weights.size() < 3)
    throw OnnxUnknown{fmt::format("its weights have {} sizes", weights.size())};
  const OnnxSizes kernel(weights.begin() + 2, weights.end());
  step.set_shape(
      with_axes(input[0], weights[0], window_axes(step.node(), input, kernel, false, "")));
}

/// The size that a convolution with these attributes would bring down to the input's.
void transposed_convolution(OnnxStep& step) {
  const OnnxSizes& input = image(step);
  const OnnxSizes& weights = step.shape(1);
  if (weights.size() != input.size()) throw OnnxUnknown{"its weights do not go with its data"};
  const size_t count = input.size() - 2;
  const OnnxNode& node = step.node();
  const auto strides = list_attribute(node, "strides", count, 1, "");
  const auto dilations = list_attribute(node, "dilations", count, 1, "");
  const auto pads = list_attribute(node, "pads", 2 * count, 0, "");
  const auto more = list_attribute(node, "output_padding", count, 0, "");
  const auto wanted = list_attribute(node, "output_shape", count, 0, "");
  const bool same_size = text_attribute(node, "auto_pad", "NOTSET").starts_with("SAME");
  OnnxSizes sizes = {input[0], weights[1] * step.number("group", 1)};
  for (size_t i = 0; i < count; ++i) {
    const int64_t reach = dilations[i] * (weights[i + 2] - 1) + 1;
    if (more[i] < 0 || more[i] > kLargestOnnxSize) throw OnnxUnknown{"output_padding is no size"};
    const int64_t full =
        strides[i] * (input[i + 2] - 1) + reach + more[i] - pads[i] - pads[i + count];
    sizes.push_back(wanted[i] > 0 ? wanted[i] : same_size ? strides[i] * input[i + 2] : full);
  }
  step.set_shape(sizes);
}

void pool(OnnxStep& step) {
  const OnnxSizes& input = image(step);
  const auto kernel = step.node().ints.find("kernel_shape");
  if (kernel == step.node().ints.end()) throw OnnxUnknown{"it has no kernel_shape"};
  const bool partial = step.number("ceil_mode", 0) != 0;
  const OnnxSizes sizes =
      with_axes(input[0], input[1], window_axes(step.node(), input, kernel->second, partial, ""));
  for (size_t i = 0; i < step.outputs(); ++i) step.set_shape(sizes, i);
}

void global_pool(OnnxStep& step) {
  OnnxSizes sizes = image(step);
  std::fill(sizes.begin() + 2, sizes.end(), 1);
  step.set_shape(sizes);
}

void resize(OnnxStep& step) {
  const OnnxSizes& input = step.shape(0);
  if (step.node().ints.count("axes") != 0) throw OnnxUnknown{"it resizes some axes only"};
  if (step.has_input(3)) return step.set_shape(step.values(3));
  const auto listed = step.node().floats.find("scales");
  const size_t at = step.has_input(2) ? 2 : 1;
  const std::vector<double>& scales =
      listed == step.node().floats.end() ? step.scales(at) : listed->second;
  if (scales.size() != input.size()) throw OnnxUnknown{"its scales do not go with its data"};
  OnnxSizes sizes;
  for (size_t i = 0; i < input.size(); ++i) {
    const double size = std::floor(static_cast<double>(input[i]) * scales[i]);
    if (!(size >= 1 && size <= static_cast<double>(kLargestOnnxSize)))
      throw OnnxUnknown{fmt::format("its scale {} gives no size", scales[i])};
    sizes.push_back(static_cast<int64_t>(size));
  }
  step.set_shape(sizes);
}

template <bool ToSpace>
void depth_and_space(OnnxStep& step) {
  OnnxSizes sizes = step.shape(0);
  const int64_t block = step.number("blocksize", 0);
  if (sizes.size() != 4 || block < 1 || block > (1 << 15))
    throw OnnxUnknown{"it has no blocks of an image"};
  const bool fits =
      ToSpace ? sizes[1] % (block * block) == 0 : sizes[2] % block == 0 && sizes[3] % block == 0;
  if (!fits) throw OnnxUnknown{fmt::format("blocks of {} do not divide its data", block)};
  sizes[1] = ToSpace ? sizes[1] / (block * block) : sizes[1] * block * block;
  for (const size_t i : {2, 3}) sizes[i] = ToSpace ? sizes[i] * block : sizes[i] / block;
  step.set_shape(sizes);
}

// ---- Matrices and sequences

void gemm(OnnxStep& step) {
  OnnxSizes left = step.shape(0), right = step.shape(1);
  if (left.size() != 2 || right.size() != 2) throw OnnxUnknown{"it multiplies no matrices"};
  if (step.number("transA", 0) != 0) std::swap(left[0], left[1]);
  if (step.number("transB", 0) != 0) std::swap(right[0], right[1]);
  step.set_shape({left[0], right[1]});
}

template <size_t RightAt>
void matmul(OnnxStep& step) {
  OnnxSizes left = step.shape(0), right = step.shape(RightAt);
  if (left.empty() || right.empty()) throw OnnxUnknown{"it multiplies a single number"};
  const bool row = left.size() == 1, column = right.size() == 1;
  if (row) left.insert(left.begin(), 1);
  if (column) right.push_back(1);
  OnnxSizes sizes = broadcast({left.begin(), left.end() - 2}, {right.begin(), right.end() - 2});
  if (!row) sizes.push_back(left[left.size() - 2]);
  if (!column) sizes.push_back(right.back());
  step.set_shape(sizes);
}

/// x (steps, batch, features): all steps (steps, directions, batch, hidden), then the last one.
void recurrent(OnnxStep& step) {
  const OnnxSizes& input = step.shape(0);
  if (input.size() != 3 || step.number("layout", 0) != 0)
    throw OnnxUnknown{"its data are no sequence of batches"};
  const int64_t hidden = step.number("hidden_size", 0);
  const int64_t directions =
      text_attribute(step.node(), "direction", "forward") == "bidirectional" ? 2 : 1;
  step.set_shape({input[0], directions, input[1], hidden});
  for (size_t i = 1; i < step.outputs(); ++i) step.set_shape({directions, input[1], hidden}, i);
}

// ---- Forms

void flatten(OnnxStep& step) {
  const OnnxSizes& input = step.shape(0);
  const int64_t axis = step.number("axis", 1);
  const auto rank = static_cast<int64_t>(input.size());
  const size_t at = axis == rank ? input.size() : step.axis(axis, input.size());
  const auto middle = input.begin() + static_cast<std::ptrdiff_t>(at);
  step.set_shape({onnx_product({input.begin(), middle}), onnx_product({middle, input.end()})});
}

void reshape(OnnxStep& step) {
  const OnnxSizes& input = step.shape(0);
  OnnxSizes sizes = step.list("shape", 1);
  const bool keeps_zero = step.number("allowzero", 0) != 0;
  for (size_t i = 0; i < sizes.size(); ++i)
    if (sizes[i] == 0 && !keeps_zero) {
      if (i >= input.size()) throw OnnxUnknown{"it keeps a size that its data do not have"};
      sizes[i] = input[i];
    }
  const auto open = std::find(sizes.begin(), sizes.end(), -1);
  const int64_t elements = onnx_product(input);
  if (open != sizes.end()) {
    *open = 1;
    const int64_t rest = onnx_product(sizes);
    if (rest < 1 || elements % rest != 0)
      throw OnnxUnknown{
          fmt::format("{} elements do not go into [{}]", elements, fmt::join(sizes, ", "))};
    *open = elements / rest;
  }
  if (onnx_product(sizes) != elements)
    throw OnnxUnknown{
        fmt::format("{} elements do not go into [{}]", elements, fmt::join(sizes, ", "))};
  step.set_shape(sizes);
}

void transpose(OnnxStep& step) {
  const OnnxSizes& input = step.shape(0);
  OnnxSizes order(input.size());
  std::iota(order.rbegin(), order.rend(), 0);
  if (const auto perm = step.node().ints.find("perm"); perm != step.node().ints.end())
    order = perm->second;
  if (order.size() != input.size()) throw OnnxUnknown{"perm does not go with its data"};
  OnnxSizes sizes;
  for (const int64_t axis : order) sizes.push_back(input[step.axis(axis, input.size())]);
  step.set_shape(sizes);
}

void concat(OnnxStep& step) {
  OnnxSizes sizes = step.shape(0);
  const size_t axis = step.axis(step.number("axis", 1), sizes.size());
  for (size_t i = 1; i < step.inputs(); ++i) {
    OnnxSizes other = step.shape(i);
    if (other.size() != sizes.size())
      throw OnnxUnknown{"its parts differ in their number of sizes"};
    sizes[axis] += other[axis];
    other[axis] = sizes[axis];
    if (other != sizes) throw OnnxUnknown{"its parts differ in size"};
  }
  step.set_shape(sizes);
}

void split(OnnxStep& step) {
  OnnxSizes sizes = step.shape(0);
  const size_t axis = step.axis(step.number("axis", 0), sizes.size());
  const auto count = static_cast<int64_t>(step.outputs());
  OnnxSizes parts = step.optional_list("split", 1).value_or(OnnxSizes{});
  if (parts.empty() && count > 0) {  // equal ones; the last may be smaller
    const int64_t each = (sizes[axis] + count - 1) / count;
    parts.assign(static_cast<size_t>(count), each);
    parts.back() = sizes[axis] - each * (count - 1);
  }
  if (parts.size() != step.outputs()) throw OnnxUnknown{"it has other parts than outputs"};
  for (size_t i = 0; i < parts.size(); ++i) {
    sizes[axis] = parts[i];
    step.set_shape(sizes, i);
  }
}

void squeeze(OnnxStep& step) {
  const OnnxSizes& input = step.shape(0);
  const auto axes = step.optional_list("axes", 1);
  std::vector<bool> gone(input.size(), false);
  if (axes)
    for (const int64_t axis : *axes) gone[step.axis(axis, input.size())] = true;
  else
    for (size_t i = 0; i < input.size(); ++i) gone[i] = input[i] == 1;
  OnnxSizes sizes;
  for (size_t i = 0; i < input.size(); ++i) {
    if (!gone[i]) sizes.push_back(input[i]);
    if (gone[i] && input[i] != 1) throw OnnxUnknown{"it drops a size that is not 1"};
  }
  step.set_shape(sizes);
}

void unsqueeze(OnnxStep& step) {
  const OnnxSizes& input = step.shape(0);
  const OnnxSizes axes = step.list("axes", 1);
  OnnxSizes sizes(input.size() + axes.size(), 0);
  for (const int64_t axis : axes) sizes[step.axis(axis, sizes.size())] = 1;
  size_t next = 0;
  for (int64_t& size : sizes)
    if (size == 0 && next < input.size()) size = input[next++];
  step.set_shape(sizes);
}

/// The number of places from start to end by step, as numpy's slices count them.
int64_t places(int64_t start, int64_t end, int64_t step, int64_t size) {
  if (size < 1) return 0;
  const auto from_front = [&](int64_t at) { return at < 0 ? std::max(at, -size) + size : at; };
  const int64_t least = step > 0 ? 0 : -1, most = step > 0 ? size : size - 1;
  const int64_t from = std::clamp<int64_t>(from_front(start), 0, most);
  const int64_t to = end < -size ? least : std::clamp<int64_t>(from_front(end), least, most);
  const int64_t way = step > 0 ? to - from : from - to;
  const int64_t stride = step == INT64_MIN ? INT64_MAX : std::abs(step);
  return way <= 0 ? 0 : (way - 1) / stride + 1;
}

void slice(OnnxStep& step) {
  OnnxSizes sizes = step.shape(0);
  const OnnxSizes starts = step.list("starts", 1), ends = step.list("ends", 2);
  OnnxSizes every(starts.size());
  std::iota(every.begin(), every.end(), 0);
  const OnnxSizes axes = step.optional_list("axes", 3).value_or(every);
  const OnnxSizes steps = step.optional_list("steps", 4).value_or(OnnxSizes(starts.size(), 1));
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    throw OnnxUnknown{"its starts, ends, axes and steps differ in number"};
  for (size_t i = 0; i < starts.size(); ++i) {
    if (steps[i] == 0) throw OnnxUnknown{"it has a step of 0"};
    int64_t& size = sizes[step.axis(axes[i], sizes.size())];
    size = places(starts[i], ends[i], steps[i], size);
  }
  step.set_shape(sizes);
}

void gather(OnnxStep& step) {
  const OnnxSizes& data = step.shape(0);
  const OnnxSizes& places = step.shape(1);
  const auto axis = static_cast<std::ptrdiff_t>(step.axis(step.number("axis", 0), data.size()));
  OnnxSizes sizes(data.begin(), data.begin() + axis);
  sizes.insert(sizes.end(), places.begin(), places.end());
  sizes.insert(sizes.end(), data.begin() + axis + 1, data.end());
  step.set_shape(sizes);
}

void pad(OnnxStep& step) {
  OnnxSizes sizes = step.shape(0);
  const OnnxSizes pads = step.list("pads", 1);
  OnnxSizes every(sizes.size());
  std::iota(every.begin(), every.end(), 0);
  const OnnxSizes axes = step.has_input(3) ? step.values(3) : every;
  if (pads.size() != 2 * axes.size()) throw OnnxUnknown{"its pads do not go with its data"};
  for (size_t i = 0; i < axes.size(); ++i)
    for (const size_t end : {i, i + axes.size()}) {
      if (std::abs(pads[end] / 2) > kLargestOnnxSize) throw OnnxUnknown{"its padding is no size"};
      sizes[step.axis(axes[i], sizes.size())] += pads[end];
    }
  step.set_shape(sizes);
}

void tile(OnnxStep& step) {
  OnnxSizes sizes = step.shape(0);
  const OnnxSizes& times = step.values(1);
  if (times.size() != sizes.size()) throw OnnxUnknown{"its repeats do not go with its data"};
  for (size_t i = 0; i < sizes.size(); ++i) sizes[i] = onnx_product({sizes[i], times[i]});
  step.set_shape(sizes);
}

void reduce(OnnxStep& step) {
  const OnnxSizes& input = step.shape(0);
  const auto axes = step.optional_list("axes", 1);
  const bool keep = step.number("keepdims", 1) != 0;
  const bool all = !axes || axes->empty();
  if (all && step.number("noop_with_empty_axes", 0) != 0) return step.set_shape(input);
  std::vector<bool> reduced(input.size(), all);
  if (!all)
    for (const int64_t axis : *axes) reduced[step.axis(axis, input.size())] = true;
  OnnxSizes sizes;
  for (size_t i = 0; i < input.size(); ++i)
    if (!reduced[i] || keep) sizes.push_back(reduced[i] ? 1 : input[i]);
  step.set_shape(sizes);
}

void argument(OnnxStep& step) {
  OnnxSizes sizes = step.shape(0);
  const size_t axis = step.axis(step.number("axis", 0), sizes.size());
  if (step.number("keepdims", 1) != 0)
    sizes[axis] = 1;
  else
    sizes.erase(sizes.begin() + static_cast<std::ptrdiff_t>(axis));
  step.set_shape(sizes);
}

void top_k(OnnxStep& step) {
  OnnxSizes sizes = step.shape(0);
  const OnnxSizes count = step.list("k", 1);
  if (count.size() != 1) throw OnnxUnknown{"k is not one number"};
  sizes[step.axis(step.number("axis", -1), sizes.size())] = count[0];
  for (const size_t i : {0, 1}) step.set_shape(sizes, i);
}

void range(OnnxStep& step) {
  const OnnxSizes& start = step.values(0);
  const OnnxSizes& limit = step.values(1);
  const OnnxSizes& delta = step.values(2);
  if (start.size() != 1 || limit.size() != 1 || delta.size() != 1 || delta[0] == 0)
    throw OnnxUnknown{"it is no range"};
  const double count = std::ceil((static_cast<double>(limit[0]) - static_cast<double>(start[0])) /
                                 static_cast<double>(delta[0]));
  if (!(count >= 1 && count <= static_cast<double>(kLargestOnnxSize)))
    throw OnnxUnknown{"its range is empty or too long"};
  step.set_shape({static_cast<int64_t>(count)});
}

void shape_of(OnnxStep& step) {
  const OnnxSizes& input = step.shape(0);
  if (!input.empty()) step.set_shape({static_cast<int64_t>(input.size())});
}

// ---- All of them

using Rule = void (*)(OnnxStep&);
using Rules = std::map<std::string, Rule>;

void add(Rules& rules, Rule rule, const std::vector<std::string>& ops) {
  for (const std::string& op : ops) rules[op] = rule;
}

// clang-format off
/// Operators whose output has the shape of their first input.
const std::vector<std::string> kSameShape = {
    "Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "Sigmoid",
    "HardSigmoid", "HardSwish", "Mish", "Gelu", "Tanh", "Softplus", "Softsign", "Softmax",
    "LogSoftmax", "Hardmax", "Clip", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Neg", "Abs",
    "Floor", "Ceil", "Round", "Sign", "Sin", "Cos", "Tan", "Not", "IsNaN", "IsInf", "Identity",
    "Dropout", "Cast", "CastLike", "Shrink", "CumSum", "Trilu", "LRN", "ScatterND",
    "ScatterElements", "LpNormalization"};
// clang-format on

Rules all_rules() {
  Rules rules;
  add(rules, same, kSameShape);
  add(rules, same_first,
      {"BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization",
       "MeanVarianceNormalization", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"});
  add(rules, elementwise,
      {"Add", "Sub", "Mul", "Div", "Mod", "Pow", "Min", "Max", "Sum", "Mean", "Where", "And", "Or",
       "Xor", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"});
  add(rules, convolution<1>, {"Conv", "ConvInteger"});
  add(rules, convolution<3>, {"QLinearConv"});
  add(rules, transposed_convolution, {"ConvTranspose"});
  add(rules, pool, {"MaxPool", "AveragePool", "LpPool"});
  add(rules, global_pool, {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"});
  add(rules, resize, {"Resize", "Upsample"});
  add(rules, depth_and_space<true>, {"DepthToSpace"});
  add(rules, depth_and_space<false>, {"SpaceToDepth"});
  add(rules, gemm, {"Gemm"});
  add(rules, matmul<1>, {"MatMul", "MatMulInteger"});
  add(rules, matmul<3>, {"QLinearMatMul"});
  add(rules, recurrent, {"RNN", "GRU", "LSTM"});
  add(rules, flatten, {"Flatten"});
  add(rules, reshape, {"Reshape"});
  add(rules, transpose, {"Transpose"});
  add(rules, concat, {"Concat"});
  add(rules, split, {"Split"});
  add(rules, squeeze, {"Squeeze"});
  add(rules, unsqueeze, {"Unsqueeze"});
  add(rules, slice, {"Slice"});
  add(rules, gather, {"Gather"});
  add(rules, [](OnnxStep& s) { s.set_shape(s.shape(1)); }, {"GatherElements"});
  add(rules, pad, {"Pad"});
  add(rules, tile, {"Tile"});
  add(rules, [](OnnxStep& s) { s.set_shape(broadcast(s.shape(0), s.values(1))); }, {"Expand"});
  add(rules, [](OnnxStep& s) { s.set_shape(s.values(0)); }, {"ConstantOfShape"});
  add(rules, reduce,
      {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
       "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"});
  add(rules, argument, {"ArgMax", "ArgMin"});
  add(rules, top_k, {"TopK"});
  add(rules, range, {"Range"});
  add(rules, shape_of, {"Shape"});
  add(rules, [](OnnxStep& s) { s.set_shape({}); }, {"Size"});
  return rules;
}

/// Runs the rule of a node; why it left something unknown, or nothing.
std::string run(OnnxStep& step) {
  static const Rules rules = all_rules();
  const auto rule = rules.find(step.node().op);
  if (rule == rules.end()) return "there is no rule for it";
  try {
    rule->second(step);
  } catch (const OnnxUnknown& unknown) {
    return unknown.why;
  } catch (const Error& error) {  // of windows
    return error.what();
  }
  return {};
}

}  // namespace

OnnxShapes infer_shapes(const OnnxGraph& graph) {
  OnnxKnown known{graph.shapes, graph.values, graph.scales, {}};
  for (const OnnxNode& node : graph.nodes) {
    if (node.op == "Constant") continue;
    OnnxStep step(node, known);
    const std::string why = run(step);
    infer_values(step);
    for (const std::string& output : node.outputs) {
      if (output.empty() || known.shapes.count(output) != 0) continue;
      const auto claim = graph.claims.find(output);
      if (claim != graph.claims.end())
        known.shapes[output] = claim->second;
      else
        known.unknown[output] =
            why.starts_with('\'') ? why : fmt::format("'{}' ({}): {}", node.name, node.op, why);
    }
  }
  return {std::move(known.shapes), std::move(known.unknown)};
}

}  // namespace instantnet::interop
