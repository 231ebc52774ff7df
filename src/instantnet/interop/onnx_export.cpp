#include "instantnet/interop/onnx_export.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <vector>

#include "instantnet/core/error.h"
#include "instantnet/interop/onnx_writer.h"
#include "instantnet/runtime/prepare.h"

namespace instantnet::interop {
namespace {

using onnx::TensorProto;
using runtime::Form;
using runtime::FormKind;
using runtime::IntModel;
using runtime::Lattice;
using runtime::LayerNumbers;
using runtime::Prepared;
using runtime::RequantTable;
using runtime::Rule;
using runtime::Source;
using Numbers = std::vector<int64_t>;

constexpr const char* kQonnxDomain = "qonnx.custom_op.general";

/// How a layer's convolution is written: the same for every width.
struct Window {
  OnnxWriter::Ints lists, numbers;
  int64_t outputs = 1, channels = 1, height = 1, width = 1;  // of the weights
  OnnxWriter::Dims dims() const { return {outputs, channels, height, width}; }
};

Window window_of(const runtime::ConvShape& shape) {
  const int64_t pad = shape.padding;
  Window window;
  window.lists = {{"kernel_shape", {shape.kernel_height, shape.kernel_width}},
                  {"strides", {shape.stride, shape.stride}},
                  {"dilations", {shape.dilation, shape.dilation}},
                  {"pads", {pad, pad, pad, pad}}};
  window.numbers = {{"group", {shape.groups}}};
  window.outputs = shape.out_channels;
  window.channels = shape.group_channels();
  window.height = shape.kernel_height;
  window.width = shape.kernel_width;
  return window;
}

/// (k, r, s, c) to (k, c, r, s).
Numbers channels_first(const Window& window, const std::vector<uint16_t>& codes) {
  Numbers out;
  out.reserve(codes.size());
  const int64_t pixels = window.height * window.width;
  for (int64_t k = 0; k < window.outputs; ++k)
    for (int64_t c = 0; c < window.channels; ++c)
      for (int64_t i = 0; i < pixels; ++i)
        out.push_back(codes[static_cast<size_t>((k * pixels + i) * window.channels + c)]);
  return out;
}

void value_info(onnx::ValueInfoProto& value, const std::string& name, int type,
                const std::vector<int64_t>& sizes) {
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  tensor.mutable_shape();
  for (const int64_t size : sizes) {
    auto& dim = *tensor.mutable_shape()->add_dim();
    if (size == 0)
      dim.set_dim_param("N");
    else
      dim.set_dim_value(size);
  }
}

/// Forms are (N, C, H, W). Codes are float32 holding integers; streams are int64, or float32 real
/// values for Qdq.
class Exporter {
 public:
  Exporter(const Source& source, const std::vector<Prepared>& widths, OnnxFormat format,
           OnnxWriter& writer)
      : source_(source), widths_(widths), format_(format), w_(writer) {
    if (widths.size() > 1) w_.choice = "width";
  }

  void write() {
    check_alike();
    const Prepared& first = widths_.front();
    for (size_t i = 0; i < first.forms.size(); ++i) {
      made_.push_back(form(i));
    }
    std::string logits = made_[static_cast<size_t>(first.output)];
    if (!qdq()) {
      const auto units = each<double>([&](const Prepared& p) {
        return std::vector<double>{std::ldexp(1.0, -p.forms[size_t(p.output)].fraction)};
      });
      std::vector<Numbers> shifts;  // powers of two are chosen as 2^fraction, exact in int64
      for (const auto& one : units) shifts.push_back({static_cast<int64_t>(1.0 / one[0])});
      logits =
          w_.node("Div", {w_.cast(logits, TensorProto::FLOAT),
                          w_.cast(w_.chosen(TensorProto::INT64, {}, shifts), TensorProto::FLOAT)});
    }
    const int64_t classes = source_.model().spec.classes;
    w_.node("Reshape", {logits, ints({-1, classes})}, {}, {}, "", "logits");
  }

  /// Every value as an output of its own.
  void show_all() {
    for (size_t i = 0; i < made_.size(); ++i) {
      const Form& form = widths_.front().forms[i];
      const std::string name = fmt::format("value.{}", i);
      w_.node("Identity", {made_[i]}, {}, {}, "", name);
      const bool whole = form.kind == FormKind::Stream && !qdq();
      value_info(*w_.graph().add_output(), name, whole ? TensorProto::INT64 : TensorProto::FLOAT,
                 {0, form.shape.channels, form.shape.height, form.shape.width});
    }
  }

