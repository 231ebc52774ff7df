#include "instantnet/train/calibrate.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/net/precision.h"

namespace instantnet::train {
namespace {

using Saved = std::vector<std::pair<at::Tensor, at::Tensor>>;  // tensor of the model, its value

/// Everything a forward pass may write except the statistics of `bits`.
Saved save_others(const nn::SwitchableModel& model, int bits) {
  Saved saved;
  for (const nn::Named& one : model.tensors()) {
    const bool statistic = one.role == nn::Role::NormMean || one.role == nn::Role::NormVariance;
    const bool own = statistic && one.bits == bits;
    if (!own) saved.emplace_back(one.tensor, one.tensor.detach().clone());
  }
  return saved;
}

void restore(const Saved& saved) {
  const at::NoGradGuard no_gradients;
  for (const auto& [tensor, value] : saved) {
    at::Tensor to = tensor;
    to.copy_(value);
  }
}

void recalibrate_one(nn::Executor& executor, const data::Source& training, int bits, int64_t images,
                     uint64_t seed, Progress* progress) {
  data::Order order;
  order.seed = seed;
  order.augment = false;
  int64_t seen = 0;
  training.for_each(order, 0, [&](data::Batch& batch) {
    const int64_t n = batch.labels.size(0);
    executor.calibration_momentum(static_cast<double>(n) / static_cast<double>(seen + n));
    executor.begin(batch.images);
    executor.forward(bits, nn::Mode::Calibrate);
    seen += n;
    if (progress != nullptr) progress->update(seen);
    return seen < images;
  });
}

}  // namespace

void recalibrate(nn::SwitchableModel& model, nn::Executor& executor, const data::Source& training,
                 const std::vector<int>& bits, int64_t images, uint64_t seed, Progress* progress) {
  if (images < 1)
    fail("recalibrate",
         fmt::format("{} images is too few; give at least 1, for example 2000.", images));
  for (const int one : bits) {
    // The width whose batch norms serve `one`: the highest for 32 where 32 is absent.
    const int own = model.bits()[static_cast<size_t>(model.index_of(one))];
    const Saved others = save_others(model, own);
    if (progress != nullptr)
      progress->begin(fmt::format("recalibrate {} bits", one), std::min(images, training.size()),
                      "images");
    recalibrate_one(executor, training, one, images, seed, progress);
    restore(others);
    executor.weights_changed();
    if (progress != nullptr) progress->end();
  }
}

}  // namespace instantnet::train
