#include "instantnet/runtime/prepare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "instantnet/core/error.h"
#include "instantnet/runtime/layer_numbers.h"

namespace instantnet::runtime {
namespace {

constexpr int32_t kLeast = std::numeric_limits<int32_t>::min();
constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
constexpr size_t kMostTableNumbers = size_t{1} << 26;

size_t at(int value) { return static_cast<size_t>(value + 1); }

/// Ends of an activation function's values that are not those of the grid.
struct Clamp {
  int32_t least = 0, most = 0;
  bool operator==(const Clamp&) const = default;
};

/// Position of x on the grid, rounded; within its ends.
int32_t code_of(double x, const Grid& grid, int64_t channel) {
  const double position = (x - grid.low_of(channel)) / grid.step_of(channel);
  if (!(position > grid.least)) return grid.least;
  if (position >= grid.most) return grid.most;
  return static_cast<int32_t>(round_half_up(position));
}

Clamp code_clamp(Activation activation, const Grid& grid, int64_t channel) {
  return {activation == Activation::None ? grid.least : code_of(0, grid, channel),
          activation == Activation::Relu6 ? code_of(6, grid, channel) : grid.most};
}

Clamp stream_clamp(Activation activation, int fraction) {
  const double six = std::ldexp(6.0, fraction);
  const int32_t most = six < kMost ? static_cast<int32_t>(round_half_up(six)) : kMost;
  return {activation == Activation::None ? kLeast : 0,
          activation == Activation::Relu6 ? most : kMost};
}

/// What readers need of each value.
struct Needs {
  bool stream = false;
  std::vector<Grid> grids;
  void add(const Grid& grid) {
    if (std::find(grids.begin(), grids.end(), grid) == grids.end()) grids.push_back(grid);
  }
};

class Preparer {
 public:
  Preparer(const Source& source, const std::vector<Precision>& asked)
      : source_(source), graph_(source.graph()) {
    for (size_t i = 0; i < asked.size(); ++i) {
      const auto layer = static_cast<int>(i);
      real_.push_back(layer_real(source, layer, asked[i]));
      result_.precisions.push_back(effective(source, layer, asked[i]));
    }
    forms_of_.resize(graph_.shapes.size());
  }

  Prepared run() {
    find_direct();
    collect_needs();
    find_fractions();
    for (int value = kImage; value <= graph_.output(); ++value) emit(value);
    for (size_t i = 0; i < real_.size(); ++i) {
      real_[i].numbers.input = find_codes(graph_.layers[i].input, real_[i].input);
      result_.layers.push_back(std::move(real_[i].numbers));
    }
    result_.output = find_stream(graph_.output());
    return std::move(result_);
  }

 private:
  bool is_direct(int value) const { return direct_[at(graph_.producer(value))]; }
  int first_input(int value) const { return graph_.inputs[static_cast<size_t>(value)][0]; }
  int layer_at(int value) const { return graph_.layer_of[static_cast<size_t>(value)]; }

  /// A value is direct by its readers, if one clamp serves all channels of each reader's grid.
  void find_direct() {
    direct_.assign(graph_.shapes.size(), false);
    for (int value = kImage; value <= graph_.output(); ++value)
      direct_[at(value)] = !graph_.passes(value) && (value == kImage || layer_at(value) >= 0) &&
                           (value == kImage || graph_.direct(value));
    collect_needs();
    for (int value = 0; value <= graph_.output(); ++value) {
      if (!direct_[at(value)]) continue;
      const Activation activation = graph_.node(value).activation;
      for (const Grid& grid : needs_[at(value)].grids)
        for (int64_t k = 1; k < static_cast<int64_t>(std::max(grid.step.size(), grid.low.size()));
             ++k)
          if (!(code_clamp(activation, grid, k) == code_clamp(activation, grid, 0)))
            direct_[at(value)] = false;
    }
  }

