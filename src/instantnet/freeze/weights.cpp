#include "instantnet/freeze/weights.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "instantnet/core/error.h"
#include "instantnet/quant/quantizer.h"

namespace instantnet::freeze {

namespace {

constexpr int kFullMaster = 16;  // of layers that stay at 32 bits

bool is_nested(quant::Kind kind) {
  return kind == quant::Kind::Nested || kind == quant::Kind::Adabits;
}

/// Whether codes of `master` bits give those of `bits` exactly as if they came from float32: shifts
/// always, round-division where it has no ties (2^bits - 1 divides 2^master - 1).
bool derives_exactly(const quant::QuantOptions& options, int master, int bits) {
  const bool trained_so = options.kind == quant::Kind::Sbm && options.sbm_master_bits == master;
  return is_nested(options.kind) || trained_so || master % bits == 0;
}

int master_width(const quant::QuantOptions& options, const std::vector<int>& widths) {
  const bool eight = std::all_of(widths.begin(), widths.end(), [&](int bits) {
    return bits <= 8 && derives_exactly(options, 8, bits);
  });
  return eight ? 8 : kFullMaster;
}

/// The code at `bits` of a master code of `master` bits (docs/integer-model.md, equations 1 and 2).
int derived(runtime::Lattice lattice, int code, int master, int bits) {
  if (lattice == runtime::Lattice::Nested) return code >> (master - bits);
  const int64_t wide = (int64_t{1} << master) - 1, most = (int64_t{1} << bits) - 1;
  return static_cast<int>((2 * code * most + wide) / (2 * wide));
}

std::vector<float> floats_of(const at::Tensor& values) {
  const at::Tensor plain = values.detach().to(at::kCPU, at::kFloat).contiguous();
  return {plain.data_ptr<float>(), plain.data_ptr<float>() + plain.numel()};
}

/// Of a channel whose weights are all alike: the integer model has no empty ranges, and on this one
/// every code means the same weight to far within float32.
constexpr float kLeastWeightRange = 1e-20F;

std::vector<float> ranges_of(const at::Tensor& ranges) {
  return floats_of(ranges.clamp_min(static_cast<double>(kLeastWeightRange)));
}

CodeDifference compare(const nn::SwitchableModel& model, const nn::Layer& layer,
                       const runtime::IntLayer& frozen, int bits) {
  const at::Tensor own =
      in_runtime_order(model.quantizer()
                           .codes(layer.weight, bits, model.master_bits(layer), layer.weight_state)
                           .codes);
  const int32_t* const codes = own.data_ptr<int32_t>();
  CodeDifference result{bits, own.numel(), 0, 0};
  for (size_t i = 0; i < frozen.codes.size(); ++i) {
    const int apart =
        std::abs(codes[i] - derived(frozen.lattice, frozen.codes[i], frozen.master_bits, bits));
    result.differ += apart != 0 ? 1 : 0;
    result.most = std::max(result.most, apart);
  }
  return result;
}

void add(std::vector<CodeDifference>& all, const CodeDifference& one) {
  const auto at = std::lower_bound(all.begin(), all.end(), one.bits,
                                   [](const CodeDifference& a, int bits) { return a.bits < bits; });
  if (at == all.end() || at->bits != one.bits) {
    all.insert(at, one);
    return;
  }
  at->weights += one.weights;
  at->differ += one.differ;
  at->most = std::max(at->most, one.most);
}

/// Code of `value` on the 16-bit nested lattice of `range`.
uint16_t full_code(double value, double range) {
  const double position = std::floor((value / range + 1.0) * std::ldexp(1.0, kFullMaster - 1));
  return static_cast<uint16_t>(std::clamp(position, 0.0, std::ldexp(1.0, kFullMaster) - 1.0));
}

}  // namespace

void check_lattice(const nn::SwitchableModel& model) {
  const quant::QuantOptions& options = model.options().quant;
  const std::string can = "networks of nested, adabits, sbm and dorefa can be frozen.";
  if (options.weight_only)
    fail("freeze",
         "the network was trained with weight_only, so its activations are float32 and no integer "
         "arithmetic computes it; train without quant.weight_only.");
  if (options.kind == quant::Kind::Lsq)
    fail(
        "freeze",
        "lsq rounds half to even from one width to the next, which no lattice of the integer model "
        "does; " +
            can);
  if (options.kind == quant::Kind::Sbm && options.sbm_integer_zero)
    fail("freeze",
         "sbm with sbm_integer_zero has another zero point at each width, which one stored range "
         "cannot give; train with quant.sbm_integer_zero: false.");
  if (options.kind != quant::Kind::Dorefa) return;
  for (const nn::Layer& layer : model.layers())
    for (const int bits : weight_widths(model, layer))
      if (bits == 1)
        fail(
            "freeze",
            "dorefa's 1-bit weights are the signs times a mean, which is not on the lattice of its "
            "other widths; train from 2 bits on.");
}

std::vector<int> weight_widths(const nn::SwitchableModel& model, const nn::Layer& layer) {
  std::vector<int> widths;
  for (const int bits : layer.switchable ? model.bits() : std::vector<int>{layer.fixed_bits})
    if (bits < 32) widths.push_back(bits);
  return widths;
}

at::Tensor in_runtime_order(const at::Tensor& weight) {
  const at::Tensor plain = weight.detach().to(at::kCPU);
  return (plain.dim() == 4 ? plain.permute({0, 2, 3, 1}) : plain).contiguous();
}

void quantized_weights(const nn::SwitchableModel& model, const nn::Layer& layer,
                       runtime::IntLayer& into, std::vector<CodeDifference>& differences) {
  const quant::QuantOptions& options = model.options().quant;
  const std::vector<int> widths = weight_widths(model, layer);
  into.lattice = is_nested(options.kind) ? runtime::Lattice::Nested : runtime::Lattice::Sbm;
  into.master_bits = master_width(options, widths);
  const quant::Quantizer::Codes made = model.quantizer().codes(
      layer.weight, into.master_bits, model.master_bits(layer), layer.weight_state);
  const at::Tensor codes = in_runtime_order(made.codes);
  into.codes.assign(codes.data_ptr<int32_t>(), codes.data_ptr<int32_t>() + codes.numel());
  const at::Tensor step = made.step.to(at::kDouble);
  if (into.lattice == runtime::Lattice::Nested) {
    into.range = ranges_of(step * std::ldexp(1.0, into.master_bits - 1));
  } else {
    into.low = floats_of(made.offset);
    into.range = ranges_of(step * (std::ldexp(1.0, into.master_bits) - 1));
  }
  for (const int bits : widths) {
    const CodeDifference difference = compare(model, layer, into, bits);
    if (difference.differ != 0 && is_nested(options.kind))
      bug("codes of a nested lattice are not the leading bits of the master's");
    add(differences, difference);
  }
}

void full_weights(const nn::Layer& layer, int64_t groups, const std::vector<double>& unit,
                  runtime::IntLayer& into) {
  const at::Tensor weight = in_runtime_order(layer.weight);
  const float* const values = weight.data_ptr<float>();
  const int64_t outputs = weight.size(0), channels = weight.size(-1);
  const int64_t each = weight.numel() / outputs;
  into.lattice = runtime::Lattice::Nested;
  into.master_bits = kFullMaster;
  into.codes.resize(static_cast<size_t>(weight.numel()));
  for (int64_t k = 0; k < outputs; ++k) {
    const int64_t first_channel = k / (outputs / groups) * channels;
    const auto value = [&](int64_t i) {
      const double scale =
          unit.empty() ? 1.0 : unit[static_cast<size_t>(first_channel + i % channels)];
      return static_cast<double>(values[k * each + i]) * scale;
    };
    double most = 0;
    for (int64_t i = 0; i < each; ++i) most = std::max(most, std::abs(value(i)));
    const float range = std::max(static_cast<float>(most), kLeastWeightRange);
    into.range.push_back(range);
    for (int64_t i = 0; i < each; ++i)
      into.codes[static_cast<size_t>(k * each + i)] =
          full_code(value(i), static_cast<double>(range));
  }
}

}  // namespace instantnet::freeze
