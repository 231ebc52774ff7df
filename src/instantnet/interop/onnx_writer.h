// An ONNX graph under construction: every function adds one node or constant and gives the name of
// what it makes.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace onnx {
class GraphProto;
class ModelProto;
}  // namespace onnx

namespace instantnet::interop {

class OnnxWriter {
 public:
  explicit OnnxWriter(onnx::ModelProto& model) : model_(model) {}

  using Dims = std::vector<int64_t>;
  using Ints = std::vector<std::pair<std::string, std::vector<int64_t>>>;

  std::string node(const std::string& op, const std::vector<std::string>& inputs,
                   const Ints& lists = {}, const Ints& numbers = {}, const std::string& domain = "",
                   const std::string& name = "");
  std::string cast(const std::string& value, int type) {
    return node("Cast", {value}, {}, {{"to", {type}}});
  }

  /// A constant of ONNX element type `type`. Numbers must be exact in it.
  template <class T>
  std::string constant(int type, const Dims& dims, const std::vector<T>& values);

  /// One constant a width: the only one, or chosen by the graph's input `choice`.
  template <class T>
  std::string chosen(int type, const Dims& dims, const std::vector<std::vector<T>>& widths);

  /// The name of the input that counts widths; empty when there is one width.
  std::string choice;

  onnx::GraphProto& graph();
  onnx::ModelProto& model() { return model_; }

 private:
  onnx::ModelProto& model_;
  int made_ = 0;
};

}  // namespace instantnet::interop
