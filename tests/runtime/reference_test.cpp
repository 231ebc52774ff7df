// The reference against the equations in real numbers: each integer lies within half a code of the
// exact value.
#include "instantnet/runtime/reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "net/expect_error.h"
#include "net/random_network.h"
#include "runtime/random_model.h"

namespace instantnet::runtime {
namespace {

/// Real numbers (h, w, c).
struct Real {
  TensorShape shape;
  std::vector<double> values;
  double at(int64_t y, int64_t x, int64_t c) const {
    if (y < 0 || y >= shape.height || x < 0 || x >= shape.width) return 0;
    return values[(y * shape.width + x) * shape.channels + c];
  }
};

/// What is asserted about the model, by equations (1) to (4) alone.
class Equations {
 public:
  Equations(const IntModel& model, Precision asked, uint64_t image_seed)
      : source_(model), asked_(asked), prepared_(prepare(source_, {asked})) {
    trace_ = run_reference(source_, prepared_, random_image(model.spec, image_seed));
  }

  void check() {
    for (size_t l = 0; l < source_.model().layers.size(); ++l) inputs_.push_back(real_input(l));
    for (size_t f = 0; f < prepared_.forms.size(); ++f) {
      const Form& form = prepared_.forms[f];
      if (form.rule == Rule::Layer) check_layer(f);
    }
    for (size_t l = 0; l < source_.model().layers.size(); ++l) check_input(l);
  }
  int checked() const { return checked_; }

 private:
  const IntLayer& layer(size_t l) const { return source_.model().layers[l]; }
  const Graph& graph() const { return source_.graph(); }

  int bits_of(size_t l, int asked) const {
    const int bits = graph().node(graph().layers[l].node).bits;
    return bits == 0 ? asked : bits == 32 ? 16 : bits;
  }
  const LayerWidth& width(size_t l, int bits) const {
    for (const LayerWidth& one : layer(l).widths)
      if (one.bits == bits) return one;
    throw std::runtime_error("no such width");
  }
  double channel(const std::vector<float>& values, int64_t c) const {
    return values[values.size() == 1 ? 0 : c];
  }

  struct Codes {
    double low = 0, step = 1;
    int least = 0, most = 255;
  };
  /// What input codes of layer l mean, channel c of its input.
  Codes codes(size_t l, int64_t c) const {
    const LayerWidth& one = width(l, asked_.activation);
    const int a = bits_of(l, asked_.activation);
    switch (layer(l).input) {
      case InputKind::Image: {
        for (int v = graph().layers[l].input; v != kImage; v = graph().inputs[v][0])
          if (graph().node(v).op == Op::ChannelShuffle) c = graph().shuffled_from(v, c);
        return {-255.0 * source_.model().normalisation.mean[c], 1, 0, 255};
      }
      case InputKind::Unsigned:
        return {0, channel(one.range, c) / ((1 << a) - 1), 0, (1 << a) - 1};
      case InputKind::Signed: {
        const int most = (1 << (a - 1)) - 1;
        return {0, channel(one.range, c) / most, -most, most};
      }
      case InputKind::Offset:
        return {channel(one.low, c), channel(one.range, c) / ((1 << a) - 1), 0, (1 << a) - 1};
    }
    return {};
  }

  Real real_input(size_t l) const {
    const Traced& traced = trace_.tensors[prepared_.layers[l].input];
    Real real{traced.shape, {}};
    for (size_t i = 0; i < traced.numbers.size(); ++i) {
      const Codes code = codes(l, i % traced.shape.channels);
      EXPECT_GE(traced.numbers[i], code.least);
      EXPECT_LE(traced.numbers[i], code.most);
      real.values.push_back(code.low + code.step * traced.numbers[i]);
    }
    return real;
  }

  double weight(size_t l, size_t index, int64_t k) const {
    const IntLayer& one = layer(l);
    const int b = bits_of(l, asked_.weight), master = one.master_bits;
    const int64_t m = one.codes[index];
    if (one.lattice == Lattice::Nested)
      return one.range[k] * (2.0 * (m >> (master - b)) + 1 - (1 << b)) / (1 << b);
    const int64_t levels = (int64_t{1} << b) - 1, top = (int64_t{1} << master) - 1;
    const int64_t q = (2 * m * levels + top) / (2 * top);
    return one.low[k] + static_cast<double>(q) * one.range[k] / levels;
  }

  /// y of equations (3) and (4), before the activation function.
  double output(size_t l, int64_t p, int64_t q, int64_t k) const {
    const GraphLayer& at = graph().layers[l];
    const Node& node = graph().node(at.node);
    const Real& in = inputs_[l];
    double sum = 0;
    const LayerShape& loops = at.loops;
    if (node.op == Op::Linear) {
      const int64_t pixels = in.shape.height * in.shape.width;
      for (int64_t c = 0; c < loops.c; ++c)
        sum += weight(l, k * loops.c + c, k) *
               in.at(c % pixels / in.shape.width, c % pixels % in.shape.width, c / pixels);
    } else {
      size_t index = k * loops.c * loops.r * loops.s;
      for (int64_t r = 0; r < loops.r; ++r)
        for (int64_t s = 0; s < loops.s; ++s)
          for (int64_t c = 0; c < loops.c; ++c, ++index)
            sum += weight(l, index, k) * in.at(p * node.stride + r * node.dilation - node.padding,
                                               q * node.stride + s * node.dilation - node.padding,
                                               k / (loops.k / loops.groups) * loops.c + c);
    }
    const LayerWidth& one = width(l, asked_.weight);
    return one.scale[k] * sum + one.shift[k];
  }