 private:
  /// Which values are codes can depend on the width (docs/integer-model.md, "direct" values behind
  /// ReLU6 with a range per channel); one graph cannot be both.
  void check_alike() const {
    const auto& first = widths_.front().forms;
    for (const Prepared& p : widths_) {
      bool alike = p.forms.size() == first.size();
      for (size_t i = 0; alike && i < first.size(); ++i)
        alike = p.forms[i].kind == first[i].kind && p.forms[i].rule == first[i].rule &&
                p.forms[i].inputs == first[i].inputs;
      if (!alike)
        fail("export",
             "this model keeps other values as codes at some widths than at others, so one "
             "switchable file cannot hold it; export each width with --format qonnx.");
    }
  }

  bool qdq() const { return format_ == OnnxFormat::Qdq; }
  std::string ints(const Numbers& values) {
    return w_.constant(TensorProto::INT64, {static_cast<int64_t>(values.size())}, values);
  }
  std::string scalar(int type, double value) {
    return w_.constant(type, {}, std::vector<double>{value});
  }

  /// numbers(prepared) of each width.
  template <class T, class Of>
  std::vector<std::vector<T>> each(const Of& numbers) const {
    std::vector<std::vector<T>> all;
    for (const Prepared& one : widths_) all.push_back(numbers(one));
    return all;
  }
  /// A scalar int64 that may depend on the width.
  template <class Of>
  std::string number(const Of& of) {
    return w_.chosen(TensorProto::INT64, {},
                     each<int64_t>([&](const Prepared& p) { return Numbers{of(p)}; }));
  }

  std::string form(size_t i) {
    const Form& form = widths_.front().forms[i];
    switch (form.rule) {
      case Rule::Pixels:
        return pixels();
      case Rule::Table:
        return table(i);
      case Rule::Layer:
        return qdq() ? float_layer(i) : layer(i);
      case Rule::Add:
        return add(i);
      case Rule::Average:
        return average(i);
      case Rule::Recode:
        return qdq() ? float_recode(i) : requant(i, input(i), "");
      case Rule::Maximum:
        return maximum(i);
      case Rule::Shuffle:
        return shuffle(i);
      case Rule::Flatten:
        return w_.node("Reshape", {input(i), ints({-1, form.shape.channels, 1, 1})});
    }
    bug("a form has a rule that does not exist");
  }

  const std::string& input(size_t i, size_t of = 0) const {
    return made_[static_cast<size_t>(widths_.front().forms[i].inputs[of])];
  }
  const Node& node_of(size_t i) const {
    return source_.graph().node(widths_.front().forms[i].value);
  }

  /// Codes of scale 1, so that everything behind a layer is in units of its reader's grid.
  std::string dequantised(const std::string& codes, int type) {
    return w_.node("DequantizeLinear", {codes, scalar(TensorProto::FLOAT, 1), scalar(type, 0)});
  }

  std::string pixels() {
    return qdq() ? dequantised("image", TensorProto::UINT8) : w_.cast("image", TensorProto::FLOAT);
  }

  std::string table(size_t i) {
    const Form& first = widths_.front().forms[i];
    const int64_t channels = first.shape.channels;
    Numbers starts;
    for (int64_t c = 0; c < channels; ++c) starts.push_back(c * 256);
    const std::string flat = w_.chosen(
        TensorProto::INT64, {channels * 256}, each<int64_t>([&](const Prepared& p) {
          Numbers all;
          for (const int32_t one : p.forms[i].table)
            all.push_back(one - (first.kind == FormKind::Codes ? p.forms[i].format.zero : 0));
          return all;
        }));
    const std::string index =
        w_.node("Add", {w_.cast("image", TensorProto::INT64),
                        w_.constant(TensorProto::INT64, {1, channels, 1, 1}, starts)});
    const std::string value = w_.node("Gather", {flat, index}, {}, {{"axis", {0}}});
    if (first.kind == FormKind::Codes) return w_.cast(value, TensorProto::FLOAT);
    return qdq() ? w_.node("Mul", {w_.cast(value, TensorProto::FLOAT),
                                   scalar(TensorProto::FLOAT, std::ldexp(1.0, -first.fraction))})
                 : value;
  }

  // ---- Layers, exactly.

  const LayerNumbers& numbers(const Prepared& p, int layer) const {
    return p.layers[static_cast<size_t>(layer)];
  }

  std::vector<uint16_t> codes_of(int layer, int bits) const {
    const runtime::WeightSource weights = source_.weights(layer);
    const runtime::ConvShape shape = source_.shape(layer);
    const int64_t count = shape.taps() * shape.out_channels;
    std::vector<uint16_t> codes(static_cast<size_t>(count));
    weights.narrow(bits, 0, count, codes.data());
    return codes;
  }

