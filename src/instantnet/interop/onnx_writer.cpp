#include "instantnet/interop/onnx_writer.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <cstring>

#include "instantnet/core/error.h"

namespace instantnet::interop {
namespace {

template <class Element, class T>
std::string raw(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(Element), '\0');
  for (size_t i = 0; i < values.size(); ++i) {
    const Element one = static_cast<Element>(values[i]);
    std::memcpy(bytes.data() + i * sizeof(Element), &one, sizeof(Element));
  }
  return bytes;
}

template <class T>
std::string raw(int type, const std::vector<T>& values) {
  switch (type) {
    case onnx::TensorProto::FLOAT:
      return raw<float>(values);
    case onnx::TensorProto::INT8:
      return raw<int8_t>(values);
    case onnx::TensorProto::UINT8:
      return raw<uint8_t>(values);
    case onnx::TensorProto::UINT16:
      return raw<uint16_t>(values);
    case onnx::TensorProto::INT32:
      return raw<int32_t>(values);
    case onnx::TensorProto::INT64:
      return raw<int64_t>(values);
    case onnx::TensorProto::UINT64:
      return raw<uint64_t>(values);
    default:
      bug("an ONNX constant of a type that nobody writes");
  }
}

}  // namespace

onnx::GraphProto& OnnxWriter::graph() { return *model_.mutable_graph(); }

std::string OnnxWriter::node(const std::string& op, const std::vector<std::string>& inputs,
                             const Ints& lists, const Ints& numbers, const std::string& domain,
                             const std::string& name) {
  auto& one = *graph().add_node();
  const std::string output = name.empty() ? fmt::format("v{}", made_++) : name;
  one.set_op_type(op);
  one.set_name(output + "_" + op);
  one.set_domain(domain);
  for (const std::string& input : inputs) one.add_input(input);
  one.add_output(output);
  for (const auto& [key, values] : lists) {
    auto& attribute = *one.add_attribute();
    attribute.set_name(key);
    attribute.set_type(onnx::AttributeProto::INTS);
    for (const int64_t value : values) attribute.add_ints(value);
  }
  for (const auto& [key, values] : numbers) {
    auto& attribute = *one.add_attribute();
    attribute.set_name(key);
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(values.front());
  }
  return output;
}

template <class T>
std::string OnnxWriter::constant(int type, const Dims& dims, const std::vector<T>& values) {
  auto& tensor = *graph().add_initializer();
  tensor.set_name(fmt::format("c{}", made_++));
  tensor.set_data_type(type);
  for (const int64_t size : dims) tensor.add_dims(size);
  tensor.set_raw_data(raw(type, values));
  return tensor.name();
}

template <class T>
std::string OnnxWriter::chosen(int type, const Dims& dims,
                               const std::vector<std::vector<T>>& widths) {
  bool same = true;
  for (const auto& one : widths) same = same && one == widths.front();
  if (same) return constant(type, dims, widths.front());
  std::vector<T> all;
  for (const auto& one : widths) all.insert(all.end(), one.begin(), one.end());
  Dims stacked = dims;
  stacked.insert(stacked.begin(), static_cast<int64_t>(widths.size()));
  return node("Gather", {constant(type, stacked, all), choice}, {}, {{"axis", {0}}});
}

template std::string OnnxWriter::constant(int, const Dims&, const std::vector<int64_t>&);
template std::string OnnxWriter::constant(int, const Dims&, const std::vector<double>&);
template std::string OnnxWriter::chosen(int, const Dims&, const std::vector<std::vector<int64_t>>&);

}  // namespace instantnet::interop
