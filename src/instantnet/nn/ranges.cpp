#include "instantnet/nn/ranges.h"

#include <torch/torch.h>

#include "instantnet/core/error.h"

namespace instantnet::nn {

namespace {

bool has_offset_grid(const SwitchableModel& model) {
  return model.options().quant.kind == quant::Kind::Sbm &&
         model.quantizer().range_source() == quant::RangeSource::MinMax;
}

void take_in(at::Tensor& running, const at::Tensor& batch, bool first,
             const quant::QuantOptions& options) {
  if (first && options.range_starts_at_first_batch) {
    running.copy_(batch);
  } else {
    running.mul_(1.0 - options.range_momentum).add_(batch, options.range_momentum);
  }
}

/// Running low and range after this batch; in training MinMax the grid itself is the batch's own.
quant::Grid grid_of_extremes(const SwitchableModel& model, Layer& layer, size_t index, int bits,
                             Mode mode, const InputFacts& facts) {
  const quant::QuantOptions& options = model.options().quant;
  at::Tensor low = layer.low[index], range = layer.running[index];
  const bool offset = has_offset_grid(model);
  if (mode == Mode::Train) {
    const bool first = layer.seen[index].item<int64_t>() == 0;
    const at::Tensor batch_low = facts.low;
    const at::Tensor batch_range = offset               ? facts.high - facts.low
                                   : layer.signed_input ? at::maximum(facts.high, -facts.low)
                                                        : facts.high;
    take_in(low, batch_low, first, options);
    take_in(range, batch_range, first, options);
    layer.seen[index].add_(1);
    low = batch_low;
    range = batch_range;
  }
  return offset ? quant::offset_grid(low, range, bits, options.sbm_integer_zero)
                : quant::zero_grid(range, bits, layer.signed_input);
}

quant::Grid grid_of_statistic(const SwitchableModel& model, Layer& layer, size_t index, int bits,
                              Mode mode, const InputFacts& facts) {
  at::Tensor range = layer.running[index];
  if (mode == Mode::Train) {
    const bool first = layer.seen[index].item<int64_t>() == 0;
    take_in(range, facts.mean_square.sqrt() * quant::clip_multiple(bits, layer.signed_input), first,
            model.options().quant);
    layer.seen[index].add_(1);
  }
  return quant::zero_grid(range, bits, layer.signed_input);
}

quant::Grid grid_of_learned(Layer& layer, size_t index, int bits, Mode mode,
                            const InputFacts& facts) {
  const at::Tensor alpha = layer.ranges[index].detach();
  if (mode == Mode::Train && layer.seen[index].item<int64_t>() == 0) {
    alpha.copy_(facts.mean_square.sqrt() * quant::clip_multiple(bits, layer.signed_input));
    layer.seen[index].add_(1);
  }
  return quant::zero_grid(alpha, bits, layer.signed_input);
}

}  // namespace

BatchFacts needed_facts(const SwitchableModel& model, const Layer& layer, int bits, Mode mode) {
  if (mode != Mode::Train) return BatchFacts::None;
  switch (model.quantizer().range_source()) {
    case quant::RangeSource::Fixed:
      return BatchFacts::None;
    case quant::RangeSource::MinMax:
      return BatchFacts::Extremes;
    case quant::RangeSource::Statistic:
      return BatchFacts::MeanSquare;
    case quant::RangeSource::Learned:
      break;
  }
  const auto index = static_cast<size_t>(model.range_index(layer, bits));
  return layer.seen[index].item<int64_t>() == 0 ? BatchFacts::MeanSquare : BatchFacts::None;
}

quant::Grid input_grid(const SwitchableModel& model, Layer& layer, int bits, Mode mode,
                       const InputFacts& facts) {
  const at::NoGradGuard no_gradient;
  const quant::RangeSource source = model.quantizer().range_source();
  if (source == quant::RangeSource::Fixed)
    return quant::zero_grid(at::ones({1}, layer.weight.detach().options()), bits,
                            layer.signed_input);
  const auto index = static_cast<size_t>(model.range_index(layer, bits));
  switch (source) {
    case quant::RangeSource::MinMax:
      return grid_of_extremes(model, layer, index, bits, mode, facts);
    case quant::RangeSource::Statistic:
      return grid_of_statistic(model, layer, index, bits, mode, facts);
    default:
      return grid_of_learned(layer, index, bits, mode, facts);
  }
}

at::Tensor learned_range(const SwitchableModel& model, const Layer& layer, int bits) {
  if (model.quantizer().range_source() != quant::RangeSource::Learned) return {};
  return layer.ranges[static_cast<size_t>(model.range_index(layer, bits))];
}

}  // namespace instantnet::nn