  /// W of each width, float32.
  std::string weights(int layer, const Window& window) {
    const auto& first = numbers(widths_.front(), layer).problem;
    const bool nested = first.lattice == Lattice::Nested;
    if (format_ == OnnxFormat::Qonnx) {
      const int bits = first.weight_bits;
      const double levels = std::ldexp(1.0, bits);
      Numbers values = channels_first(window, codes_of(layer, bits));
      if (nested)
        for (int64_t& one : values) one = 2 * one + 1 - static_cast<int64_t>(levels);
      const std::string stored = w_.constant(TensorProto::FLOAT, window.dims(), values);
      return int_quant(stored, nested ? 2 : 1, nested ? (levels - 1) / 2 : 0, bits, false);
    }
    // Equations (1) and (2) from the master codes: q = (m a + b) / d, W = q g + h.
    const int master = source_.model().layers[static_cast<size_t>(layer)].master_bits;
    const auto coded = [&](const auto& of) {
      return number([&](const Prepared& p) {
        return of(int64_t{1} << numbers(p, layer).problem.weight_bits);
      });
    };
    const int64_t top = int64_t{1} << master;
    const int stored_type = master == 8 ? TensorProto::UINT8 : TensorProto::UINT16;
    const std::string m = w_.cast(
        w_.constant(stored_type, window.dims(), channels_first(window, codes_of(layer, master))),
        TensorProto::INT64);
    const std::string scaled =
        nested ? m
               : w_.node("Add", {w_.node("Mul", {m, coded([](int64_t n) { return 2 * (n - 1); })}),
                                 scalar(TensorProto::INT64, static_cast<double>(top - 1))});
    const std::string q = w_.node(
        "Div", {scaled, coded([&](int64_t n) { return nested ? top / n : 2 * (top - 1); })});
    const std::string w = nested
                              ? w_.node("Add", {w_.node("Mul", {q, scalar(TensorProto::INT64, 2)}),
                                                coded([](int64_t n) { return 1 - n; })})
                              : q;
    return w_.cast(w, TensorProto::FLOAT);
  }

  std::string int_quant(const std::string& value, double scale, double zero, int bits,
                        bool is_signed) {
    const std::string name = w_.node(
        "IntQuant",
        {value, scalar(TensorProto::FLOAT, scale), scalar(TensorProto::FLOAT, zero),
         scalar(TensorProto::FLOAT, bits)},
        {}, {{"signed", {is_signed ? 1 : 0}}, {"narrow", {is_signed ? 1 : 0}}}, kQonnxDomain);
    auto& mode = *w_.graph().mutable_node(w_.graph().node_size() - 1)->add_attribute();
    mode.set_name("rounding_mode");
    mode.set_type(onnx::AttributeProto::STRING);
    mode.set_s("ROUND");
    return name;
  }

  /// Integers as float32, in parts whose products a float32 sum keeps: (part, power of two).
  std::vector<std::pair<std::string, int>> parts(const std::string& value, bool wide) {
    if (!wide) return {{value, 0}};
    const std::string high =
        w_.node("Floor", {w_.node("Mul", {value, scalar(TensorProto::FLOAT, 1.0 / 256)})});
    const std::string low =
        w_.node("Sub", {value, w_.node("Mul", {high, scalar(TensorProto::FLOAT, 256)})});
    return {{low, 0}, {high, 8}};
  }

  /// int64 sums of a convolution of integers.
  std::string convolved(const std::vector<std::pair<std::string, int>>& x,
                        const std::vector<std::pair<std::string, int>>& w, const Window& window) {
    std::string sum;
    for (const auto& [a, a_shift] : x)
      for (const auto& [b, b_shift] : w) {
        std::string one =
            w_.cast(w_.node("Conv", {a, b}, window.lists, window.numbers), TensorProto::INT64);
        if (a_shift + b_shift > 0)
          one =
              w_.node("Mul", {one, scalar(TensorProto::INT64, std::ldexp(1.0, a_shift + b_shift))});
        sum = sum.empty() ? one : w_.node("Add", {sum, one});
      }
    return sum;
  }

  std::string layer(size_t i) {
    const int layer = widths_.front().forms[i].layer;
    const Window window = window_of(numbers(widths_.front(), layer).problem.shape);
    bool wide_w = false, wide_x = false, box = false;
    for (const Prepared& p : widths_) {
      const auto& problem = numbers(p, layer).problem;
      wide_w = wide_w || problem.weight_bits > 8;
      wide_x = wide_x || problem.input.bits > 8;
      box = box || !p.forms[i].requant.box_multiplier.empty();
    }
    const auto x = parts(input(i), wide_x);
    const std::string sum = convolved(x, parts(weights(layer, window), wide_w), window);
    return requant(i, sum, box ? convolved(x, {{ones(window), 0}}, window) : "");
  }

  std::string ones(const Window& window) {
    return w_.constant(TensorProto::FLOAT, window.dims(),
                       Numbers(static_cast<size_t>(window.outputs * window.channels *
                                                   window.height * window.width),
                               1));
  }

