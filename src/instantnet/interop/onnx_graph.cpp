#include "instantnet/interop/onnx_graph.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"

namespace instantnet::interop {
namespace {

/// protobuf counts bytes in an int.
constexpr uint64_t kLargestFile = std::numeric_limits<int32_t>::max();
/// Elements of a constant whose values are kept: target shapes, axes, scales.
constexpr int64_t kMostValues = 64;

// ---- The file

onnx::ModelProto parse(const std::string& path) {
  const std::string bytes = read_file(path, kLargestFile);
  google::protobuf::io::ArrayInputStream array(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream stream(&array);
  stream.SetTotalBytesLimit(std::numeric_limits<int>::max());
  onnx::ModelProto model;
  if (!model.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage())
    fail(path, "is not an ONNX file; give a model that torch.onnx.export or the like wrote.");
  if (!model.has_graph() || model.graph().node_size() == 0)
    fail(path, "holds no ONNX graph; give a model that torch.onnx.export or the like wrote.");
  return model;
}

bool is_standard(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

/// Names come from the file: what would break a line of a message or a table is shown as '?'.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, '?');
  return text;
}

std::string op_name(const onnx::NodeProto& node) {
  return printable(is_standard(node.domain()) ? node.op_type()
                                              : node.domain() + "." + node.op_type());
}

/// How a node is called in messages and tables: its name, or its first output's.
std::string name_of(const onnx::NodeProto& node) {
  if (!node.name().empty()) return printable(node.name());
  const bool has_output = node.output_size() > 0 && !node.output(0).empty();
  return printable(has_output ? node.output(0) : node.op_type());
}

std::string told(const onnx::NodeProto& node) {
  return fmt::format("{} '{}'", op_name(node), name_of(node));
}

// ---- Checks: everything that later steps take for granted

bool is_layer(const std::string& op) {
  return op == "Conv" || op == "ConvInteger" || op == "QLinearConv" || op == "Gemm" ||
         op == "MatMul" || op == "MatMulInteger" || op == "QLinearMatMul";
}

/// The first layer within a body of a Loop, If or Scan, at any depth.
const onnx::NodeProto* layer_within(const onnx::NodeProto& node) {
  const auto of_graph = [](const onnx::GraphProto& graph) -> const onnx::NodeProto* {
    for (const onnx::NodeProto& inner : graph.node()) {
      if (is_layer(inner.op_type())) return &inner;
      if (const onnx::NodeProto* found = layer_within(inner)) return found;
    }
    return nullptr;
  };
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g())
      if (const onnx::NodeProto* found = of_graph(attribute.g())) return found;
    for (const onnx::GraphProto& graph : attribute.graphs())
      if (const onnx::NodeProto* found = of_graph(graph)) return found;
  }
  return nullptr;
}

void check_version(const std::string& where, const onnx::ModelProto& model) {
  for (const auto& opset : model.opset_import())
    if (is_standard(opset.domain()) && opset.version() > 0) return;
  fail(where, "says no version of ONNX's operators (opset_import); give a complete model.");
}

void check_nothing_is_hidden(const std::string& where, const onnx::ModelProto& model) {
  std::set<std::pair<std::string, std::string>> functions;
  for (const onnx::FunctionProto& function : model.functions())
    functions.emplace(function.domain(), function.name());
  for (const onnx::NodeProto& node : model.graph().node()) {
    if (functions.count({node.domain(), node.op_type()}) != 0)
      fail(where, fmt::format("{} calls a function of the model; inline functions before (onnx."
                              "inliner does).",
                              told(node)));
    if (const onnx::NodeProto* hidden = layer_within(node))
      fail(where,
           fmt::format("{} holds the layer {}; layers in control flow cannot be mapped, export the "
                       "model without it.",
                       told(node), told(*hidden)));
  }
}

/// Every tensor has one maker, and nodes come after the makers of their inputs.
void check_order(const std::string& where, const onnx::GraphProto& graph) {
  std::set<std::string> made;
  for (const auto& input : graph.input())
    if (!made.insert(input.name()).second)
      fail(where, fmt::format("two inputs are called '{}'.", printable(input.name())));
  for (const auto& tensor : graph.initializer()) made.insert(tensor.name());
  for (const auto& tensor : graph.sparse_initializer()) made.insert(tensor.values().name());
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& input : node.input())
      if (!input.empty() && made.count(input) == 0)
        fail(where, fmt::format("{} reads '{}', which no node before it makes.", told(node),
                                printable(input)));
    for (const std::string& output : node.output())
      if (!output.empty() && !made.insert(output).second)
        fail(where, fmt::format("{} makes '{}' again; every tensor has one maker.", told(node),
                                printable(output)));
  }
}

