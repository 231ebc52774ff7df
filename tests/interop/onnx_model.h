// ONNX models made in memory, node by node, and written for the importer to read.
#pragma once

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "own_folder.h"

namespace instantnet::interop {

/// A model under construction. Every function returns the tensor or node it made.
class OnnxModel {
 public:
  OnnxModel() {
    proto.set_ir_version(8);
    proto.add_opset_import()->set_version(17);
    graph().set_name("test");
  }

  onnx::GraphProto& graph() { return *proto.mutable_graph(); }

  std::string input(const std::string& name, const std::vector<int64_t>& sizes) {
    auto& value = *graph().add_input();
    value.set_name(name);
    auto& type = *value.mutable_type()->mutable_tensor_type();
    type.set_elem_type(onnx::TensorProto::FLOAT);
    type.mutable_shape();
    for (const int64_t size : sizes) {  // 0: open
      auto& dim = *type.mutable_shape()->add_dim();
      if (size == 0)
        dim.set_dim_param("open");
      else
        dim.set_dim_value(size);
    }
    return name;
  }

  std::string weights(const std::string& name, const std::vector<int64_t>& sizes) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    int64_t count = 1;
    for (const int64_t size : sizes) tensor.add_dims(size), count *= size;
    for (int64_t i = 0; i < count; ++i) tensor.add_float_data(0.0F);
    return name;
  }

  std::string numbers(const std::string& name, const std::vector<int64_t>& values) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(onnx::TensorProto::INT64);
    tensor.add_dims(static_cast<int64_t>(values.size()));
    for (const int64_t value : values) tensor.add_int64_data(value);
    return name;
  }

  /// A node `name` that makes the tensor "<name>_out".
  onnx::NodeProto& node(const std::string& op, const std::string& name,
                        const std::vector<std::string>& inputs) {
    auto& made = *graph().add_node();
    made.set_op_type(op);
    made.set_name(name);
    for (const std::string& one : inputs) made.add_input(one);
    made.add_output(name + "_out");
    return made;
  }

  OnnxModel& output(const std::string& name) {
    graph().add_output()->set_name(name);
    return *this;
  }

  onnx::ModelProto proto;
};

inline void set(onnx::NodeProto& node, const std::string& name, int64_t value) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
}

inline void set(onnx::NodeProto& node, const std::string& name,
                const std::vector<int64_t>& values) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
}

inline void set_text(onnx::NodeProto& node, const std::string& name, const std::string& text) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::STRING);
  attribute.set_s(text);
}

/// A file that goes when this goes.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& bytes) : path_(own_folder() + name) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace instantnet::interop