  void collect_needs() {
    needs_.assign(graph_.shapes.size(), {});
    needs_[at(graph_.output())].stream = true;
    for (int value = graph_.output(); value >= 0; --value) {
      if (const int layer = layer_at(value); layer >= 0) {
        const auto l = static_cast<size_t>(layer);
        needs_[at(graph_.layers[l].input)].add(real_[l].input);
        if (!direct_[at(value)]) needs_[at(value)].stream = true;
      } else if (graph_.passes(value)) {
        pass_needs(value);
      } else {
        for (const int input : graph_.inputs[static_cast<size_t>(value)])
          needs_[at(input)].stream = true;
        needs_[at(value)].stream = true;
      }
    }
  }

  /// Codes of the image and of direct values pass; others are made from this value's stream.
  void pass_needs(int value) {
    Needs& mine = needs_[at(value)];
    Needs& input = needs_[at(first_input(value))];
    for (const Grid& grid : mine.grids) {
      if (is_direct(value))
        input.add(unshuffled(grid, value));
      else
        mine.stream = true;
    }
    if (mine.stream) input.stream = true;
  }

  /// The grid of the input of a node that passes.
  Grid unshuffled(const Grid& grid, int value) const {
    if (graph_.node(value).op != Op::ChannelShuffle) return grid;
    Grid result = grid;
    for (int64_t k = 0; k < graph_.shape(value).channels; ++k) {
      const auto from = static_cast<size_t>(graph_.shuffled_from(value, k));
      if (grid.step.size() > 1) result.step[from] = grid.step[static_cast<size_t>(k)];
      if (grid.low.size() > 1) result.low[from] = grid.low[static_cast<size_t>(k)];
    }
    return result;
  }

  // ---- Fraction bits of streams.

  /// Largest |value|, before the activation function (`raw`) and after it.
  struct Bound {
    double raw = 0, after = 0;
  };

  Bound bound_of(int value, const std::vector<Bound>& known) const {
    if (value == kImage) return {image_bound(), image_bound()};
    Bound bound;
    if (const int layer = layer_at(value); layer >= 0) {
      bound.raw = real_[static_cast<size_t>(layer)].bound;
    } else {
      for (const int input : graph_.inputs[static_cast<size_t>(value)])
        bound.raw += known[at(input)].after;
    }
    const bool six = graph_.node(value).activation == Activation::Relu6;
    bound.after = six ? std::min(bound.raw, 6.0) : bound.raw;
    // A layer's sum is clamped before it becomes a stream value; an addition's is one.
    if (layer_at(value) >= 0) bound.raw = bound.after;
    return bound;
  }

  double image_value(int64_t channel, int pixel) const {
    const Normalisation& norm = source_.model().normalisation;
    const auto c = static_cast<size_t>(channel);
    return (pixel / 255.0 - double{norm.mean[c]}) / double{norm.deviation[c]};
  }

  double image_bound() const {
    double most = 0;
    for (int64_t c = 0; c < graph_.shape(kImage).channels; ++c)
      for (const int pixel : {0, 255}) most = std::max(most, std::fabs(image_value(c, pixel)));
    return most;
  }

  int group(int value) {
    while (groups_[at(value)] != value) {
      groups_[at(value)] = groups_[at(groups_[at(value)])];
      value = groups_[at(value)];
    }
    return value;
  }

  void find_fractions() {
    groups_.resize(graph_.shapes.size());
    std::iota(groups_.begin(), groups_.end(), kImage);
    std::vector<Bound> bounds;
    for (int value = kImage; value <= graph_.output(); ++value) {
      bounds.push_back(bound_of(value, bounds));
      if (value == kImage || layer_at(value) >= 0 || !needs_[at(value)].stream) continue;
      for (const int input : graph_.inputs[static_cast<size_t>(value)])
        groups_[at(group(input))] = group(value);
    }
    std::vector<double> most(graph_.shapes.size(), 0.0);
    for (int value = kImage; value <= graph_.output(); ++value)
      if (needs_[at(value)].stream)
        most[at(group(value))] = std::max(most[at(group(value))], bounds[at(value)].raw);
    for (int value = kImage; value <= graph_.output(); ++value)
      fractions_.push_back(std::min(20, 30 - ceil_log2(most[at(group(value))])));
  }

