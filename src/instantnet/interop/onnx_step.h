// One node of an ONNX graph while shapes are inferred: what it reads, and what it leaves.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "instantnet/interop/onnx_graph.h"

namespace instantnet::interop {

using OnnxSizes = std::vector<int64_t>;

/// Everything that is known so far, by tensor.
struct OnnxKnown {
  std::map<std::string, OnnxSizes> shapes;
  std::map<std::string, OnnxSizes> values;  // of short integer tensors, 0-d and 1-d
  std::map<std::string, std::vector<double>> scales;
  std::map<std::string, std::string> unknown;  // why a tensor's shape is not known
};

/// Thrown by a rule that cannot tell; ends in OnnxKnown::unknown, never leaves shape inference.
struct OnnxUnknown {
  std::string why;
};

/// Rules read a node through this; every access is checked.
class OnnxStep {
 public:
  OnnxStep(const OnnxNode& node, OnnxKnown& known) : node_(node), known_(known) {}

  const OnnxNode& node() const { return node_; }
  bool has_input(size_t i) const { return i < node_.inputs.size() && !node_.inputs[i].empty(); }
  size_t inputs() const { return node_.inputs.size(); }
  size_t outputs() const { return node_.outputs.size(); }

  /// Sizes or values of an input. OnnxUnknown when it is absent or they are not known.
  const OnnxSizes& shape(size_t i) const;
  const OnnxSizes& values(size_t i) const;
  const std::vector<double>& scales(size_t i) const;
  bool has_values(size_t i) const;

  /// A list that is an attribute in older versions of an operator and input `i` in newer ones.
  OnnxSizes list(const std::string& name, size_t i) const;
  std::optional<OnnxSizes> optional_list(const std::string& name, size_t i) const;
  int64_t number(const std::string& name, int64_t otherwise) const;

  /// An axis counted from the end where negative. OnnxUnknown outside [0, rank).
  size_t axis(int64_t axis, size_t rank) const;

  /// OnnxUnknown for sizes outside 1..kLargestOnnxSize.
  void set_shape(OnnxSizes sizes, size_t output = 0);
  /// Values that fit no shape arithmetic are dropped.
  void set_values(OnnxSizes values, size_t output = 0);

 private:
  const std::string& input(size_t i) const;

  const OnnxNode& node_;
  OnnxKnown& known_;
};

/// The product of sizes; OnnxUnknown when it passes 2^62.
int64_t onnx_product(const OnnxSizes& sizes);

/// Arithmetic on shapes: the values of a node's output, where they follow from those of its inputs.
void infer_values(OnnxStep& step);

}  // namespace instantnet::interop
