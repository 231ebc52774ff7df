#include "instantnet/runtime/layer_numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "instantnet/core/error.h"
#include "instantnet/runtime/code_sums.h"

namespace instantnet::runtime {
namespace {

constexpr int64_t kMostBorderNumbers = int64_t{1} << 20;

const IntLayer& layer_of(const Source& source, int layer) {
  return source.model().layers[static_cast<size_t>(layer)];
}

const LayerWidth& width_of(const Source& source, int layer, int bits) {
  for (const LayerWidth& width : layer_of(source, layer).widths)
    if (width.bits == bits) return width;
  bug("a layer was asked for a bit-width that was not checked");
}

/// For each channel of the layer's input, the channel of the image it comes from.
std::vector<int64_t> image_channels(const Graph& graph, int value) {
  std::vector<int64_t> channels;
  for (int64_t k = 0; k < graph.shape(value).channels; ++k) {
    int64_t from = k;
    for (int v = value; v != kImage; v = graph.inputs[static_cast<size_t>(v)][0])
      if (graph.node(v).op == Op::ChannelShuffle) from = graph.shuffled_from(v, from);
    channels.push_back(from);
  }
  return channels;
}

/// Pixel p is u (p + low) with low = -255 mean; u is in the weights.
Grid image_grid(const Source& source, int layer) {
  Grid grid;
  grid.step = {1.0};
  const Graph& graph = source.graph();
  for (const int64_t c : image_channels(graph, graph.layers[static_cast<size_t>(layer)].input))
    grid.low.push_back(-255.0 * double{source.model().normalisation.mean[static_cast<size_t>(c)]});
  return grid;
}

/// An integer weight as a real one: step W + low.
struct WeightScale {
  double step = 0, low = 0;
};

WeightScale weight_scale(const IntLayer& layer, size_t k, int bits) {
  if (layer.lattice == Lattice::Nested) return {double{layer.range[k]} / (1 << bits), 0};
  return {double{layer.range[k]} / ((1 << bits) - 1), double{layer.low[k]}};
}

/// Input channel of the first weight of output channel k.
int64_t first_channel(const ConvShape& shape, int64_t k) {
  return k / (shape.out_channels / shape.groups) * shape.group_channels();
}

/// Sums over the weights of an output channel.
struct ChannelSums {
  int64_t positive = 0, negative = 0;  // of W > 0, and of -W where W < 0
  std::vector<double> zeros;  // (r, s): sum over channels of w low; empty when low is 0 throughout
};

/// W of a code.
int32_t integer_weight(const ConvProblem& problem, uint16_t code) {
  return problem.lattice == Lattice::Nested ? 2 * code + 1 - (1 << problem.weight_bits) : code;
}

/// Nested weights of codes master code >> shift.
void add_nested(const uint16_t* master, int64_t count, int shift, int bits, ChannelSums& sums) {
  const CodeSums p = sum_nested(master, count, shift, bits);
  // Half of (sum of |W|) + (sum of W), and of the difference.
  sums.positive += p.size + p.sum + count;
  sums.negative += p.size - p.sum;
}

/// Sbm weights W = code.
void add_sbm(const std::vector<uint16_t>& codes, ChannelSums& sums) {
  sums.positive += std::accumulate(codes.begin(), codes.end(), int64_t{0});
}

bool has_low(const Grid& grid) {
  return std::any_of(grid.low.begin(), grid.low.end(), [](double low) { return low != 0; });
}

/// What the sums of all output channels of a layer are made from.
struct Summed {
  const IntLayer& layer;
  const ConvProblem& problem;
  const Grid& grid;
  WeightSource weights;
  bool low;  // has_low(grid)
};

/// Of output channel k; `codes` is room for its codes.
ChannelSums channel_sums(const Summed& from, int64_t k, std::vector<uint16_t>& codes) {
  const ConvShape& shape = from.problem.shape;
  const int64_t taps = shape.taps(), each = shape.group_channels();
  const int bits = from.problem.weight_bits;
  const bool nested = from.problem.lattice == Lattice::Nested;
  ChannelSums sums;
  if (nested)
    add_nested(from.weights.master + k * taps, taps, from.weights.master_bits - bits, bits, sums);
  if (nested && !from.low) return sums;
  codes.resize(static_cast<size_t>(taps));
  from.weights.narrow(bits, k * taps, taps, codes.data());
  if (!nested) add_sbm(codes, sums);
  if (!from.low) return sums;
  const WeightScale scale = weight_scale(from.layer, static_cast<size_t>(k), bits);
  const int64_t first = first_channel(shape, k);
  for (int64_t tap = 0; tap < taps; tap += each) {
    double sum = 0;
    for (int64_t c = 0; c < each; ++c)
      sum += (scale.step * integer_weight(from.problem, codes[static_cast<size_t>(tap + c)]) +
              scale.low) *
             from.grid.low_of(first + c);
    sums.zeros.push_back(sum);
  }
  return sums;
}

/// First and last + 1 tap of a window along one axis that lie inside the image.
std::pair<int, int> inside(int64_t out, int size, int kernel, const ConvShape& shape) {
  const int64_t start = out * shape.stride - shape.padding;
  int begin = 0, end = kernel;
  while (begin < end && start + int64_t{begin} * shape.dilation < 0) ++begin;
  while (end > begin && start + int64_t{end - 1} * shape.dilation >= size) --end;
  return {begin, end};
}

/// The classes along one axis: which one each output is in, and the taps of each.
struct Axis {
  std::vector<uint16_t> of;
  std::vector<std::pair<int, int>> taps;
};

Axis axis(int outputs, int size, int kernel, const ConvShape& shape) {
  Axis result;
  for (int out = 0; out < outputs; ++out) {
    const std::pair<int, int> taps = inside(out, size, kernel, shape);
    auto found = std::find(result.taps.begin(), result.taps.end(), taps);
    if (found == result.taps.end()) found = result.taps.insert(found, taps);
    result.of.push_back(static_cast<uint16_t>(found - result.taps.begin()));
  }
  return result;
}

BorderTable border_table(const ConvShape& shape, bool depends, const std::string& where) {
  BorderTable table;
  if (!depends) {
    table.row.assign(static_cast<size_t>(shape.out_height), 0);
    table.column.assign(static_cast<size_t>(shape.out_width), 0);
    table.taps = {{0, shape.kernel_height, 0, shape.kernel_width}};
    return table;
  }
  const Axis rows = axis(shape.out_height, shape.height, shape.kernel_height, shape);
  const Axis columns = axis(shape.out_width, shape.width, shape.kernel_width, shape);
  const auto count = static_cast<int64_t>(rows.taps.size() * columns.taps.size());
  if (count > 65535 || count * padded(shape.out_channels) > kMostBorderNumbers)
    fail(where, fmt::format("its padding makes {} kinds of window for {} channels; that is too "
                            "many.",
                            count, shape.out_channels));
  table.count = static_cast<int>(count);
  for (const uint16_t row : rows.of)
    table.row.push_back(static_cast<uint16_t>(row * columns.taps.size()));
  table.column = columns.of;
  for (const auto& row : rows.taps)
    for (const auto& column : columns.taps)
      table.taps.push_back({row.first, row.second, column.first, column.second});
  return table;
}

/// The sum of zeros over the taps of one border class.
double inside_sum(const std::vector<double>& zeros, const BorderTable::Taps& taps,
                  const ConvShape& shape) {
  double sum = 0;
  for (int r = taps.row_begin; r < taps.row_end; ++r)
    for (int s = taps.column_begin; s < taps.column_end; ++s)
      sum += zeros[static_cast<size_t>(r * shape.kernel_width + s)];
  return sum;
}

/// The largest |x| the grid's codes mean.
double largest_input(const Grid& grid) {
  double most = 0;
  for (size_t c = 0; c < std::max(grid.step.size(), grid.low.size()); ++c) {
    const auto channel = static_cast<int64_t>(c);
    for (const int code : {grid.least, grid.most})
      most = std::max(most, std::fabs(grid.low_of(channel) + code * grid.step_of(channel)));
  }
  return most;
}

double weights_size(const IntLayer& layer, const ConvProblem& problem, size_t k,
                    const ChannelSums& sums) {
  if (layer.lattice == Lattice::Nested)
    return weight_scale(layer, k, problem.weight_bits).step *
           static_cast<double>(sums.positive + sums.negative);
  const double low = layer.low[k], high = low + double{layer.range[k]};
  return static_cast<double>(problem.shape.taps()) * std::max(std::fabs(low), std::fabs(high));
}

/// Widens the range by what output channel's sum can be.
void widen(SumRange& range, const ChannelSums& sums, const Grid& grid) {
  range.most = std::max(range.most, grid.most * sums.positive - grid.least * sums.negative);
  range.least = std::min(range.least, grid.least * sums.positive - grid.most * sums.negative);
}

}  // namespace

Precision effective(const Source& source, int layer, Precision asked) {
  const Graph& graph = source.graph();
  const int bits = graph.node(graph.layers[static_cast<size_t>(layer)].node).bits;
  Precision precision = asked;
  if (bits != 0) precision = bits == 32 ? Precision{16, 16} : Precision{bits, bits};
  if (layer_of(source, layer).input == InputKind::Image) precision.activation = 8;
  return precision;
}

Grid input_grid(const Source& source, int layer, Precision asked) {
  const IntLayer& one = layer_of(source, layer);
  if (one.input == InputKind::Image) return image_grid(source, layer);
  const LayerWidth& width = width_of(source, layer, asked.activation);
  const int bits = effective(source, layer, asked).activation;
  Grid grid;
  grid.kind = one.input;
  grid.format = {bits, one.input == InputKind::Signed ? 1 << (bits - 1) : 0};
  grid.most = one.input == InputKind::Signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1;
  grid.least = one.input == InputKind::Signed ? -grid.most : 0;
  for (const float range : width.range) grid.step.push_back(double{range} / grid.most);
  for (const float low : width.low) grid.low.push_back(double{low});
  if (grid.low.empty()) grid.low = {0};
  return grid;
}

LayerReal layer_real(const Source& source, int layer, Precision asked) {
  const IntLayer& one = layer_of(source, layer);
  const LayerWidth& width = width_of(source, layer, asked.weight);
  const std::string where =
      fmt::format("model '{}', layer '{}'", source.model().spec.name, one.node);
  LayerReal real;
  real.input = input_grid(source, layer, asked);
  ConvProblem& problem = real.numbers.problem;
  problem.shape = source.shape(layer);
  problem.lattice = one.lattice;
  problem.weight_bits = effective(source, layer, asked).weight;
  problem.input = real.input.format;
  problem.box = one.lattice == Lattice::Sbm;
  const ConvShape& shape = problem.shape;
  real.numbers.borders = border_table(shape, has_low(real.input) && shape.padding > 0, where);
  const auto channels = static_cast<size_t>(shape.out_channels);
  real.y.n.resize(real.numbers.borders.taps.size() * channels);
  const double largest_x = largest_input(real.input);
  real.y.m.reserve(channels);
  if (problem.box) real.y.b.reserve(channels);
  const Summed summed{one, problem, real.input, source.weights(layer), has_low(real.input)};
  std::vector<uint16_t> codes;
  for (size_t k = 0; k < channels; ++k) {
    const auto number = static_cast<int64_t>(k);
    const ChannelSums sums = channel_sums(summed, number, codes);
    const WeightScale w = weight_scale(one, k, problem.weight_bits);
    const double step = real.input.step_of(first_channel(shape, number));
    const double g = width.scale[k], h = width.shift[k];
    real.y.m.push_back(g * w.step * step);
    if (problem.box) real.y.b.push_back(g * w.low * step);
    for (size_t border = 0; border < real.numbers.borders.taps.size(); ++border) {
      const BorderTable::Taps& taps = real.numbers.borders.taps[border];
      const double zeros = sums.zeros.empty() ? 0 : inside_sum(sums.zeros, taps, shape);
      real.y.n[border * channels + k] = g * zeros + h;
    }
    widen(real.range, sums, real.input);
    const double size = weights_size(one, problem, k, sums);
    real.bound = std::max(real.bound, std::fabs(g) * size * largest_x + std::fabs(h));
  }
  real.range.box = std::max(std::abs(real.input.least), real.input.most) * shape.taps();
  problem.wide = real.range.shift() > 0 || (problem.box && real.range.box > INT32_MAX);
  real.numbers.least_sum = real.range.least;
  real.numbers.most_sum = real.range.most;
  return real;
}

}  // namespace instantnet::runtime
