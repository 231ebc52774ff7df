#include "runtime/random_model.h"

#include <algorithm>
#include <cmath>

#include "instantnet/runtime/graph.h"

namespace instantnet::runtime {
namespace {

class Maker {
 public:
  Maker(const NetworkSpec& spec, uint64_t seed, const RandomModelOptions& options)
      : rng_(seed), options_(options) {
    model_.spec = spec;
    model_.bits = options.bits;
    model_.origin = "a test";
  }

  IntModel make() {
    const Graph graph(model_.spec);
    for (int64_t c = 0; c < model_.spec.channels; ++c) {
      model_.normalisation.mean.push_back(number(0.3, 0.6));
      model_.normalisation.deviation.push_back(number(0.2, 0.4));
    }
    for (const GraphLayer& layer : graph.layers) {
      add_layer(graph, layer);
      if (options_.floats) add_floats(layer.loops);
    }
    if (options_.floats) model_.bits.push_back(32);
    if (rng_.flip())
      for (int64_t i = 0; i < model_.spec.classes; ++i)
        model_.classes.push_back("class " + std::to_string(i));
    return model_;
  }

 private:
  float number(double low, double high) { return static_cast<float>(rng_.uniform(low, high)); }
  std::vector<float> numbers(int64_t count, double low, double high) {
    std::vector<float> result;
    for (int64_t i = 0; i < count; ++i) result.push_back(number(low, high));
    return result;
  }

  void add_layer(const Graph& graph, const GraphLayer& at) {
    const Node& node = graph.node(at.node);
    IntLayer& layer = model_.layers.emplace_back();
    layer.node = node.name;
    layer.lattice = node.bits != 32 && rng_.flip(options_.sbm) ? Lattice::Sbm : Lattice::Nested;
    layer.input = input_kind(graph, at, layer.lattice);
    const int widest = node.bits == 0 ? options_.bits.back() : std::min(16, node.bits);
    layer.master_bits = widest > 8 || rng_.flip() ? 16 : 8;
    const int64_t last = (1 << layer.master_bits) - 1;
    for (int64_t i = 0; i < at.loops.weights(); ++i) layer.codes.push_back(code(last));
    layer.range = numbers(at.loops.k, 0.1, 1);
    if (layer.lattice == Lattice::Sbm) layer.low = numbers(at.loops.k, -0.6, 0.1);
    for (const int bits : options_.bits) add_width(layer, at.loops, bits);
  }

  InputKind input_kind(const Graph& graph, const GraphLayer& at, Lattice lattice) {
    const int bits = graph.node(at.node).bits;
    const int least = bits == 0 ? options_.bits.front() : bits;
    const int producer = graph.producer(at.input);
    if (producer == kImage && (options_.trained_inputs || rng_.flip(0.7))) return InputKind::Image;
    if (lattice == Lattice::Sbm) return InputKind::Offset;
    if (options_.trained_inputs)
      return rectified(graph, producer) || least < 2 ? InputKind::Unsigned : InputKind::Signed;
    return least >= 2 && rng_.flip() ? InputKind::Signed : InputKind::Unsigned;
  }

  /// The value cannot be negative.
  static bool rectified(const Graph& graph, int value) {
    const Node& node = graph.node(value);
    if (node.op != Op::GlobalAvgPool && node.op != Op::AvgPool)
      return node.activation != Activation::None;
    return rectified(graph, graph.producer(graph.inputs[static_cast<size_t>(value)][0]));
  }

  uint16_t code(int64_t last) {
    if (options_.extreme) return static_cast<uint16_t>(rng_.flip(0.9) ? last : 0);
    const double middle = (last + 1) / 2.0;
    const double drawn = std::floor(middle + rng_.normal() * middle / 3);
    return static_cast<uint16_t>(std::clamp<double>(drawn, 0, static_cast<double>(last)));
  }

  void add_width(IntLayer& layer, const LayerShape& shape, int bits) {
    LayerWidth& width = layer.widths.emplace_back();
    width.bits = bits;
    const bool image = layer.input == InputKind::Image;
    const bool depthwise = shape.c == 1 && shape.groups > 1;
    const int64_t ranges = image ? 0 : depthwise && rng_.flip() ? shape.groups : 1;
    width.range = numbers(ranges, 1, 4);
    if (layer.input == InputKind::Offset) {
      width.low = numbers(ranges, -1, 0.5);
      if (rng_.flip()) std::fill(width.low.begin(), width.low.end(), 0.0F);
    }
    const double taps = static_cast<double>(shape.c * shape.r * shape.s);
    const double typical = std::sqrt(taps) * 0.2 * (image ? 100 : 1);
    for (int64_t k = 0; k < shape.k; ++k) {
      width.scale.push_back(number(0.2, 2) *
                            static_cast<float>((rng_.flip(0.9) ? 1 : -1) / typical));
      width.shift.push_back(number(-0.5, 0.5));
    }
  }

  void add_floats(const LayerShape& shape) {
    FloatLayer& layer = model_.floats.emplace_back();
    const double size = 1 / std::sqrt(static_cast<double>(shape.c * shape.r * shape.s));
    layer.weights = numbers(shape.weights(), -size, size);
    layer.scale = numbers(shape.k, 0.5, 1.5);
    layer.shift = numbers(shape.k, -0.5, 0.5);
  }

  Rng rng_;
  const RandomModelOptions options_;
  IntModel model_;
};

}  // namespace

IntModel random_model(const NetworkSpec& spec, uint64_t seed, const RandomModelOptions& options) {
  return Maker(spec, seed, options).make();
}

std::vector<uint8_t> random_image(const NetworkSpec& spec, uint64_t seed) {
  Rng rng(seed, 77);
  std::vector<uint8_t> image(static_cast<size_t>(spec.channels * spec.height * spec.width));
  for (uint8_t& pixel : image) pixel = static_cast<uint8_t>(rng.below(256));
  return image;
}

}  // namespace instantnet::runtime