  /// What rounding the multipliers and offset of equations (5) and (8), and the bits of the sum
  /// that are dropped, can change.
  double rounding(const Form& form, int64_t k) const {
    const RequantTable& table = form.requant;
    double sum = 0x1p31, box = 0;
    if (form.rule == Rule::Layer) {
      const LayerNumbers& numbers = prepared_.layers[form.layer];
      sum =
          std::ldexp(std::max(-1.0 * numbers.least_sum, 1.0 * numbers.most_sum), -table.sum_shift);
      box = table.box_multiplier.empty()
                ? 0
                : double{1} * numbers.problem.shape.taps() * numbers.problem.input.largest();
    }
    const double dropped = table.sum_shift > 0 ? std::abs(1.0 * table.multiplier[k]) : 0;
    return std::ldexp(0.5 * sum + 0.5 * box + 0.5 + dropped, -table.shift) + 1e-9;
  }

  static double activated(Activation activation, double y) {
    if (activation != Activation::None) y = std::max(y, 0.0);
    return activation == Activation::Relu6 ? std::min(y, 6.0) : y;
  }

  /// Streams of layers, at once; codes are checked from their reader's side.
  void check_layer(size_t f) {
    const Form& form = prepared_.forms[f];
    if (form.kind != FormKind::Stream) return;
    each_output(f, [&](double y, int32_t number, int64_t k) {
      const double exact = std::ldexp(y, form.fraction);
      EXPECT_NEAR(number, exact, 0.5 + rounding(form, k) + std::fabs(exact) * 1e-12);
    });
  }

  template <class Check>
  void each_output(size_t f, const Check& check) {
    const Form& form = prepared_.forms[f];
    const Activation activation = graph().node(form.value).activation;
    size_t i = 0;
    for (int64_t p = 0; p < form.shape.height; ++p)
      for (int64_t q = 0; q < form.shape.width; ++q)
        for (int64_t k = 0; k < form.shape.channels; ++k, ++i) {
          check(activated(activation, output(form.layer, p, q, k)), trace_.tensors[f].numbers[i],
                k);
          ++checked_;
        }
  }

  /// Where the codes that layer l reads come from, seen through pooling and shuffling.
  void check_input(size_t l) {
    size_t f = prepared_.layers[l].input;
    std::vector<int64_t> reader_channel(prepared_.forms[f].shape.channels);
    for (size_t c = 0; c < reader_channel.size(); ++c) reader_channel[c] = c;
    while (prepared_.forms[f].rule == Rule::Maximum || prepared_.forms[f].rule == Rule::Shuffle) {
      if (prepared_.forms[f].rule == Rule::Shuffle) {
        std::vector<int64_t> next(reader_channel.size());
        for (size_t c = 0; c < next.size(); ++c)
          next[graph().shuffled_from(prepared_.forms[f].value, c)] = reader_channel[c];
        reader_channel = next;
      }
      f = prepared_.forms[f].inputs[0];
    }
    const Form& form = prepared_.forms[f];
    const auto near_code = [&](double x, int32_t number, int64_t k) {
      const Codes code = codes(l, reader_channel[k]);
      const double exact = std::clamp<double>((x - code.low) / code.step, code.least, code.most);
      EXPECT_NEAR(number, exact, 0.5 + rounding(form, k)) << layer(l).node << " channel " << k;
    };
    if (form.rule == Rule::Layer) each_output(f, near_code);
    if (form.rule != Rule::Recode) return;
    const Traced& stream = trace_.tensors[form.inputs[0]];
    for (size_t i = 0; i < stream.numbers.size(); ++i)
      near_code(std::ldexp(double{1} * stream.numbers[i], -stream.fraction),
                trace_.tensors[f].numbers[i], i % stream.shape.channels);
  }

  Source source_;
  Precision asked_;
  Prepared prepared_;
  Trace trace_;
  std::vector<Real> inputs_;
  int checked_ = 0;
};

TEST(Reference, IsWithinHalfACodeOfTheEquationsInRealNumbers) {
  int checked = 0;
  for (uint64_t seed = 0; seed < 600; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const IntModel model = random_model(random_network(seed), seed);
    check(model);
    const int b = model.bits[seed % model.bits.size()];
    const int a = model.bits[seed / 3 % model.bits.size()];
    Equations equations(model, {b, seed % 2 == 0 ? b : a}, seed);
    equations.check();
    checked += equations.checked();
    if (HasFailure()) break;
  }
  EXPECT_GT(checked, 50000);
}

TEST(Reference, RefusesAnImageOfAnotherSize) {
  const IntModel model = random_model(random_network(1), 1);
  const std::string message = error_of([&] {
    run_reference(model, {{8, 8}}, std::vector<uint8_t>(3));
  });
  EXPECT_EQ(message.substr(0, 25), "image: it has 3 bytes; th");
}

}  // namespace
}  // namespace instantnet::runtime
