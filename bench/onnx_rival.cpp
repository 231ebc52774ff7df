// A network of the zoo as other programs would write it for ONNX Runtime, with random weights and
// batch norm folded: the rival that the runtime's latency is compared with.
//
//   bench_onnx_rival FILE.onnx NETWORK fp32|int8
//
// fp32: Conv, Relu, Add, GlobalAveragePool, Gemm; input `image` float32. int8: what ONNX Runtime's
// own static quantization leaves (opset 13, QDQ): u8 activations with one scale a tensor, int8
// weights with a scale per output channel, int32 biases, activation functions inside the
// quantization, additions and pooling quantized too, so that every layer fuses; input u8.
#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"
#include "instantnet/interop/onnx_writer.h"
#include "instantnet/net/spec.h"
#include "instantnet/net/zoo.h"

namespace instantnet {
namespace {

using interop::OnnxWriter;
using onnx::TensorProto;

/// The scale of a tensor of activations and its zero point. Real values are about 1 in size.
struct Grid {
  double scale = 8.0 / 255;
  int zero = 0;
};

class Rival {
 public:
  Rival(const NetworkSpec& spec, bool int8, OnnxWriter& writer)
      : spec_(spec), shapes_(infer_shapes(spec)), int8_(int8), w_(writer) {}

  void write() {
    values_["input"] = "image";
    grids_["input"] = {1.0 / 255, 0};
    if (int8_) values_["input"] = dequantized("image", grids_["input"]);
    for (size_t i = 0; i < spec_.nodes.size(); ++i) {
      const Node& node = spec_.nodes[i];
      const bool last = i + 1 == spec_.nodes.size();
      values_[node.name] = one(node, i);
      if (last) w_.node("Identity", {values_[node.name]}, {}, {}, "", "logits");
    }
  }

 private:
  const std::string& input(const Node& node, size_t i = 0) const {
    return values_.at(node.inputs[i]);
  }
  std::string scalar(int type, double value) {
    return w_.constant(type, {}, std::vector<double>{value});
  }
  std::string dequantized(const std::string& codes, const Grid& grid) {
    return w_.node("DequantizeLinear", {codes, scalar(TensorProto::FLOAT, grid.scale),
                                        scalar(TensorProto::UINT8, grid.zero)});
  }
  /// Through a u8 grid, which does the activation function's work.
  std::string through(const std::string& value, const Grid& grid) {
    return dequantized(w_.node("QuantizeLinear", {value, scalar(TensorProto::FLOAT, grid.scale),
                                                  scalar(TensorProto::UINT8, grid.zero)}),
                       grid);
  }

  std::string activated(const Node& node, const std::string& value) {
    Grid grid;
    grid.zero = node.activation == Activation::None ? 128 : 0;
    if (node.activation == Activation::Relu6) grid.scale = 6.0 / 255;
    grids_[node.name] = grid;
    if (int8_) return through(value, grid);
    if (node.activation == Activation::Relu) return w_.node("Relu", {value});
    if (node.activation == Activation::Relu6)
      return w_.node("Clip", {value, scalar(TensorProto::FLOAT, 0), scalar(TensorProto::FLOAT, 6)});
    return value;
  }

  /// (k, row...) normal weights of variance 2 / row (He), and a bias.
  std::pair<std::string, std::string> weights(const Node& node, const OnnxWriter::Dims& dims) {
    const int64_t outputs = dims[0];
    int64_t row = 1;
    for (size_t d = 1; d < dims.size(); ++d) row *= dims[d];
    const double deviation = std::sqrt(2.0 / static_cast<double>(row));
    Rng rng(1, static_cast<uint64_t>(values_.size()));
    std::vector<double> real(static_cast<size_t>(outputs * row));
    for (double& one : real) one = deviation * rng.normal();
    const std::string bias_real = int8_ ? ""
                                        : w_.constant(TensorProto::FLOAT, {outputs},
                                                      std::vector<double>(size_t(outputs), 0.01));
    if (!int8_) return {w_.constant(TensorProto::FLOAT, dims, real), bias_real};
    std::vector<int64_t> codes, biases;
    std::vector<double> scales, bias_scales;
    for (int64_t k = 0; k < outputs; ++k) {
      const auto begin = real.begin() + k * row;
      double largest = 1e-9;
      for (auto it = begin; it != begin + row; ++it) largest = std::max(largest, std::abs(*it));
      scales.push_back(largest / 127);
      bias_scales.push_back(scales.back() * grids_.at(node.inputs[0]).scale);
      biases.push_back(std::lround(0.01 / bias_scales.back()));
      for (auto it = begin; it != begin + row; ++it)
        codes.push_back(std::lround(*it / scales.back()));
    }
    const std::vector<int64_t> zeros(static_cast<size_t>(outputs), 0);
    const auto part = [&](int type, const OnnxWriter::Dims& sizes,
                          const std::vector<int64_t>& values, const std::vector<double>& steps) {
      return w_.node(
          "DequantizeLinear",
          {w_.constant(type, sizes, values), w_.constant(TensorProto::FLOAT, {outputs}, steps),
           w_.constant(type, {outputs}, zeros)},
          {}, {{"axis", {0}}});
    };
    const std::string weight = part(TensorProto::INT8, dims, codes, scales);
    return {weight, part(TensorProto::INT32, {outputs}, biases, bias_scales)};
  }