  // ---- Forms.

  int find_stream(int value) const {
    for (const auto& [grid, form] : forms_of_[at(value)])
      if (!grid) return form;
    bug("a stream that is read was not prepared");
  }

  int find_codes(int value, const Grid& wanted) const {
    for (const auto& [grid, form] : forms_of_[at(value)])
      if (grid && *grid == wanted) return form;
    bug("codes that are read were not prepared");
  }

  void emit(int value) {
    if (needs_[at(value)].stream) keep(value, std::nullopt, stream_form(value));
    for (const Grid& grid : needs_[at(value)].grids) keep(value, grid, codes_form(value, grid));
  }

  /// Dropout's forms are its input's.
  void keep(int value, std::optional<Grid> grid, Form form) {
    int number = form.inputs.empty() ? 0 : form.inputs[0];
    if (value == kImage || graph_.node(value).op != Op::Dropout || form.rule == Rule::Recode) {
      number = static_cast<int>(result_.forms.size());
      result_.forms.push_back(std::move(form));
    }
    forms_of_[at(value)].emplace_back(std::move(grid), number);
  }

  Form new_form(int value, Rule rule) const {
    Form form;
    form.value = value;
    form.shape = graph_.shape(value);
    form.rule = rule;
    return form;
  }

  Rule pass_rule(int value) const {
    const Op op = graph_.node(value).op;
    return op == Op::MaxPool ? Rule::Maximum : op == Op::Flatten ? Rule::Flatten : Rule::Shuffle;
  }

  Form stream_form(int value) {
    Form form = new_form(value, Rule::Table);
    form.kind = FormKind::Stream;
    form.fraction = fractions_[at(value)];
    if (value == kImage) {
      for (int64_t c = 0; c < form.shape.channels; ++c)
        for (int pixel = 0; pixel < 256; ++pixel)
          form.table.push_back(static_cast<int32_t>(
              round_half_up(std::ldexp(image_value(c, pixel), form.fraction))));
      return form;
    }
    const Clamp clamp = stream_clamp(graph_.node(value).activation, form.fraction);
    if (const int layer = layer_at(value); layer >= 0) {
      make_layer(form, layer);
      form.requant = layer_table(layer, std::ldexp(1.0, form.fraction), {}, clamp, 0);
      return form;
    }
    form.rule = graph_.passes(value)               ? pass_rule(value)
                : graph_.node(value).op == Op::Add ? Rule::Add
                                                   : Rule::Average;
    form.least = clamp.least;
    form.most = clamp.most;
    for (const int input : graph_.inputs[static_cast<size_t>(value)])
      form.inputs.push_back(find_stream(input));
    return form;
  }

  Form codes_form(int value, const Grid& grid) {
    Form form = new_form(value, Rule::Pixels);
    form.format = grid.format;
    if (value == kImage) {
      if (grid.kind != InputKind::Image) fill_table(form, grid);
      return form;
    }
    if (!is_direct(value)) return recoded(std::move(form), value, grid);
    if (const int layer = layer_at(value); layer >= 0) {
      make_layer(form, layer);
      const Clamp clamp = code_clamp(graph_.node(value).activation, grid, 0);
      form.requant = layer_table(layer, 0, grid, clamp, grid.format.zero);
      return form;
    }
    form.rule = pass_rule(value);
    form.inputs = {find_codes(first_input(value), unshuffled(grid, value))};
    return form;
  }

  void fill_table(Form& form, const Grid& grid) const {
    form.rule = Rule::Table;
    for (int64_t c = 0; c < form.shape.channels; ++c)
      for (int pixel = 0; pixel < 256; ++pixel)
        form.table.push_back(code_of(image_value(c, pixel), grid, c) + grid.format.zero);
  }