  /// value >> by, rounded down, |value| < 2^62: ONNX shifts unsigned integers only.
  template <class Of>
  std::string shifted(const std::string& value, const Of& by) {
    const double half = std::ldexp(1.0, 62);
    const std::string raised =
        w_.cast(w_.node("Add", {value, scalar(TensorProto::INT64, half)}), TensorProto::UINT64);
    const std::string count = w_.cast(number(by), TensorProto::UINT64);
    auto shift = w_.node("BitShift", {raised, count});
    auto& direction = *w_.graph().mutable_node(w_.graph().node_size() - 1)->add_attribute();
    direction.set_name("direction");
    direction.set_type(onnx::AttributeProto::STRING);
    direction.set_s("RIGHT");
    return w_.node("Sub", {w_.cast(shift, TensorProto::INT64),
                           number([&](const Prepared& p) { return int64_t{1} << (62 - by(p)); })});
  }

  /// Per-channel numbers as (1, k, 1, 1).
  template <class Of>
  std::string channel_numbers(int64_t channels, const Of& of) {
    return w_.chosen(TensorProto::INT64, {1, channels, 1, 1}, each<int64_t>([&](const Prepared& p) {
                       Numbers all;
                       for (int64_t k = 0; k < channels; ++k)
                         all.push_back(of(p, static_cast<size_t>(k)));
                       return all;
                     }));
  }

  /// (k, classes) in a row, without the zero of what is stored, rounding's half included.
  Numbers offsets(const Form& form, int classes) const {
    Numbers all;
    for (int64_t k = 0; k < form.requant.channels; ++k)
      for (int b = 0; b < classes; ++b)
        all.push_back(
            form.requant
                .offset[static_cast<size_t>(b * runtime::padded(form.requant.channels) + k)]);
    return all;
  }

  /// Border class of every output pixel, (h, w) in a row.
  static Numbers border_map(const runtime::BorderTable& borders, const TensorShape& shape) {
    Numbers map;
    for (int64_t y = 0; y < shape.height; ++y)
      for (int64_t x = 0; x < shape.width; ++x)
        map.push_back(borders.count == 1 ? 0
                                         : borders.row[static_cast<size_t>(y)] +
                                               borders.column[static_cast<size_t>(x)]);
    return map;
  }

  int classes_of(const Prepared& p, size_t i) const {
    const Form& form = p.forms[i];
    return form.rule == Rule::Layer ? numbers(p, form.layer).borders.count : 1;
  }

  /// A width whose offsets do not depend on the border repeats them for each class of the others.
  std::string offset_of(size_t i) {
    const Prepared* most = &widths_.front();
    for (const Prepared& p : widths_)
      if (classes_of(p, i) > classes_of(*most, i)) most = &p;
    const Form& form = most->forms[i];
    const int classes = classes_of(*most, i);
    const std::string all =
        w_.chosen(TensorProto::INT64, {1, form.requant.channels, classes},
                  each<int64_t>([&](const Prepared& p) {
                    const int own = classes_of(p, i);
                    if (own != 1 && own != classes) bug("border classes of two kinds");
                    const Numbers few = offsets(p.forms[i], own);
                    if (own == classes) return few;
                    Numbers repeated;
                    for (const int64_t one : few)
                      repeated.insert(repeated.end(), static_cast<size_t>(classes), one);
                    return repeated;
                  }));
    const std::string map =
        classes == 1 ? w_.constant(TensorProto::INT64, {1, 1}, Numbers{0})
                     : w_.constant(TensorProto::INT64, {form.shape.height, form.shape.width},
                                   border_map(numbers(*most, form.layer).borders, form.shape));
    return w_.node("Gather", {all, map}, {}, {{"axis", {2}}});
  }

  /// Equations (5) and (8).
  std::string requant(size_t i, const std::string& sum, const std::string& box) {
    const Form& first = widths_.front().forms[i];
    const int64_t channels = first.requant.channels;
    bool shifts = false;
    for (const Prepared& p : widths_) shifts = shifts || p.forms[i].requant.sum_shift > 0;
    const std::string start =
        shifts
            ? shifted(sum, [&](const Prepared& p) { return int64_t{p.forms[i].requant.sum_shift}; })
            : sum;
    std::string t =
        w_.node("Mul", {start, channel_numbers(channels, [&](const Prepared& p, size_t k) {
                          return int64_t{p.forms[i].requant.multiplier[k]};
                        })});
    if (!box.empty())
      t = w_.node(
          "Add",
          {t, w_.node("Mul", {box, channel_numbers(channels, [&](const Prepared& p, size_t k) {
                                const auto& b = p.forms[i].requant.box_multiplier;
                                return int64_t{b.empty() ? 0 : b[k]};
                              })})});
    t = shifted(w_.node("Add", {t, offset_of(i)}),
                [&](const Prepared& p) { return int64_t{p.forms[i].requant.shift}; });
    t = w_.node("Sub", {clipped(i, t), number([&](const Prepared& p) {
                          return int64_t{p.forms[i].requant.zero};
                        })});
    if (first.kind == FormKind::Stream) return t;
    const std::string codes = w_.cast(t, TensorProto::FLOAT);
    if (format_ != OnnxFormat::Qonnx) return codes;
    return int_quant(codes, 1, 0, first.format.bits, first.format.zero > 0);
  }

