#include "instantnet/freeze/ranges.h"

#include <torch/torch.h>

#include <algorithm>

#include "instantnet/core/error.h"
#include "instantnet/freeze/weights.h"
#include "instantnet/nn/observed.h"
#include "instantnet/nn/ranges.h"
#include "instantnet/quant/quantizer.h"

namespace instantnet::freeze {

namespace {

const Node& node_of(const nn::SwitchableModel& model, const nn::Layer& layer) {
  return model.spec().nodes[static_cast<size_t>(layer.node)];
}

bool needs_measuring(const nn::SwitchableModel& model, const nn::Layer& layer) {
  return weight_widths(model, layer).empty() && !reads_pixels(model, layer);
}

std::vector<float> floats_of(const at::Tensor& values) {
  const at::Tensor plain = values.detach().to(at::kCPU, at::kFloat).contiguous();
  return {plain.data_ptr<float>(), plain.data_ptr<float>() + plain.numel()};
}

/// A channel that never varied has the value 0 at every code (quant::offset_grid); the integer
/// model has no empty ranges, so it gets the least one.
at::Tensor widened(const at::Tensor& range) { return range.clamp_min(quant::kLeastRange); }

}  // namespace

bool reads_pixels(const nn::SwitchableModel& model, const nn::Layer& layer) {
  return weight_widths(model, layer).empty() && node_of(model, layer).inputs.at(0) == "input";
}

void trained_ranges(const nn::SwitchableModel& model, const nn::Layer& layer,
                    runtime::IntLayer& into) {
  const at::NoGradGuard no_gradient;
  nn::SwitchableModel shared = model;  // refers to the same tensors; evaluation changes none
  nn::Layer same = layer;
  for (runtime::LayerWidth& width : into.widths) {
    const int bits = model.effective(layer, {width.bits, width.bits}).activation;
    const quant::Grid grid = nn::input_grid(shared, same, bits, nn::Mode::Eval, {});
    const at::Tensor range = grid.step.to(at::kDouble) * grid.most;
    width.range = floats_of(widened(range));
    into.input = layer.signed_input ? runtime::InputKind::Signed : runtime::InputKind::Unsigned;
    if (!grid.zero.defined()) continue;
    into.input = runtime::InputKind::Offset;
    width.low = floats_of(grid.zero);
  }
}

std::vector<std::vector<float>> measured_ranges(const nn::SwitchableModel& model,
                                                const std::vector<int>& bits, const Images& images,
                                                int threads) {
  const std::vector<nn::Layer>& layers = model.layers();
  const auto wanted = [&](const nn::Layer& layer) { return needs_measuring(model, layer); };
  if (std::none_of(layers.begin(), layers.end(), wanted)) return {};
  std::vector<std::vector<float>> most(layers.size(), std::vector<float>(bits.size(), 0.0F));
  size_t width = 0;
  nn::SwitchableModel shared = model;
  const auto executor = nn::make_observed_executor(
      shared, threads, [&](size_t layer, const at::Tensor& input, const at::Tensor&) {
        if (!wanted(layers[layer])) return;
        most[layer][width] = std::max(most[layer][width], input.abs().max().item<float>());
      });
  int64_t seen = 0;
  images([&](const at::Tensor& batch) {
    executor->begin(batch);
    for (width = 0; width < bits.size(); ++width) executor->forward(bits[width], nn::Mode::Eval);
    seen += batch.size(0);
  });
  if (seen == 0)
    fail("freeze",
         "layers that stay at 32 bits need the ranges of their inputs, but no calibration images "
         "were "
         "given; give at least one.");
  return most;
}

}  // namespace instantnet::freeze
