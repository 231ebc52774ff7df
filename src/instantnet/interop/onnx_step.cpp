#include "instantnet/interop/onnx_step.h"

#include <fmt/format.h>

#include <utility>

namespace instantnet::interop {
namespace {

/// Longer lists are no shapes.
constexpr size_t kMostValues = 64;

}  // namespace

const std::string& OnnxStep::input(size_t i) const {
  if (!has_input(i)) throw OnnxUnknown{fmt::format("it has no input {}", i + 1)};
  return node_.inputs[i];
}

const OnnxSizes& OnnxStep::shape(size_t i) const {
  const std::string& name = input(i);
  const auto found = known_.shapes.find(name);
  if (found != known_.shapes.end()) return found->second;
  const auto why = known_.unknown.find(name);
  throw OnnxUnknown{why == known_.unknown.end() ? fmt::format("nothing is known of '{}'", name)
                                                : why->second};
}

bool OnnxStep::has_values(size_t i) const {
  return has_input(i) && known_.values.count(node_.inputs[i]) != 0;
}

const OnnxSizes& OnnxStep::values(size_t i) const {
  const std::string& name = input(i);
  const auto found = known_.values.find(name);
  if (found == known_.values.end())
    throw OnnxUnknown{fmt::format("the values of '{}' are not known before a run", name)};
  return found->second;
}

const std::vector<double>& OnnxStep::scales(size_t i) const {
  const std::string& name = input(i);
  const auto found = known_.scales.find(name);
  if (found == known_.scales.end())
    throw OnnxUnknown{fmt::format("the values of '{}' are not known before a run", name)};
  return found->second;
}

std::optional<OnnxSizes> OnnxStep::optional_list(const std::string& name, size_t i) const {
  const auto found = node_.ints.find(name);
  if (found != node_.ints.end()) return found->second;
  if (!has_input(i)) return {};
  return values(i);
}

OnnxSizes OnnxStep::list(const std::string& name, size_t i) const {
  const std::optional<OnnxSizes> found = optional_list(name, i);
  if (!found) throw OnnxUnknown{fmt::format("it has no {}", name)};
  return *found;
}

int64_t OnnxStep::number(const std::string& name, int64_t otherwise) const {
  const auto found = node_.ints.find(name);
  return found == node_.ints.end() || found->second.empty() ? otherwise : found->second.front();
}

size_t OnnxStep::axis(int64_t axis, size_t rank) const {
  const auto most = static_cast<int64_t>(rank);
  if (axis < -most || axis >= most)
    throw OnnxUnknown{fmt::format("axis {} is not one of {} sizes", axis, rank)};
  return static_cast<size_t>(axis < 0 ? axis + most : axis);
}

void OnnxStep::set_shape(OnnxSizes sizes, size_t output) {
  for (const int64_t size : sizes)
    if (size < 1 || size > kLargestOnnxSize)
      throw OnnxUnknown{fmt::format("its result would have a size of {}", size)};
  if (output < node_.outputs.size() && !node_.outputs[output].empty())
    known_.shapes[node_.outputs[output]] = std::move(sizes);
}

void OnnxStep::set_values(OnnxSizes values, size_t output) {
  if (values.size() <= kMostValues && output < node_.outputs.size())
    known_.values[node_.outputs[output]] = std::move(values);
}

int64_t onnx_product(const OnnxSizes& sizes) {
  constexpr int64_t kMost = int64_t{1} << 62;
  int64_t product = 1;
  for (const int64_t size : sizes)
    if (__builtin_mul_overflow(product, size, &product) || product > kMost)
      throw OnnxUnknown{"it has more elements than can be counted"};
  return product;
}

}  // namespace instantnet::interop