  std::string clipped(size_t i, const std::string& t) {
    return bounded(t, number([&](const Prepared& p) { return int64_t{p.forms[i].requant.least}; }),
                   number([&](const Prepared& p) { return int64_t{p.forms[i].requant.most}; }));
  }
  std::string bounded(const std::string& t, const std::string& least, const std::string& most) {
    return w_.node("Min", {w_.node("Max", {t, least}), most});
  }

  // ---- Layers with quantize and dequantize nodes.

  /// Position on the reader's grid, without zero, to codes; or real values of a stream. Codes are
  /// clipped behind QuantizeLinear: what stands between it and a convolution keeps ONNX Runtime
  /// from making them one.
  std::string float_target(size_t i, const std::string& t) {
    const Form& form = widths_.front().forms[i];
    const RequantTable& table = form.requant;
    const double unit = unit_of(form);
    const double least = (double{1} * table.least - table.zero) * unit;
    const double most = (double{1} * table.most - table.zero) * unit;
    const bool is_signed = form.format.zero > 0;
    const auto clip = [&](const std::string& value, int type) {
      return w_.node("Clip", {value, scalar(type, least), scalar(type, most)});
    };
    if (form.kind != FormKind::Codes) return clip(t, TensorProto::FLOAT);
    if (form.format.bits > 8)
      return w_.node(
          "Floor",
          {w_.node("Add", {clip(t, TensorProto::FLOAT), scalar(TensorProto::FLOAT, 0.5)})});
    const int type = is_signed ? TensorProto::INT8 : TensorProto::UINT8;
    std::string codes =
        w_.node("QuantizeLinear", {t, scalar(TensorProto::FLOAT, 1), scalar(type, 0)});
    const bool ends = is_signed ? least == -128 && most == 127 : least == 0 && most == 255;
    return dequantised(ends ? codes : clip(codes, type), type);
  }

  /// n of channel k and border class b, in units of the target.
  double real_offset(const RequantTable& table, int64_t k, int b, double unit) const {
    const int64_t n = table.offset[static_cast<size_t>(b * runtime::padded(table.channels) + k)];
    return (std::ldexp(static_cast<double>(n), -table.shift) - 0.5 - table.zero) * unit;
  }

  std::string float_offset(size_t i, double unit) {
    const Form& form = widths_.front().forms[i];
    const int classes = classes_of(widths_.front(), i);
    std::vector<double> all;
    for (int64_t k = 0; k < form.requant.channels; ++k)
      for (int b = 0; b < classes; ++b) all.push_back(real_offset(form.requant, k, b, unit));
    if (classes == 1) return w_.constant(TensorProto::FLOAT, {1, form.requant.channels, 1, 1}, all);
    const std::string table =
        w_.constant(TensorProto::FLOAT, {1, form.requant.channels, classes}, all);
    const std::string map =
        w_.constant(TensorProto::INT64, {form.shape.height, form.shape.width},
                    border_map(numbers(widths_.front(), form.layer).borders, form.shape));
    return w_.node("Gather", {table, map}, {}, {{"axis", {2}}});
  }

  double unit_of(const Form& form) const {
    return form.kind == FormKind::Stream ? std::ldexp(1.0, -form.fraction) : 1;
  }

