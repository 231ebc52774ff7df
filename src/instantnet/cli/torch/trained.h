// A checkpoint and the images it was trained on, as eval and freeze need them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/data/loader.h"
#include "instantnet/freeze/freeze.h"
#include "instantnet/images/dataset.h"
#include "instantnet/net/spec.h"
#include "instantnet/nn/model.h"
#include "instantnet/train/checkpoint.h"

namespace instantnet::cli {

/// The folder itself, or best/ or last/ of a run.
std::string checkpoint_folder(const std::string& given);

/// The seed the run had.
uint64_t seed_of(const train::Checkpoint& checkpoint);

/// The run's data, or those at `path` when that is not empty, prepared as the run had them. Error
/// when the checkpoint does not say and no path is given (`where` starts the message), or the
/// images or classes are not the network's.
data::Sources open_data(const train::Checkpoint& checkpoint, const std::string& path,
                        const std::string& where);

/// Images of a part of a data set, in this order, not augmented, and the set they come from.
struct PlainImages {
  std::shared_ptr<const images::Dataset> dataset;
  std::shared_ptr<data::Source> source;
};
/// `part` is test, train or validation; its first `limit` images (0 = all). Error for another name,
/// and for validation images that were not kept.
PlainImages plain_images(const data::Sources& sources, const std::string& part, int64_t limit);

/// The network of the checkpoint as integers. `calibrate` training images, chosen by the seed, give
/// ranges to the layers that stay at 32 bits.
freeze::Frozen freeze_checkpoint(const train::Checkpoint& checkpoint,
                                 const nn::SwitchableModel& model, const data::Sources& sources,
                                 int64_t calibrate, const freeze::FreezeOptions& options);

}  // namespace instantnet::cli
