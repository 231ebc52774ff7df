// An ONNX graph as plain values: nodes in order, the numbers among their attributes, and what the
// file says of sizes. What is behind the format (protobuf) ends here.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace instantnet::interop {

/// Of a tensor, a kernel, a stride: products of two never overflow.
inline constexpr int64_t kLargestOnnxSize = int64_t{1} << 30;

struct OnnxNode {
  std::string name;  // unique: the file's, or of its first output where the file has none
  std::string op;    // "Conv"; "com.microsoft.FusedConv" outside ONNX's own operators
  std::vector<std::string> inputs, outputs;          // "" for an optional one that is left out
  std::map<std::string, std::vector<int64_t>> ints;  // attributes that are integers or lists
  std::map<std::string, std::vector<double>> floats;
  std::map<std::string, std::string> texts;
};

/// Everything is by the tensor's name.
struct OnnxGraph {
  std::vector<OnnxNode> nodes;
  std::map<std::string, std::vector<int64_t>> shapes;  // of inputs and constants
  std::map<std::string, std::vector<int64_t>> claims;  // what the file says of the others
  std::map<std::string, std::vector<int64_t>> values;  // short integer constants, 0-d and 1-d
  std::map<std::string, std::vector<double>> scales;   // the same, not integers
  int64_t batch = 1;                // images a run: the first size of the first input
  std::set<std::string> constants;  // tensors that do not depend on the network's inputs
};

/// Reads a file and checks it. A first size of an input that the file leaves open becomes `batch`
/// (1 when that is 0); one that it fixes must be `batch`, unless that is 0.
/// Error (path, node) when the file is not ONNX, is broken (a tensor nobody makes, two of one name,
/// sizes below 1), has an input of unknown size, or hides layers in functions or control flow.
OnnxGraph read_onnx(const std::string& path, int64_t batch);

}  // namespace instantnet::interop