  std::string float_layer(size_t i) {
    const Prepared& p = widths_.front();
    const Form& form = p.forms[i];
    const auto& problem = numbers(p, form.layer).problem;
    const Window window = window_of(problem.shape);
    const RequantTable& table = form.requant;
    const double unit = unit_of(form);
    const bool wide = problem.weight_bits > 8, nested = problem.lattice == Lattice::Nested;
    const bool halved = nested && problem.weight_bits == 8;  // W = 2 w + 1
    Numbers w = channels_first(window, codes_of(form.layer, problem.weight_bits));
    // As much of int8 as narrow weights can fill: biases are then that much finer.
    const int64_t largest = (int64_t{1} << problem.weight_bits) - 1;
    const int64_t fill = !wide && problem.weight_bits < 8 ? 127 / largest : 1;
    const size_t row = w.size() / static_cast<size_t>(window.outputs);
    std::vector<double> scale, box(static_cast<size_t>(window.outputs));
    for (size_t k = 0; k < box.size(); ++k) {
      double m = std::ldexp(double{1} * table.multiplier[k], -table.sum_shift - table.shift) * unit;
      const double b = table.box_multiplier.empty() ? 0 : table.box_multiplier[k];
      // The stored integer is v: W = alpha v + beta.
      const bool offset = !wide && problem.weight_bits == 8;
      double alpha = halved ? 2 : 1, beta = halved ? 1 : offset ? 128 : 0;
      const bool flip = !wide && m < 0;  // scales must be positive
      for (size_t j = k * row; j < (k + 1) * row; ++j) {
        int64_t& v = w[j];
        if (nested && !halved) v = 2 * v + 1 - (int64_t{1} << problem.weight_bits);
        if (offset) v -= 128;
        if (flip) v = offset ? -1 - v : -v;
        if (m == 0 && !wide) v = 0;
        v *= fill;
      }
      if (flip) beta = offset ? beta - alpha : 0, alpha = -alpha;
      box[k] = std::ldexp(b, -table.shift) * unit + m * beta;
      scale.push_back(!wide && m == 0 ? 1 : m * alpha / static_cast<double>(fill));
    }
    std::string sum;
    if (wide) {
      std::vector<double> real(w.size());
      for (size_t j = 0; j < w.size(); ++j) real[j] = static_cast<double>(w[j]) * scale[j / row];
      sum = w_.node("Conv", {input(i), w_.constant(TensorProto::FLOAT, window.dims(), real)},
                    window.lists, window.numbers);
    } else {
      const std::string weight = per_channel(TensorProto::INT8, window.dims(), w, scale);
      // Without other terms the offset is the convolution's bias, an integer in units of its sum,
      // which is how ONNX Runtime makes one integer operator of it.
      const Numbers biases = integer_biases(i, scale, fill);
      if (std::all_of(box.begin(), box.end(), [](double b) { return b == 0; }) && !biases.empty())
        return float_target(
            i, w_.node("Conv",
                       {input(i), weight,
                        per_channel(TensorProto::INT32, {window.outputs}, biases, scale)},
                       window.lists, window.numbers));
      sum = w_.node("Conv", {input(i), weight}, window.lists, window.numbers);
    }
    if (std::any_of(box.begin(), box.end(), [](double b) { return b != 0; }))
      sum = w_.node(
          "Add",
          {sum, w_.node("Mul", {activation_sum(i, window, problem.shape),
                                w_.constant(TensorProto::FLOAT, {1, window.outputs, 1, 1}, box)})});
    return float_target(i, w_.node("Add", {sum, float_offset(i, unit)}));
  }

  /// Integers with one scale an output channel and no zero point, dequantised.
  std::string per_channel(int type, const OnnxWriter::Dims& dims, const Numbers& values,
                          const std::vector<double>& scales) {
    const OnnxWriter::Dims channels = {static_cast<int64_t>(scales.size())};
    return w_.node(
        "DequantizeLinear",
        {w_.constant(type, dims, values), w_.constant(TensorProto::FLOAT, channels, scales),
         w_.constant(type, channels, Numbers(scales.size(), 0))},
        {}, {{"axis", {0}}});
  }

  /// Offsets in units of the stored weights' sum, `fill` to a step of the sum of codes; none where
  /// they depend on the border, exceed 2^30 or where no codes follow.
  Numbers integer_biases(size_t i, const std::vector<double>& scale, int64_t fill) const {
    const Form& form = widths_.front().forms[i];
    if (form.kind != FormKind::Codes || form.format.bits > 8) return {};
    if (classes_of(widths_.front(), i) != 1) return {};
    Numbers all;
    for (size_t k = 0; k < scale.size(); ++k) {
      const double real = real_offset(form.requant, static_cast<int64_t>(k), 0, 1) / scale[k];
      if (!(std::abs(real) < std::ldexp(1.0, 30))) return {};
      all.push_back(integer_bias(form.requant, real, scale[k], static_cast<double>(fill)));
    }
    return all;
  }

  /// The integer nearest to `real` with which every sum gives the code that it gives with `real`,
  /// when there is one; the nearest otherwise. Sums are multiples of `fill`.
  static int64_t integer_bias(const RequantTable& table, double real, double scale, double fill) {
    double least = real - fill, most = real + fill;
    for (int code = table.least + 1; code <= table.most; ++code) {
      const double border = (code - table.zero - 0.5) / scale;        // of sum + bias
      const double first = std::ceil((border - real) / fill) * fill;  // sum that gives `code`
      least = std::max(least, border - first);
      most = std::min(most, border - first + fill);
    }
    constexpr double kMargin = 1e-3;  // of float32 arithmetic
    const double nearest = std::round(real);
    const double inside = nearest < least + kMargin  ? std::ceil(least + kMargin)
                          : nearest > most - kMargin ? std::floor(most - kMargin)
                                                     : nearest;
    const bool fits = inside >= least + kMargin && inside <= most - kMargin;
    return static_cast<int64_t>(fits ? inside : nearest);
  }

