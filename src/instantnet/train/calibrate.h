// Batch norm's running statistics averaged anew, for one bit-width at a time, leaving everything
// else alone.
#pragma once

#include <cstdint>
#include <vector>

#include "instantnet/core/progress.h"
#include "instantnet/data/loader.h"
#include "instantnet/nn/executor.h"
#include "instantnet/nn/model.h"

namespace instantnet::train {

/// For each of `bits`: running means and variances of that width's own batch norms become the plain
/// average over about `images` training images (whole batches, not augmented, chosen by the seed).
/// Batch norms that other widths share, statistics of other widths and activation ranges keep every
/// bit. A repair tool for a width that was not trained (recipe.md 6.1, item 7). `executor` runs
/// `model`. Error when `images` < 1.
void recalibrate(nn::SwitchableModel& model, nn::Executor& executor, const data::Source& training,
                 const std::vector<int>& bits, int64_t images, uint64_t seed,
                 Progress* progress = nullptr);

}  // namespace instantnet::train
