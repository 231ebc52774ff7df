#include "instantnet/interop/onnx_import.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/interop/onnx_graph.h"
#include "instantnet/interop/onnx_shapes.h"
#include "instantnet/interop/onnx_window.h"

namespace instantnet::interop {
namespace {

using mapper::NetworkLayers;
using mapper::Workload;
using Sizes = std::vector<int64_t>;

/// A layer's loops, or why it has none that we can map.
struct Loops {
  LayerShape shape;
  std::string why_not;
};

/// One node being read, with what messages need.
struct Reader {
  const std::string& path;
  const OnnxGraph& graph;
  const OnnxShapes& shapes;
  const OnnxNode& node;

  std::string where() const { return fmt::format("{}: {} '{}'", path, node.op, node.name); }
  [[noreturn]] void refuse(const std::string& sentence) const { fail(where(), sentence); }

  const std::string& input(size_t i, const char* what) const {
    if (i >= node.inputs.size() || node.inputs[i].empty())
      refuse(fmt::format("there is no input {}, the {}.", i + 1, what));
    return node.inputs[i];
  }

  const Sizes& sizes(const std::string& tensor) const {
    const auto found = shapes.known.find(tensor);
    if (found == shapes.known.end()) {
      const auto why = shapes.unknown.find(tensor);
      refuse(fmt::format("the size of its input '{}' cannot be inferred{}.", tensor,
                         why == shapes.unknown.end() ? "" : "; " + why->second));
    }
    for (const int64_t size : found->second)
      if (size < 1) refuse(fmt::format("its input '{}' has a size of {}.", tensor, size));
    return found->second;
  }

