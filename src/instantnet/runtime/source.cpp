// A model with what all of its widths share.
#include <utility>

#include "instantnet/runtime/prepare.h"

namespace instantnet::runtime {

Source::Source(IntModel model) : model_(std::move(model)), graph_(model_.spec) {
  for (size_t i = 0; i < model_.layers.size(); ++i)
    reordered_.push_back(kernel_order(static_cast<int>(i), model_.layers[i].codes));
  for (size_t i = 0; i < model_.floats.size(); ++i)
    reordered_floats_.push_back(kernel_order(static_cast<int>(i), model_.floats[i].weights));
}

ConvShape Source::shape(int layer) const {
  const GraphLayer& one = graph_.layers[static_cast<size_t>(layer)];
  const Node& node = graph_.node(one.node);
  const TensorShape& in = graph_.shape(one.input);
  const TensorShape& out = graph_.shape(one.node);
  const auto number = [](int64_t value) { return static_cast<int>(value); };
  ConvShape shape{number(in.height),  number(in.width),  number(in.channels),
                  number(out.height), number(out.width), number(out.channels)};
  if (node.op == Op::Linear) {
    shape.kernel_height = shape.height;
    shape.kernel_width = shape.width;
    return shape;
  }
  shape.kernel_height = shape.kernel_width = number(node.kernel);
  shape.stride = number(node.stride);
  shape.padding = number(node.padding);
  shape.dilation = number(node.dilation);
  shape.groups = number(node.groups);
  return shape;
}

/// Values (k, c * h * w) of a linear layer as (k, h, w, c); nothing where that is the same.
template <class T>
std::vector<T> Source::kernel_order(int layer, const Numbers<T>& values) const {
  const GraphLayer& one = graph_.layers[static_cast<size_t>(layer)];
  const TensorShape& in = graph_.shape(one.input);
  const int64_t pixels = in.height * in.width;
  if (graph_.node(one.node).op != Op::Linear || pixels == 1) return {};
  std::vector<T> result;
  result.reserve(values.size());
  for (int64_t k = 0; k < one.loops.k; ++k)
    for (int64_t pixel = 0; pixel < pixels; ++pixel)
      for (int64_t c = 0; c < in.channels; ++c)
        result.push_back(values[static_cast<size_t>((k * in.channels + c) * pixels + pixel)]);
  return result;
}

WeightSource Source::weights(int layer) const {
  const auto i = static_cast<size_t>(layer);
  const IntLayer& one = model_.layers[i];
  return {reordered_[i].empty() ? one.codes.data() : reordered_[i].data(), one.master_bits,
          one.lattice};
}

const float* Source::float_weights(int layer) const {
  const auto i = static_cast<size_t>(layer);
  return reordered_floats_[i].empty() ? model_.floats[i].weights.data()
                                      : reordered_floats_[i].data();
}

}  // namespace instantnet::runtime
