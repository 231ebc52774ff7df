#include "instantnet/runtime/reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "instantnet/core/error.h"

namespace instantnet::runtime {
namespace {

/// Numbers of one form, (h, w, c).
struct Image {
  TensorShape shape;
  std::vector<int64_t> numbers;

  int64_t at(int64_t y, int64_t x, int64_t c) const {
    return numbers[static_cast<size_t>((y * shape.width + x) * shape.channels + c)];
  }
  int64_t& at(int64_t y, int64_t x, int64_t c) {
    return numbers[static_cast<size_t>((y * shape.width + x) * shape.channels + c)];
  }
  bool contains(int64_t y, int64_t x) const {
    return y >= 0 && y < shape.height && x >= 0 && x < shape.width;
  }
};

Image empty_image(const TensorShape& shape) {
  return {shape,
          std::vector<int64_t>(static_cast<size_t>(shape.channels * shape.height * shape.width))};
}

/// Calls visit(y, x, c) for every place.
template <class Visit>
void each_place(const TensorShape& shape, const Visit& visit) {
  for (int64_t y = 0; y < shape.height; ++y)
    for (int64_t x = 0; x < shape.width; ++x)
      for (int64_t c = 0; c < shape.channels; ++c) visit(y, x, c);
}

/// Equation (5), as a position on the reader's grid or a stream value.
int64_t requantised(const RequantTable& table, int64_t sum, int64_t box, int border, int64_t k) {
  const auto channel = static_cast<size_t>(k);
  int64_t t = (sum >> table.sum_shift) * table.multiplier[channel];
  if (!table.box_multiplier.empty()) t += box * table.box_multiplier[channel];
  t += table.offset[static_cast<size_t>(border * padded(table.channels) + k)];
  return std::clamp<int64_t>(t >> table.shift, table.least, table.most) - table.zero;
}

class Runner {
 public:
  Runner(const Source& source, const Prepared& prepared, std::span<const uint8_t> image)
      : source_(source), graph_(source.graph()), prepared_(prepared), pixels_(image) {}

  std::vector<Image> run() {
    for (const Form& form : prepared_.forms) images_.push_back(compute(form));
    return std::move(images_);
  }

 private:
  const Image& input(const Form& form, size_t i = 0) const {
    return images_[static_cast<size_t>(form.inputs[i])];
  }

  Image compute(const Form& form) const {
    switch (form.rule) {
      case Rule::Pixels:
      case Rule::Table:
        return from_pixels(form);
      case Rule::Layer:
        return layer(form);
      case Rule::Add:
        return add(form);
      case Rule::Average:
        return average(form);
      case Rule::Recode:
        return recode(form);
      case Rule::Maximum:
        return maximum(form);
      case Rule::Shuffle:
        return shuffle(form);
      case Rule::Flatten:
        return flatten(form);
    }
    bug("a form has a rule that does not exist");
  }

  Image from_pixels(const Form& form) const {
    Image out = empty_image(form.shape);
    for (size_t i = 0; i < pixels_.size(); ++i) {
      const size_t channel = i % static_cast<size_t>(form.shape.channels);
      out.numbers[i] = form.rule == Rule::Pixels
                           ? pixels_[i]
                           : form.table[channel * 256 + pixels_[i]] - form.format.zero;
    }
    return out;
  }

  /// Integer weights W of all output channels.
  std::vector<int64_t> weights(int layer, const ConvProblem& problem) const {
    const int64_t count = problem.shape.taps() * problem.shape.out_channels;
    std::vector<uint16_t> codes(static_cast<size_t>(count));
    source_.weights(layer).narrow(problem.weight_bits, 0, count, codes.data());
    std::vector<int64_t> w;
    for (const uint16_t code : codes)
      w.push_back(problem.lattice == Lattice::Nested
                      ? 2 * int64_t{code} + 1 - (int64_t{1} << problem.weight_bits)
                      : int64_t{code});
    return w;
  }

  /// Equations (3) and (4): sum and box over the taps inside the image, then (5).
  Image layer(const Form& form) const {
    const LayerNumbers& numbers = prepared_.layers[static_cast<size_t>(form.layer)];
    const ConvShape& shape = numbers.problem.shape;
    const std::vector<int64_t> w = weights(form.layer, numbers.problem);
    const Image& in = input(form);
    Image out = empty_image(form.shape);
    const int64_t each = shape.group_channels(), group_outputs = shape.out_channels / shape.groups;
    each_place(form.shape, [&](int64_t p, int64_t q, int64_t k) {
      int64_t sum = 0, box = 0;
      size_t weight = static_cast<size_t>(k * shape.taps());
      for (int64_t r = 0; r < shape.kernel_height; ++r)
        for (int64_t s = 0; s < shape.kernel_width; ++s)
          for (int64_t c = 0; c < each; ++c, ++weight) {
            const int64_t y = p * shape.stride + r * shape.dilation - shape.padding;
            const int64_t x = q * shape.stride + s * shape.dilation - shape.padding;
            if (!in.contains(y, x)) continue;
            const int64_t code = in.at(y, x, k / group_outputs * each + c);
            sum += w[weight] * code;
            box += code;
          }
      const int border = numbers.borders.row[static_cast<size_t>(p)] +
                         numbers.borders.column[static_cast<size_t>(q)];
      out.at(p, q, k) = requantised(form.requant, sum, box, border, k);
    });
    return out;
  }