// ---- Tensors

/// Error when a size is negative or the elements cannot be counted.
int64_t count_elements(const std::string& where, const onnx::TensorProto& tensor,
                       const std::string& name) {
  int64_t count = 1;
  for (const int64_t size : tensor.dims()) {
    if (size < 0 || size > kLargestOnnxSize)
      fail(where, fmt::format("tensor '{}' has a size of {}; sizes are from 0 to 2^30.",
                              printable(name), size));
    if (__builtin_mul_overflow(count, size, &count))
      fail(where,
           fmt::format("tensor '{}' has more elements than can be counted.", printable(name)));
  }
  return count;
}

/// Elements as numbers of type To, of the list for their type or of raw bytes (little endian).
template <class From, class To, class List>
std::vector<To> elements(const onnx::TensorProto& tensor, const List& list) {
  if (!tensor.has_raw_data()) return {list.begin(), list.end()};
  const std::string& raw = tensor.raw_data();
  std::vector<To> all;
  for (size_t at = 0; at + sizeof(From) <= raw.size(); at += sizeof(From)) {
    From one;
    std::memcpy(&one, raw.data() + at, sizeof one);
    all.push_back(static_cast<To>(one));
  }
  return all;
}

std::vector<int64_t> integers_in(const onnx::TensorProto& tensor) {
  if (tensor.data_type() == onnx::TensorProto::INT64)
    return elements<int64_t, int64_t>(tensor, tensor.int64_data());
  return elements<int32_t, int64_t>(tensor, tensor.int32_data());
}

std::vector<double> reals_in(const onnx::TensorProto& tensor) {
  if (tensor.data_type() == onnx::TensorProto::DOUBLE)
    return elements<double, double>(tensor, tensor.double_data());
  return elements<float, double>(tensor, tensor.float_data());
}

/// A constant: its sizes, and its values where they are few and may speak of sizes.
void add_constant(const std::string& where, const onnx::TensorProto& tensor,
                  const std::string& name, OnnxGraph& graph) {
  const int64_t count = count_elements(where, tensor, name);
  graph.shapes[name] = {tensor.dims().begin(), tensor.dims().end()};
  graph.constants.insert(name);
  const bool outside = tensor.data_location() == onnx::TensorProto::EXTERNAL;
  if (outside || tensor.dims_size() > 1 || count > kMostValues) return;
  const auto type = tensor.data_type();
  const bool whole = type == onnx::TensorProto::INT64 || type == onnx::TensorProto::INT32;
  const bool real = type == onnx::TensorProto::FLOAT || type == onnx::TensorProto::DOUBLE;
  if (whole) graph.values[name] = integers_in(tensor);
  if (real) graph.scales[name] = reals_in(tensor);
  const size_t held = whole ? graph.values[name].size() : real ? graph.scales[name].size() : 0;
  if ((whole || real) && held != static_cast<size_t>(count))
    fail(where, fmt::format("tensor '{}' holds {} values where its sizes ask for {}; the file is "
                            "cut or damaged.",
                            printable(name), held, count));
}

// ---- Inputs, and what the file claims of other tensors

