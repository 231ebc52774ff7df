#include "instantnet/freeze/freeze.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "instantnet/core/error.h"
#include "instantnet/freeze/ranges.h"
#include "instantnet/freeze/weights.h"

namespace instantnet::freeze {

namespace {

/// What follows the sum: y = scale * sum + shift, one pair an output channel.
struct Affine {
  std::vector<float> scale, shift;
};

/// Batch norm in evaluation at this width, or the bias, in double and rounded once.
Affine affine_of(const nn::SwitchableModel& model, const nn::Layer& layer, int bits) {
  const at::NoGradGuard no_gradient;
  const int64_t outputs = layer.weight.size(0);
  const auto doubles = [](const at::Tensor& values) {
    return values.detach().to(at::kCPU, at::kDouble);
  };
  at::Tensor scale = at::ones({outputs}, at::kDouble), shift = at::zeros({outputs}, at::kDouble);
  if (layer.bias.defined()) shift = doubles(layer.bias);
  if (!layer.norms.empty()) {
    const nn::Norm& norm = layer.norms[static_cast<size_t>(model.norm_index(layer, {bits, bits}))];
    scale = doubles(norm.scale) / (doubles(norm.variance) + model.options().norm_epsilon).sqrt();
    shift = doubles(norm.shift) + (shift - doubles(norm.mean)) * scale;
  }
  const at::Tensor scales = scale.to(at::kFloat).contiguous(),
                   shifts = shift.to(at::kFloat).contiguous();
  const auto copied = [outputs](const at::Tensor& values) {
    return std::vector<float>(values.data_ptr<float>(), values.data_ptr<float>() + outputs);
  };
  return {copied(scales), copied(shifts)};
}

/// What one step of a pixel is in the network's input, one number an input channel.
std::vector<double> pixel_units(const runtime::Normalisation& normalisation) {
  std::vector<double> units;
  for (const float deviation : normalisation.deviation)
    units.push_back(1.0 / (255.0 * static_cast<double>(deviation)));
  return units;
}

runtime::IntLayer frozen_layer(const nn::SwitchableModel& model, const nn::Layer& layer,
                               const runtime::Normalisation& normalisation,
                               const std::vector<int>& bits, std::vector<CodeDifference>& codes) {
  const Node& node = model.spec().nodes[static_cast<size_t>(layer.node)];
  runtime::IntLayer made;
  made.node = node.name;
  for (const int one : bits) {
    Affine affine = affine_of(model, layer, one);
    made.widths.push_back({one, std::move(affine.scale), std::move(affine.shift), {}, {}});
  }
  if (!weight_widths(model, layer).empty()) {
    quantized_weights(model, layer, made, codes);
    trained_ranges(model, layer, made);
    return made;
  }
  const bool pixels = reads_pixels(model, layer);
  full_weights(layer, node.groups, pixels ? pixel_units(normalisation) : std::vector<double>(),
               made);
  made.input = pixels               ? runtime::InputKind::Image
               : layer.signed_input ? runtime::InputKind::Signed
                                    : runtime::InputKind::Unsigned;
  return made;
}

runtime::FloatLayer float_layer(const nn::SwitchableModel& model, const nn::Layer& layer) {
  const at::Tensor weight = in_runtime_order(layer.weight);
  Affine affine = affine_of(model, layer, 32);
  const float* const values = weight.data_ptr<float>();
  return {std::vector<float>(values, values + weight.numel()), std::move(affine.scale),
          std::move(affine.shift)};
}

void check_finite(const nn::SwitchableModel& model) {
  for (const nn::Named& one : model.tensors())
    if (one.tensor.defined() && one.role != nn::Role::Counter &&
        !one.tensor.detach().isfinite().all().item<bool>())
      fail("freeze", one.name +
                         " has values that are not finite; train again with a lower learning "
                         "rate, or freeze an earlier checkpoint.");
}

void check_normalisation(const nn::SwitchableModel& model,
                         const runtime::Normalisation& normalisation) {
  const auto channels = static_cast<size_t>(model.spec().channels);
  if (normalisation.mean.size() != channels || normalisation.deviation.size() != channels)
    fail("freeze", "the normalisation has " + std::to_string(normalisation.mean.size()) +
                       " means and " + std::to_string(normalisation.deviation.size()) +
                       " deviations for images of " + std::to_string(channels) +
                       " channels; give one of each a channel.");
}

/// Whether to keep float32 weights. A layer that is always quantized has no float32 form.
bool keeps_floats(const nn::SwitchableModel& model, const FreezeOptions& options) {
  const std::vector<int>& bits = model.bits();
  if (!options.floats || bits.back() != 32) return false;
  for (const nn::Layer& layer : model.layers())
    if (!layer.switchable && layer.fixed_bits < 32)
      fail("freeze", "layer '" + model.spec().nodes[static_cast<size_t>(layer.node)].name +
                         "' always runs at " + std::to_string(layer.fixed_bits) +
                         " bits, so the frozen network has no 32-bit width; leave it out with "
                         "--no-float.");
  return true;
}

std::vector<int> widths_below_32(const nn::SwitchableModel& model) {
  std::vector<int> bits = model.bits();
  if (bits.back() == 32) bits.pop_back();
  if (bits.empty())
    fail("freeze",
         "the network was trained at 32 bits only, and there is nothing to turn into integers; "
         "train "
         "it with a width below, for example bits: [4, 8, 32].");
  return bits;
}

void set_measured_ranges(const nn::SwitchableModel& model, const FreezeOptions& options,
                         const Images& calibration, const std::vector<int>& bits,
                         std::vector<runtime::IntLayer>& layers) {
  const auto ranges = measured_ranges(model, bits, calibration, options.threads);
  if (ranges.empty()) return;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].input == runtime::InputKind::Image || !layers[i].widths[0].range.empty())
      continue;
    for (size_t w = 0; w < bits.size(); ++w) {
      const double range = static_cast<double>(ranges[i][w]) * options.headroom;
      layers[i].widths[w].range = {std::max(static_cast<float>(range), quant::kLeastRange)};
    }
  }
}

}  // namespace

Frozen freeze(const nn::SwitchableModel& model, const runtime::Normalisation& normalisation,
              const FreezeOptions& options, const Images& calibration) {
  const std::vector<int> bits = widths_below_32(model);
  check_lattice(model);
  check_finite(model);
  check_normalisation(model, normalisation);
  const bool floats = keeps_floats(model, options);

  Frozen frozen;
  runtime::IntModel& made = frozen.model;
  made.spec = model.spec();
  made.bits = bits;
  made.normalisation = normalisation;
  made.classes = options.classes;
  made.origin = options.origin;
  for (const nn::Layer& layer : model.layers())
    made.layers.push_back(frozen_layer(model, layer, normalisation, bits, frozen.codes));
  set_measured_ranges(model, options, calibration, bits, made.layers);
  if (floats) {
    made.bits.push_back(32);
    for (const nn::Layer& layer : model.layers()) made.floats.push_back(float_layer(model, layer));
  }
  runtime::check(made);
  return frozen;
}

}  // namespace instantnet::freeze
