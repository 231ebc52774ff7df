// Model: plans and packed weights, shared by sessions.
#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/runtime/model_file.h"
#include "instantnet/runtime/session.h"

namespace instantnet::runtime {
namespace {

constexpr size_t kMostMixes = 64;

IntModel checked(IntModel model) {
  check(model);
  return model;
}

int layer_of(const Step& step) {
  if (const auto* conv = std::get_if<ConvStep>(&step.what)) return conv->layer;
  if (const auto* conv = std::get_if<FloatConvStep>(&step.what)) return conv->layer;
  return -1;
}

size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

Model::Model(IntModel model, const ModelOptions& options)
    : Model(Checked{checked(std::move(model))}, options) {}

Model::Model(Checked checked, const ModelOptions& options)
    : source_(std::move(checked.model)),
      kernels_(kernels_called(options.kernels)),
      residency_(options.residency) {
  packed_.resize(source_.model().layers.size());
  for (const int bits : source_.model().bits) {
    const Uniform& width = uniform_.emplace_back(Precision{bits, bits});
    if (residency_ == Residency::Resident) ready(width);
  }
}

std::shared_ptr<const Model> Model::load(const std::string& path, const ModelOptions& options) {
  try {
    const FileBytes file = map_file(path);
    return parse(file.bytes, path, options, file.keeper);
  } catch (const std::bad_alloc&) {
    fail(path, "there is not enough memory for this model.");
  }
}

std::shared_ptr<const Model> Model::parse(std::string_view bytes, const std::string& where,
                                          const ModelOptions& options,
                                          const std::shared_ptr<const void>& keeper) {
  return std::shared_ptr<const Model>(
      new Model(Checked{parse_model(bytes, where, keeper)}, options));
}

int64_t Model::packed_bytes() const {
  const std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const auto& layer : packed_)
    for (const Packed& one : layer) bytes += static_cast<int64_t>(one.bytes);
  return bytes;
}

const std::shared_ptr<const Model::Ready>& Model::ready(const Uniform& width) const {
  if (width.made.load(std::memory_order_acquire)) return width.ready;
  const std::lock_guard lock(mutex_);
  if (!width.made.load(std::memory_order_relaxed)) {
    width.ready = make_ready(expand(source_.model(), {width.precision}));
    width.made.store(true, std::memory_order_release);
  }
  return width.ready;
}

std::shared_ptr<const Model::Ready> Model::ready(const std::vector<Precision>& asked) const {
  const std::lock_guard lock(mutex_);
  for (const auto& known : mixes_)
    if (known->plan->precisions == asked) return known;
  std::shared_ptr<const Ready> made = make_ready(asked);
  if (mixes_.size() == kMostMixes) mixes_.erase(mixes_.begin());
  mixes_.push_back(made);
  return made;
}

std::shared_ptr<const Model::Ready> Model::make_ready(const std::vector<Precision>& asked) const {
  auto made = std::make_shared<Ready>();
  made->plan = make_plan(source_, asked, kernels_);
  made->weights.resize(packed_.size());
  made->offsets.resize(packed_.size());
  for (const Step& step : made->plan->steps) {
    if (layer_of(step) < 0) continue;
    const auto layer = static_cast<size_t>(layer_of(step));
    made->layers.push_back(&step);
    made->offsets[layer] = made->packed_bytes;
    if (residency_ == Residency::OnDemand) made->packed_bytes += aligned(step_bytes(step));
  }
  if (residency_ != Residency::OnDemand) pack_resident(*made);
  return made;
}

size_t Model::step_bytes(const Step& step) const {
  if (const auto* conv = std::get_if<ConvStep>(&step.what))
    return kernels_.packed_bytes(conv->problem);
  return kernels_.float_packed_bytes(std::get<FloatConvStep>(step.what).shape);
}

void Model::pack_step(const Step& step, std::byte* to) const {
  if (const auto* conv = std::get_if<ConvStep>(&step.what)) {
    kernels_.pack(conv->problem, source_.weights(conv->layer), to);
  } else {
    const auto& floats = std::get<FloatConvStep>(step.what);
    kernels_.float_pack(floats.shape, source_.float_weights(floats.layer), to);
  }
}

/// The step's weights, if they were packed for the same problem before; else null.
const std::byte* Model::known(const Step& step) const {
  const auto* conv = std::get_if<ConvStep>(&step.what);
  for (const Packed& one : packed_[static_cast<size_t>(layer_of(step))])
    if (conv == nullptr ? one.is_float : !one.is_float && one.problem == conv->problem)
      return one.data;
  return nullptr;
}

/// Finds or packs all weights; what is new lies in one piece of memory.
void Model::pack_resident(Ready& made) const {
  std::vector<const Step*> fresh;
  size_t bytes = 0;
  for (const Step* step : made.layers) {
    const std::byte*& weights = made.weights[static_cast<size_t>(layer_of(*step))];
    weights = known(*step);
    if (weights != nullptr) continue;
    fresh.push_back(step);
    bytes += aligned(step_bytes(*step));
  }
  if (fresh.empty()) return;
  std::byte* to = memory_.emplace_back(std::make_unique<const RawBytes>(bytes))->data();
  for (const Step* step : fresh) {
    const auto layer = static_cast<size_t>(layer_of(*step));
    pack_step(*step, to);
    Packed& packed = packed_[layer].emplace_back();
    if (const auto* conv = std::get_if<ConvStep>(&step->what)) packed.problem = conv->problem;
    packed.is_float = std::holds_alternative<FloatConvStep>(step->what);
    packed.data = made.weights[layer] = to;
    packed.bytes = step_bytes(*step);
    to += aligned(packed.bytes);
  }
}

}  // namespace instantnet::runtime