void check_input(const std::string& where, const onnx::ValueInfoProto& input, int at,
                 const onnx::TensorShapeProto::Dimension& size) {
  const std::string name = printable(input.name());
  if (!size.has_dim_value())
    fail(where,
         fmt::format(
             "size {} of input '{}' is open{}; export the model with a fixed image "
             "size.",
             at + 1, name,
             size.dim_param().empty() ? "" : fmt::format(" ('{}')", printable(size.dim_param()))));
  if (size.dim_value() < 1 || size.dim_value() > kLargestOnnxSize)
    fail(where, fmt::format("size {} of input '{}' is {}; give a whole number from 1 to 2^30.",
                            at + 1, name, size.dim_value()));
}

void add_input(const std::string& where, const onnx::ValueInfoProto& input, int64_t batch,
               OnnxGraph& graph) {
  if (!input.type().has_tensor_type()) return;
  if (!input.type().tensor_type().has_shape())
    fail(where, fmt::format("input '{}' says nothing of its sizes; export the model with a fixed "
                            "image size.",
                            printable(input.name())));
  std::vector<int64_t> sizes;
  for (const auto& size : input.type().tensor_type().shape().dim()) {
    if (sizes.empty() && !size.has_dim_value()) {
      sizes.push_back(std::max<int64_t>(batch, 1));
      continue;
    }
    check_input(where, input, static_cast<int>(sizes.size()), size);
    if (sizes.empty() && batch != 0 && batch != size.dim_value())
      fail(where, fmt::format("input '{}' is made for {} images, not {}; export the model with an "
                              "open first size, or leave the batch to the file.",
                              printable(input.name()), size.dim_value(), batch));
    sizes.push_back(size.dim_value());
  }
  graph.shapes[input.name()] = sizes;
}

/// A claim with an open first size is taken as one image more; others must be complete.
void add_claim(const onnx::ValueInfoProto& value, int64_t batch, OnnxGraph& graph) {
  if (!value.type().has_tensor_type() || !value.type().tensor_type().has_shape()) return;
  std::vector<int64_t> sizes;
  for (const auto& size : value.type().tensor_type().shape().dim()) {
    const bool open = !size.has_dim_value();
    if (open && !sizes.empty()) return;
    const int64_t length = open ? std::max<int64_t>(batch, 1) : size.dim_value();
    if (length < 1 || length > kLargestOnnxSize) return;
    sizes.push_back(length);
  }
  graph.claims[value.name()] = sizes;
}

void add_tensors(const std::string& where, const onnx::GraphProto& from, int64_t batch,
                 OnnxGraph& graph) {
  for (const onnx::TensorProto& tensor : from.initializer())
    add_constant(where, tensor, tensor.name(), graph);
  for (const auto& tensor : from.sparse_initializer())
    graph.constants.insert(tensor.values().name());
  bool first = true;
  for (const onnx::ValueInfoProto& input : from.input()) {
    // Older files list weights among the inputs, too.
    if (graph.constants.count(input.name()) != 0) continue;
    add_input(where, input, batch, graph);
    const auto sizes = graph.shapes.find(input.name());
    if (first && sizes != graph.shapes.end() && !sizes->second.empty())
      graph.batch = sizes->second.front();
    first = false;
  }
  for (const onnx::ValueInfoProto& value : from.value_info()) add_claim(value, batch, graph);
  for (const onnx::ValueInfoProto& value : from.output()) add_claim(value, batch, graph);
}

// ---- Nodes

/// What slides and strides over tensors must be positive, and small enough to count with.
void check_sizes(const std::string& where, const onnx::NodeProto& node, const std::string& name,
                 const std::vector<int64_t>& values) {
  const bool positive =
      name == "strides" || name == "dilations" || name == "kernel_shape" || name == "group";
  for (const int64_t value : values) {
    if (positive && (value < 1 || value > kLargestOnnxSize))
      fail(where, fmt::format("{} has {} {}; give whole numbers from 1 to 2^30.", told(node), name,
                              value));
    if (name == "pads" && (value < -kLargestOnnxSize || value > kLargestOnnxSize))
      fail(where, fmt::format("{} has a padding of {}; give at most 2^30.", told(node), value));
  }
}