  /// Equation (6).
  Image add(const Form& form) const {
    Image out = empty_image(form.shape);
    for (size_t i = 0; i < out.numbers.size(); ++i) {
      int64_t sum = 0;
      for (size_t j = 0; j < form.inputs.size(); ++j) sum += input(form, j).numbers[i];
      out.numbers[i] = std::clamp<int64_t>(sum, form.least, form.most);
    }
    return out;
  }

  /// Calls visit(number) for the taps of the node's window at (p, q) inside the image.
  template <class Visit>
  void each_tap(const Node& node, const Image& in, int64_t p, int64_t q, int64_t c,
                const Visit& visit) const {
    for (int64_t r = 0; r < node.kernel; ++r)
      for (int64_t s = 0; s < node.kernel; ++s) {
        const int64_t y = p * node.stride + r - node.padding;
        const int64_t x = q * node.stride + s - node.padding;
        if (in.contains(y, x)) visit(in.at(y, x, c));
      }
  }

  /// Equation (7).
  Image average(const Form& form) const {
    const Image& in = input(form);
    const Node& node = graph_.node(form.value);
    const bool global = node.op == Op::GlobalAvgPool;
    const int64_t taps = global ? in.shape.height * in.shape.width : node.kernel * node.kernel;
    const int64_t reciprocal = average_factor(taps);
    Image out = empty_image(form.shape);
    each_place(form.shape, [&](int64_t p, int64_t q, int64_t c) {
      int64_t sum = 0;
      if (global)
        each_place({1, in.shape.height, in.shape.width, false},
                   [&](int64_t y, int64_t x, int64_t) { sum += in.at(y, x, c); });
      else
        each_tap(node, in, p, q, c, [&](int64_t number) { sum += number; });
      out.at(p, q, c) = (sum * reciprocal + (int64_t{1} << (kAverageShift - 1))) >> kAverageShift;
    });
    return out;
  }

  /// Equation (8).
  Image recode(const Form& form) const {
    Image out = empty_image(form.shape);
    each_place(form.shape, [&](int64_t y, int64_t x, int64_t c) {
      out.at(y, x, c) = requantised(form.requant, input(form).at(y, x, c), 0, 0, c);
    });
    return out;
  }

  Image maximum(const Form& form) const {
    Image out = empty_image(form.shape);
    each_place(form.shape, [&](int64_t p, int64_t q, int64_t c) {
      int64_t most = INT64_MIN;
      each_tap(graph_.node(form.value), input(form), p, q, c,
               [&](int64_t number) { most = std::max(most, number); });
      out.at(p, q, c) = most;
    });
    return out;
  }

  Image shuffle(const Form& form) const {
    Image out = empty_image(form.shape);
    each_place(form.shape, [&](int64_t y, int64_t x, int64_t c) {
      out.at(y, x, c) = input(form).at(y, x, graph_.shuffled_from(form.value, c));
    });
    return out;
  }

  Image flatten(const Form& form) const {
    const Image& in = input(form);
    Image out = empty_image(form.shape);
    each_place(in.shape, [&](int64_t y, int64_t x, int64_t c) {
      out.at(0, 0, (c * in.shape.height + y) * in.shape.width + x) = in.at(y, x, c);
    });
    return out;
  }

  const Source& source_;
  const Graph& graph_;
  const Prepared& prepared_;
  std::span<const uint8_t> pixels_;
  std::vector<Image> images_;
};

}  // namespace

Trace run_reference(const Source& source, const Prepared& prepared,
                    std::span<const uint8_t> image) {
  const NetworkSpec& spec = source.model().spec;
  if (static_cast<int64_t>(image.size()) != spec.channels * spec.height * spec.width)
    fail("image", fmt::format("it has {} bytes; the network takes {} x {} pixels of {} channels.",
                              image.size(), spec.height, spec.width, spec.channels));
  const std::vector<Image> images = Runner(source, prepared, image).run();
  Trace trace;
  for (size_t i = 0; i < images.size(); ++i) {
    const Form& form = prepared.forms[i];
    trace.tensors.push_back({form.value == kImage ? "input" : source.graph().node(form.value).name,
                             form.kind == FormKind::Stream,
                             form.fraction,
                             form.format,
                             form.shape,
                             {images[i].numbers.begin(), images[i].numbers.end()}});
  }
  const Traced& last = trace.tensors[static_cast<size_t>(prepared.output)];
  for (const int32_t number : last.numbers)
    trace.logits.push_back(static_cast<float>(std::ldexp(double{1} * number, -last.fraction)));
  trace.predicted = static_cast<int>(std::max_element(last.numbers.begin(), last.numbers.end()) -
                                     last.numbers.begin());
  return trace;
}

Trace run_reference(const IntModel& model, const std::vector<Precision>& precisions,
                    std::span<const uint8_t> image) {
  check(model);
  const Source source(model);
  return run_reference(source, prepare(source, precisions), image);
}

}  // namespace instantnet::runtime