  /// box: one channel when there are no groups.
  std::string activation_sum(size_t i, Window window, const runtime::ConvShape& shape) {
    if (shape.groups == 1) window.outputs = 1;
    return w_.node("Conv", {input(i), ones(window)}, window.lists, window.numbers);
  }

  std::string float_recode(size_t i) {
    const Form& form = widths_.front().forms[i];
    const Form& from = widths_.front().forms[static_cast<size_t>(form.inputs[0])];
    std::vector<double> scale;
    for (int64_t k = 0; k < form.requant.channels; ++k)
      scale.push_back(std::ldexp(double{1} * form.requant.multiplier[static_cast<size_t>(k)],
                                 from.fraction - form.requant.sum_shift - form.requant.shift));
    const std::string t = w_.node(
        "Mul",
        {input(i), w_.constant(TensorProto::FLOAT, {1, form.requant.channels, 1, 1}, scale)});
    return float_target(i, w_.node("Add", {t, float_offset(i, 1)}));
  }

  // ---- The rest.

  std::string add(size_t i) {
    const Form& form = widths_.front().forms[i];
    std::string sum = input(i);
    for (size_t j = 1; j < form.inputs.size(); ++j) sum = w_.node("Add", {sum, input(i, j)});
    if (qdq())
      return w_.node("Clip",
                     {sum, scalar(TensorProto::FLOAT, std::ldexp(form.least, -form.fraction)),
                      scalar(TensorProto::FLOAT, std::ldexp(form.most, -form.fraction))});
    return bounded(sum, number([&](const Prepared& p) { return int64_t{p.forms[i].least}; }),
                   number([&](const Prepared& p) { return int64_t{p.forms[i].most}; }));
  }

  static OnnxWriter::Ints pool_lists(const Node& node) {
    const int64_t pad = node.padding;
    return {{"kernel_shape", {node.kernel, node.kernel}},
            {"strides", {node.stride, node.stride}},
            {"pads", {pad, pad, pad, pad}}};
  }

  std::string average(size_t i) {
    const Form& form = widths_.front().forms[i];
    const Node& node = node_of(i);
    const TensorShape& in = widths_.front().forms[static_cast<size_t>(form.inputs[0])].shape;
    const bool global = node.op == Op::GlobalAvgPool;
    if (qdq() && global) return w_.node("GlobalAveragePool", {input(i)});
    if (qdq())
      return w_.node("AveragePool", {input(i)}, pool_lists(node), {{"count_include_pad", {1}}});
    if (!global)
      fail("export", fmt::format("{}: average pooling with a window is not written in this format; "
                                 "only over the whole image. Use --format qdq.",
                                 node.name));
    const std::string sum = w_.node("ReduceSum", {input(i), ints({2, 3})}, {}, {{"keepdims", {1}}});
    const std::string scaled = w_.node(
        "Mul", {sum, scalar(TensorProto::INT64,
                            static_cast<double>(runtime::average_factor(in.height * in.width)))});
    const double half = std::ldexp(1.0, runtime::kAverageShift - 1);
    return shifted(w_.node("Add", {scaled, scalar(TensorProto::INT64, half)}),
                   [](const Prepared&) { return int64_t{runtime::kAverageShift}; });
  }

  std::string maximum(size_t i) {
    const bool whole = !qdq() && widths_.front().forms[i].kind == FormKind::Stream;
    const std::string in = whole ? w_.cast(input(i), TensorProto::DOUBLE) : input(i);
    const std::string out = w_.node("MaxPool", {in}, pool_lists(node_of(i)));
    return whole ? w_.cast(out, TensorProto::INT64) : out;
  }

  std::string shuffle(size_t i) {
    const Form& form = widths_.front().forms[i];
    Numbers from;
    for (int64_t k = 0; k < form.shape.channels; ++k)
      from.push_back(source_.graph().shuffled_from(form.value, k));
    return w_.node("Gather", {input(i), ints(from)}, {}, {{"axis", {1}}});
  }

