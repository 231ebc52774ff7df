// A space of two cells and a data set that is searched in a second.
#pragma once

#include <string>

#include "core/helpers.h"
#include "instantnet/core/progress.h"
#include "instantnet/nas/search.h"

namespace instantnet::nas {

/// 27 networks on 8x8 grey images of 4 classes, 96 images, 3 minibatches an epoch.
inline SearchOptions tiny_options(const std::string& preset_name = "default") {
  SearchOptions options = preset(preset_name);
  options.space = space_preset("small");
  options.space.cells = {1, 2};
  options.space.channels = {4, 8};
  options.space.strides = {1, 2};
  options.space.operators = {"f3_e1", "k3_e2", "skip"};
  options.space.stem_channels = 4;
  options.space.stem_stride = 1;
  options.cost.least = options.cost.most = 0;
  options.bits = {2, 8, 32};
  options.data.path = "synthetic:96x4x1x8x8";
  options.data.batch_size = 16;
  options.data.threads = 0;
  options.weight_epochs = 1;
  options.epochs = 2;
  options.threads = 1;
  return options;
}

inline double macs(const LayerShape& shape, Precision) { return static_cast<double>(shape.macs()); }

inline SearchResult search_quietly(const SearchOptions& options, const std::string& folder,
                                   bool resume = false, const std::atomic<bool>* stop = nullptr) {
  Progress quiet;
  return search(options, folder, macs, resume, quiet, stop);
}

}  // namespace instantnet::nas