  void make_layer(Form& form, int layer) const {
    form.rule = Rule::Layer;
    form.layer = layer;
    const auto l = static_cast<size_t>(layer);
    form.inputs = {find_codes(graph_.layers[l].input, real_[l].input)};
  }

  /// Equation (8).
  Form recoded(Form form, int value, const Grid& grid) {
    form.rule = Rule::Recode;
    form.inputs = {find_stream(value)};
    RealRequant real;
    const double unit = std::ldexp(1.0, -fractions_[at(value)]);
    for (int64_t k = 0; k < form.shape.channels; ++k) {
      real.m.push_back(unit / grid.step_of(k));
      real.n.push_back(-grid.low_of(k) / grid.step_of(k));
    }
    form.requant = requant_table(real, {kLeast, kMost, 0}, grid.least, grid.most, grid.format.zero,
                                 where(value));
    return form;
  }

  /// Equation (5): to a stream when there is no grid.
  RequantTable layer_table(int layer, double factor, const std::optional<Grid>& grid, Clamp clamp,
                           int zero) {
    const LayerReal& real = real_[static_cast<size_t>(layer)];
    RealRequant target = real.y;
    table_numbers_ += target.n.size();
    if (table_numbers_ > kMostTableNumbers)
      fail(where(kImage), "its layers need more than 2^26 offsets; that is too many.");
    const auto channels = target.m.size();
    for (size_t k = 0; k < channels; ++k) {
      const auto channel = static_cast<int64_t>(k);
      const auto scaled = [&](double value) {
        return grid ? value / grid->step_of(channel) : value * factor;
      };
      target.m[k] = scaled(target.m[k]);
      if (!target.b.empty()) target.b[k] = scaled(target.b[k]);
      for (size_t i = k; i < target.n.size(); i += channels)
        target.n[i] = scaled(target.n[i] - (grid ? grid->low_of(channel) : 0));
    }
    return requant_table(target, real.range, clamp.least, clamp.most, zero,
                         where(graph_.layers[static_cast<size_t>(layer)].node));
  }

  std::string where(int value) const {
    return fmt::format("model '{}', layer '{}'", source_.model().spec.name,
                       value == kImage ? "input" : graph_.node(value).name);
  }

  const Source& source_;
  const Graph& graph_;
  std::vector<LayerReal> real_;
  std::vector<bool> direct_;
  std::vector<Needs> needs_;
  std::vector<int> groups_;
  std::vector<int> fractions_;
  std::vector<std::vector<std::pair<std::optional<Grid>, int>>> forms_of_;
  size_t table_numbers_ = 0;
  Prepared result_;
};

}  // namespace

std::vector<Precision> expand(const IntModel& model, const std::vector<Precision>& asked) {
  const std::string where = "set precision";
  if (asked.size() != 1 && asked.size() != model.layers.size())
    fail(where, fmt::format("{} precisions are given; give one, or one for each of the {} layers.",
                            asked.size(), model.layers.size()));
  for (const Precision& precision : asked) {
    for (const int bits : {precision.weight, precision.activation})
      if (std::find(model.bits.begin(), model.bits.end(), bits) == model.bits.end())
        fail(where, fmt::format("the model was not made for {} bits; it has {}.", bits,
                                fmt::join(model.bits, ", ")));
    if ((precision.weight == 32 || precision.activation == 32) &&
        !std::all_of(asked.begin(), asked.end(), [](Precision one) { return one.is_float(); }))
      fail(where, "32 bits is for the whole network, weights and activations; give it alone.");
  }
  return asked.size() == 1 ? std::vector<Precision>(model.layers.size(), asked[0]) : asked;
}

Prepared prepare(const Source& source, const std::vector<Precision>& asked) {
  const std::vector<Precision> each = expand(source.model(), asked);
  if (!each.empty() && each[0].is_float()) bug("32 bits have no integers to prepare");
  return Preparer(source, each).run();
}

}  // namespace instantnet::runtime