  const Source& source_;
  const std::vector<Prepared>& widths_;
  OnnxFormat format_;
  OnnxWriter& w_;
  std::vector<std::string> made_;  // of each form
};

/// IntQuant's meaning for ROUND, in standard operators.
void define_int_quant(onnx::ModelProto& model) {
  auto& function = *model.add_functions();
  function.set_name("IntQuant");
  function.set_domain(kQonnxDomain);
  for (const char* name : {"X", "scale", "zeropt", "bitwidth"}) function.add_input(name);
  const std::string result(1, 'Y');  // a literal meets a false warning of g++ 12
  function.add_output(result);
  for (const char* name : {"signed", "narrow", "rounding_mode"}) function.add_attribute(name);
  function.add_opset_import()->set_version(17);
  const auto node = [&](const char* op, const std::vector<std::string>& inputs,
                        const std::string& output) -> onnx::NodeProto& {
    auto& one = *function.add_node();
    one.set_op_type(op);
    for (const std::string& input : inputs) one.add_input(input);
    one.add_output(output);
    return one;
  };
  const auto attribute = [&](const char* name) {
    auto& value = *node("Constant", {}, fmt::format("{}_i", name)).add_attribute();
    value.set_name("value_int");
    value.set_ref_attr_name(name);
    value.set_type(onnx::AttributeProto::INT);
    auto& cast = *node("Cast", {fmt::format("{}_i", name)}, name).add_attribute();
    cast.set_name("to");
    cast.set_type(onnx::AttributeProto::INT);
    cast.set_i(TensorProto::FLOAT);
  };
  const auto number = [&](const char* name, float value) {
    auto& one = *node("Constant", {}, name).add_attribute();
    one.set_name("value_float");
    one.set_type(onnx::AttributeProto::FLOAT);
    one.set_f(value);
  };
  attribute("signed");
  attribute("narrow");
  number("one", 1);
  number("two", 2);
  // most = 2^(bits - signed) - 1 - (unsigned and narrow), least = signed ? -2^(bits - 1) + narrow :
  // 0
  node("Sub", {"bitwidth", "signed"}, "magnitude");
  node("Pow", {"two", "magnitude"}, "levels");
  node("Sub", {"one", "signed"}, "unsigned");
  node("Mul", {"unsigned", "narrow"}, "cut");
  node("Sub", {"levels", "one"}, "last");
  node("Sub", {"last", "cut"}, "most");
  node("Sub", {"narrow", "levels"}, "lowest");
  node("Mul", {"lowest", "signed"}, "least");
  node("Div", {"X", "scale"}, "steps");
  node("Add", {"steps", "zeropt"}, "moved");
  node("Max", {"moved", "least"}, "raised");
  node("Min", {"raised", "most"}, "inside");
  node("Round", {"inside"}, "code");
  node("Sub", {"code", "zeropt"}, "back");
  node("Mul", {"back", "scale"}, "Y");
}

std::string listed(const std::vector<int>& bits) {
  std::string text;
  for (const int one : bits)
    if (one < 32) text += fmt::format("{}{}", text.empty() ? "" : ", ", one);
  return text;
}

void check_width(const IntModel& model, OnnxFormat format, int bits) {
  if (format == OnnxFormat::Switchable) return;
  if (format == OnnxFormat::Qdq && bits > 8)
    fail("export --bits", fmt::format("qdq holds 8-bit codes, so {} bits cannot be written; give a "
                                      "width up to 8, or --format qonnx.",
                                      bits));
  if (bits >= 32 || std::find(model.bits.begin(), model.bits.end(), bits) == model.bits.end())
    fail("export --bits", fmt::format("the model cannot be exported at {} bits; it has {}.", bits,
                                      listed(model.bits)));
}

}  // namespace

std::string onnx_bytes(const IntModel& model, OnnxFormat format, int bits, OnnxOutputs outputs) {
  runtime::check(model);
  check_width(model, format, bits);
  const Source source(model);
  std::vector<Prepared> widths;
  for (const int one : model.bits)
    if (format == OnnxFormat::Switchable ? one < 32 : one == bits)
      widths.push_back(runtime::prepare(source, {{one, one}}));
  if (widths.empty()) fail("export", "the model has no width below 32 bits.");
  onnx::ModelProto proto;
  proto.set_ir_version(8);
  proto.set_producer_name("instantnet");
  proto.add_opset_import()->set_version(format == OnnxFormat::Qdq ? 13 : 17);
  const NetworkSpec& spec = model.spec;
  onnx::GraphProto& graph = *proto.mutable_graph();
  graph.set_name(spec.name.empty() ? "network" : spec.name);
  value_info(*graph.add_input(), "image", TensorProto::UINT8,
             {0, spec.channels, spec.height, spec.width});
  if (widths.size() > 1) value_info(*graph.add_input(), "width", TensorProto::INT64, {});
  value_info(*graph.add_output(), "logits", TensorProto::FLOAT, {0, spec.classes});
  if (format == OnnxFormat::Qonnx) {
    auto& domain = *proto.add_opset_import();
    domain.set_domain(kQonnxDomain);
    domain.set_version(1);
    define_int_quant(proto);
  }
  auto& widths_note = *proto.add_metadata_props();
  widths_note.set_key("widths");
  widths_note.set_value(format == OnnxFormat::Switchable ? listed(model.bits)
                                                         : std::to_string(bits));
  OnnxWriter writer(proto);
  Exporter exporter(source, widths, format, writer);
  exporter.write();
  if (outputs == OnnxOutputs::AllValues) exporter.show_all();
  return proto.SerializeAsString();
}

}  // namespace instantnet::interop