  std::string one(const Node& node, size_t i) {
    const TensorShape in = shape_of(node.inputs[0]);
    switch (node.op) {
      case Op::Conv: {
        const auto [weight, bias] =
            weights(node, {node.channels, in.channels / node.groups, node.kernel, node.kernel});
        return activated(node, w_.node("Conv", {input(node), weight, bias},
                                       {{"kernel_shape", {node.kernel, node.kernel}},
                                        {"strides", {node.stride, node.stride}},
                                        {"pads", std::vector<int64_t>(4, node.padding)}},
                                       {{"group", {node.groups}}}));
      }
      case Op::Linear: {
        const auto [weight, bias] = weights(node, {node.channels, in.channels});
        return activated(node, w_.node("Gemm", {input(node), weight, bias}, {}, {{"transB", {1}}}));
      }
      case Op::Add:
        return activated(node, w_.node("Add", {input(node), input(node, 1)}));
      case Op::GlobalAvgPool: {
        const Grid& grid = grids_[node.name] = grids_.at(node.inputs[0]);
        const std::string pooled = w_.node("GlobalAveragePool", {input(node)});
        return w_.node("Flatten", {int8_ ? through(pooled, grid) : pooled});
      }
      case Op::Dropout:
        grids_[node.name] = grids_.at(node.inputs[0]);
        return input(node);
      default:
        fail("onnx_rival",
             fmt::format("{} is not written; use a ResNet or MobileNetV2.", spec_.nodes[i].name));
    }
  }

  TensorShape shape_of(const std::string& name) const {
    for (size_t i = 0; i < spec_.nodes.size(); ++i)
      if (spec_.nodes[i].name == name) return shapes_[i];
    return {spec_.channels, spec_.height, spec_.width, false};
  }

  const NetworkSpec& spec_;
  std::vector<TensorShape> shapes_;
  bool int8_;
  OnnxWriter& w_;
  std::map<std::string, std::string> values_;
  std::map<std::string, Grid> grids_;
};

void value_info(onnx::ValueInfoProto& value, const char* name, int type,
                const std::vector<int64_t>& sizes) {
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  for (const int64_t size : sizes) tensor.mutable_shape()->add_dim()->set_dim_value(size);
}

std::string rival(const NetworkSpec& spec, bool int8) {
  onnx::ModelProto proto;
  proto.set_ir_version(8);
  proto.add_opset_import()->set_version(13);
  onnx::GraphProto& graph = *proto.mutable_graph();
  graph.set_name(spec.name);
  value_info(*graph.add_input(), "image", int8 ? TensorProto::UINT8 : TensorProto::FLOAT,
             {1, spec.channels, spec.height, spec.width});
  value_info(*graph.add_output(), "logits", TensorProto::FLOAT, {1, spec.classes});
  OnnxWriter writer(proto);
  Rival(spec, int8, writer).write();
  return proto.SerializeAsString();
}

}  // namespace
}  // namespace instantnet

int main(int argc, char** argv) {
  const std::string kind = argc == 4 ? argv[3] : "";
  if (kind != "fp32" && kind != "int8") {
    std::fprintf(stderr, "usage: bench_onnx_rival FILE.onnx NETWORK fp32|int8\n");
    return 2;
  }
  try {
    const std::string bytes = instantnet::rival(instantnet::zoo_network(argv[2]), kind == "int8");
    std::ofstream(argv[1], std::ios::binary) << bytes;
    return 0;
  } catch (const instantnet::Error& error) {
    std::fprintf(stderr, "bench_onnx_rival: %s\n", error.what());
    return 2;
  }
}
