#include "instantnet/interop/onnx_window.h"

#include <fmt/format.h>

#include "instantnet/core/error.h"

namespace instantnet::interop {
namespace {

std::string padding_mode(const OnnxNode& node, const std::string& where) {
  const std::string mode = text_attribute(node, "auto_pad", "NOTSET");
  if (mode != "NOTSET" && mode != "VALID" && mode != "SAME_UPPER" && mode != "SAME_LOWER")
    fail(where,
         fmt::format("auto_pad is '{}'; known are NOTSET, VALID, SAME_UPPER, SAME_LOWER.", mode));
  return mode;
}

int64_t output_size(const OnnxAxis& axis, int64_t padding, const std::string& mode, bool partial,
                    const std::string& where) {
  if (mode.starts_with("SAME")) return (axis.in + axis.stride - 1) / axis.stride;
  const int64_t reach = axis.dilation * (axis.kernel - 1) + 1;
  const int64_t room = axis.in + (mode == "VALID" ? 0 : padding);
  if (room < reach)
    fail(where,
         fmt::format("a window of {} is on an input of {} with its padding; it does not fit.",
                     reach, room));
  const int64_t rest = room - reach;
  return (partial ? rest + axis.stride - 1 : rest) / axis.stride + 1;
}

}  // namespace

std::vector<int64_t> list_attribute(const OnnxNode& node, const std::string& name, size_t length,
                                    int64_t otherwise, const std::string& where) {
  const auto found = node.ints.find(name);
  if (found == node.ints.end()) return std::vector<int64_t>(length, otherwise);
  if (found->second.size() != length)
    fail(where, fmt::format("{} has {} values; its sizes ask for {}.", name, found->second.size(),
                            length));
  return found->second;
}

int64_t int_attribute(const OnnxNode& node, const std::string& name, int64_t otherwise) {
  const auto found = node.ints.find(name);
  return found == node.ints.end() || found->second.empty() ? otherwise : found->second.front();
}

std::string text_attribute(const OnnxNode& node, const std::string& name,
                           const std::string& otherwise) {
  const auto found = node.texts.find(name);
  return found == node.texts.end() || found->second.empty() ? otherwise : found->second;
}

std::vector<OnnxAxis> window_axes(const OnnxNode& node, const std::vector<int64_t>& input,
                                  const std::vector<int64_t>& kernel, bool partial,
                                  const std::string& where) {
  const size_t count = kernel.size();
  if (input.size() != count + 2)
    fail(where, fmt::format("data of {} sizes under a window of {}; data have one for each axis of "
                            "the window and two more.",
                            input.size(), count));
  const auto strides = list_attribute(node, "strides", count, 1, where);
  const auto dilations = list_attribute(node, "dilations", count, 1, where);
  const auto pads = list_attribute(node, "pads", 2 * count, 0, where);
  const std::string mode = padding_mode(node, where);
  std::vector<OnnxAxis> axes;
  for (size_t i = 0; i < count; ++i) {
    OnnxAxis axis{input[i + 2], 1, kernel[i], strides[i], dilations[i]};
    axis.out = output_size(axis, pads[i] + pads[i + count], mode, partial, where);
    axes.push_back(axis);
  }
  return axes;
}

}  // namespace instantnet::interop