  bool constant(const std::string& tensor) const { return graph.constants.count(tensor) != 0; }
};

int64_t product(const Sizes& sizes) {
  int64_t all = 1;
  for (const int64_t size : sizes)
    if (__builtin_mul_overflow(all, size, &all)) return std::numeric_limits<int64_t>::max();
  return all;
}

// ---- Convolutions

bool strides(const OnnxAxis& axis) { return axis.out > 1; }     // else its stride has no effect
bool dilates(const OnnxAxis& axis) { return axis.kernel > 1; }  // else its dilation has none

/// The one value that both axes have, where it has an effect; nothing when they differ.
std::optional<int64_t> common(int64_t height, bool height_counts, int64_t width,
                              bool width_counts) {
  if (height_counts && width_counts && height != width) return {};
  return height_counts ? height : width_counts ? width : 1;
}

Loops loops_of(const OnnxAxis& height, const OnnxAxis& width) {
  const auto stride = common(height.stride, strides(height), width.stride, strides(width));
  const auto dilation = common(height.dilation, dilates(height), width.dilation, dilates(width));
  if (!stride)
    return {{},
            fmt::format("strides {} x {}; a layer has one stride", height.stride, width.stride)};
  if (!dilation)
    return {{},
            fmt::format("dilations {} x {}; a layer has one dilation", height.dilation,
                        width.dilation)};
  LayerShape shape;
  shape.p = height.out, shape.q = width.out;
  shape.r = height.kernel, shape.s = width.kernel;
  shape.stride = *stride, shape.dilation = *dilation;
  return {shape, {}};
}

void check_channels(const Reader& reader, const Sizes& input, const Sizes& weights,
                    int64_t groups) {
  if (weights.size() < 3 || input.size() != weights.size())
    reader.refuse(
        fmt::format("its data have {} sizes and its weights {}; both have one for each "
                    "axis and two more.",
                    input.size(), weights.size()));
  if (weights[0] % groups != 0 || input[1] != weights[1] * groups)
    reader.refuse(fmt::format("{} input channels, weights [{}] and {} groups do not go together.",
                              input[1], fmt::join(weights, ", "), groups));
}

/// x (n, c, h, w), weights (k, c / groups, r, s); a 1-d convolution is one row.
Loops convolution(const Reader& reader, size_t weights_at) {
  const Sizes& input = reader.sizes(reader.input(0, "data"));
  const Sizes& weights = reader.sizes(reader.input(weights_at, "weights"));
  const int64_t groups = int_attribute(reader.node, "group", 1);
  check_channels(reader, input, weights, groups);
  const Sizes kernel(weights.begin() + 2, weights.end());
  if (const auto said = reader.node.ints.find("kernel_shape");
      said != reader.node.ints.end() && said->second != kernel)
    reader.refuse(fmt::format("kernel_shape is [{}], but the weights are [{}].",
                              fmt::join(said->second, ", "), fmt::join(weights, ", ")));
  const auto axes = window_axes(reader.node, input, kernel, false, reader.where());
  if (axes.size() > 2)
    return {{}, fmt::format("a {}-d convolution; 1-d and 2-d are mapped", axes.size())};
  Loops loops = axes.size() == 1 ? loops_of(OnnxAxis{}, axes[0]) : loops_of(axes[0], axes[1]);
  loops.shape.n = input[0];
  loops.shape.k = weights[0], loops.shape.c = weights[1], loops.shape.groups = groups;
  return loops;
}

// ---- Matrix products

/// Rows, columns and inner size; products of many matrices have `groups` of both operands.
Loops product_loops(int64_t rows, int64_t columns, int64_t inner, int64_t groups = 1) {
  LayerShape shape;
  shape.n = rows, shape.k = columns, shape.c = inner, shape.groups = groups;
  if (__builtin_mul_overflow(columns, groups, &shape.k))
    shape.k = std::numeric_limits<int64_t>::max() / groups * groups;
  return {shape, {}};
}

/// The operand that is the same in every run is the weights.
Loops with_weights_first_or_second(const Reader& reader, const std::string& a, const std::string& b,
                                   int64_t rows, int64_t columns, int64_t inner, int64_t groups) {
  const bool swapped = reader.constant(a) && !reader.constant(b);
  return swapped ? product_loops(columns, rows, inner, groups)
                 : product_loops(rows, columns, inner, groups);
}

Loops gemm(const Reader& reader) {
  const std::string& a = reader.input(0, "A");
  const std::string& b = reader.input(1, "B");
  Sizes left = reader.sizes(a), right = reader.sizes(b);
  if (left.size() != 2 || right.size() != 2)
    reader.refuse(fmt::format("it multiplies [{}] and [{}]; Gemm takes matrices.",
                              fmt::join(left, ", "), fmt::join(right, ", ")));
  if (int_attribute(reader.node, "transA", 0) != 0) std::swap(left[0], left[1]);
  if (int_attribute(reader.node, "transB", 0) != 0) std::swap(right[0], right[1]);
  if (left[1] != right[0])
    reader.refuse(fmt::format("it multiplies {} x {} and {} x {}; the inner sizes differ.", left[0],
                              left[1], right[0], right[1]));
  return with_weights_first_or_second(reader, a, b, left[0], right[1], left[1], 1);
}

/// numpy.matmul: the last two sizes are the matrix, those before are broadcast.
Loops matmul(const Reader& reader, size_t right_at) {
  const std::string& a = reader.input(0, "A");
  const std::string& b = reader.input(right_at, "B");
  Sizes left = reader.sizes(a), right = reader.sizes(b);
  if (left.empty() || right.empty())
    reader.refuse("it multiplies a single number; MatMul takes matrices.");
  if (left.size() == 1) left.insert(left.begin(), 1);
  if (right.size() == 1) right.push_back(1);
  const int64_t inner = left.back(), columns = right.back();
  if (inner != right[right.size() - 2])
    reader.refuse(fmt::format("it multiplies [{}] and [{}]; the inner sizes differ.",
                              fmt::join(left, ", "), fmt::join(right, ", ")));
  const size_t rank = std::max(left.size(), right.size());
  left.insert(left.begin(), rank - left.size(), 1);
  right.insert(right.begin(), rank - right.size(), 1);
  Sizes groups, only_left = {left[rank - 2]}, only_right = {columns};
  for (size_t i = 0; i + 2 < rank; ++i) {
    if (left[i] == right[i])
      groups.push_back(left[i]);
    else if (right[i] == 1)
      only_left.push_back(left[i]);
    else if (left[i] == 1)
      only_right.push_back(right[i]);
    else
      reader.refuse(
          fmt::format("it multiplies [{}] and [{}]; the sizes before the matrices differ.",
                      fmt::join(left, ", "), fmt::join(right, ", ")));
  }
  return with_weights_first_or_second(reader, a, b, product(only_left), product(only_right), inner,
                                      product(groups));
}

// ---- The network

/// The loops of a node that is a layer; nothing for others.
std::optional<Loops> layer_of(const Reader& reader) {
  const std::string& op = reader.node.op;
  if (op == "Conv" || op == "ConvInteger") return convolution(reader, 1);
  if (op == "QLinearConv") return convolution(reader, 3);
  if (op == "Gemm") return gemm(reader);
  if (op == "MatMul" || op == "MatMulInteger") return matmul(reader, 1);
  if (op == "QLinearMatMul") return matmul(reader, 3);
  return {};
}

int bits_of(const Reader& reader) {
  const int64_t bits = int_attribute(reader.node, "bits", 0);
  if (reader.node.ints.count("bits") != 0 && (bits < 1 || bits > 16) && bits != 32)
    reader.refuse(fmt::format("bits is {}; give 1 to 16 or 32.", bits));
  return static_cast<int>(bits);
}

/// Operators that compute, and whose multiply-accumulates would otherwise be missing unseen.
bool computes(const std::string& op) {
  for (const char* one : {"ConvTranspose", "Einsum", "RNN", "GRU", "LSTM", "DeformConv"})
    if (op == one) return true;
  return op.find('.') != std::string::npos;
}

std::string listed(const OnnxNode& node, const std::string& why) {
  return fmt::format("{} ({}{})", node.name, node.op, why.empty() ? "" : ": " + why);
}

void add(const Reader& reader, NetworkLayers& network) {
  const OnnxNode& node = reader.node;
  const bool before_the_run =
      std::all_of(node.outputs.begin(), node.outputs.end(),
                  [&](const auto& output) { return output.empty() || reader.constant(output); });
  if (before_the_run) return;
  const std::optional<Loops> loops = layer_of(reader);
  if (!loops || !loops->why_not.empty()) {
    const std::string why = loops               ? loops->why_not
                            : computes(node.op) ? "its multiply-accumulates are not counted"
                                                : "";
    network.unmapped.push_back(listed(node, why));
    return;
  }
  mapper::check(loops->shape, reader.where());
  network.layers.push_back({node.name, loops->shape, bits_of(reader), 1});
}

}  // namespace

NetworkLayers import_onnx(const std::string& path, const OnnxOptions& options) {
  const OnnxGraph graph = read_onnx(path, options.batch);
  const OnnxShapes shapes = infer_shapes(graph);
  NetworkLayers network{std::filesystem::path(path).stem().string(), {}, {}, graph.batch};
  for (const OnnxNode& node : graph.nodes) add({path, graph, shapes, node}, network);
  if (network.layers.empty())
    fail(path, "has no layer to map; Conv, Gemm and MatMul are mapped, and their integer forms.");
  return network;
}

}  // namespace instantnet::interop