void add_attribute(const std::string& where, const onnx::NodeProto& from,
                   const onnx::AttributeProto& attribute, OnnxNode& node) {
  const std::string& name = attribute.name();
  if (attribute.has_i() || attribute.ints_size() > 0) {
    std::vector<int64_t>& ints = node.ints[name];
    ints.assign(attribute.ints().begin(), attribute.ints().end());
    if (attribute.has_i() && attribute.ints_size() == 0) ints.push_back(attribute.i());
    check_sizes(where, from, name, ints);
  }
  if (attribute.has_f() || attribute.floats_size() > 0) {
    std::vector<double>& reals = node.floats[name];
    reals.assign(attribute.floats().begin(), attribute.floats().end());
    if (attribute.has_f() && attribute.floats_size() == 0) reals.push_back(attribute.f());
  }
  if (attribute.has_s()) node.texts[name] = printable(attribute.s());
}

/// The result of a Constant, however it is written.
void add_value_of(const std::string& where, const onnx::NodeProto& from, const OnnxNode& node,
                  OnnxGraph& graph) {
  if (from.output_size() == 0) return;
  const std::string& output = from.output(0);
  for (const onnx::AttributeProto& attribute : from.attribute())
    if (attribute.name() == "value" && attribute.has_t())
      add_constant(where, attribute.t(), output, graph);
  for (const char* name : {"value_int", "value_ints"})
    if (const auto found = node.ints.find(name); found != node.ints.end()) {
      const bool single = std::string(name) == "value_int";
      graph.values[output] = found->second;
      graph.shapes[output] = single
                                 ? std::vector<int64_t>{}
                                 : std::vector<int64_t>{static_cast<int64_t>(found->second.size())};
    }
  for (const char* name : {"value_float", "value_floats"})
    if (const auto found = node.floats.find(name); found != node.floats.end()) {
      const bool single = std::string(name) == "value_float";
      graph.scales[output] = found->second;
      graph.shapes[output] = single
                                 ? std::vector<int64_t>{}
                                 : std::vector<int64_t>{static_cast<int64_t>(found->second.size())};
    }
}

void add_nodes(const std::string& where, const onnx::GraphProto& from, OnnxGraph& graph) {
  std::map<std::string, int> times;  // a name was used, or tried
  for (const onnx::NodeProto& one : from.node()) {
    OnnxNode node{name_of(one), op_name(one), {}, {}, {}, {}, {}};
    while (times[node.name]++ > 0)
      node.name = fmt::format("{}_{}", name_of(one), times[name_of(one)]);
    node.inputs.assign(one.input().begin(), one.input().end());
    node.outputs.assign(one.output().begin(), one.output().end());
    for (const onnx::AttributeProto& attribute : one.attribute())
      add_attribute(where, one, attribute, node);
    if (node.op == "Constant") add_value_of(where, one, node, graph);
    graph.nodes.push_back(std::move(node));
  }
}

/// What follows from constants alone is constant, and a shape counts as one: sizes are fixed once
/// the model is read.
void mark_constants(OnnxGraph& graph) {
  for (const OnnxNode& node : graph.nodes) {
    const bool constant =
        node.op == "Shape" || node.op == "Size" ||
        std::all_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
          return input.empty() || graph.constants.count(input) != 0;
        });
    if (constant) graph.constants.insert(node.outputs.begin(), node.outputs.end());
  }
  graph.constants.erase("");
}

}  // namespace

OnnxGraph read_onnx(const std::string& path, int64_t batch) {
  const onnx::ModelProto model = parse(path);
  check_version(path, model);
  check_nothing_is_hidden(path, model);
  check_order(path, model.graph());
  OnnxGraph graph;
  add_tensors(path, model.graph(), batch, graph);
  add_nodes(path, model.graph(), graph);
  mark_constants(graph);
  return graph;
}

}  // namespace instantnet::interop
