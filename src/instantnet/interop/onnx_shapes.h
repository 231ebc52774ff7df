// The size of every tensor of an ONNX graph, from those of its inputs. ONNX's own library infers
// shapes, too, but trusts what it reads: a model with an input of one size too few ends the
// program. Here every rule checks what it uses.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "instantnet/interop/onnx_graph.h"

namespace instantnet::interop {

/// What is known of the tensors of a graph.
struct OnnxShapes {
  std::map<std::string, std::vector<int64_t>> known;
  std::map<std::string, std::string> unknown;  // tensor -> why, as a clause
};

/// Follows ONNX's operators, and arithmetic on shapes where exporters write such (Shape, Gather,
/// Concat, ... before a Reshape). Behind an operator that has no rule, what the file claims counts.
OnnxShapes infer_shapes(const OnnxGraph& graph);

}  // namespace instantnet::interop
