// The sources of one training: split, limited, and normalised alike.
#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/data/options.h"
#include "instantnet/data/order.h"

namespace instantnet::data {

using images::Dataset;
using images::Part;

namespace {

std::vector<int64_t> all_indices(const Dataset& dataset) {
  std::vector<int64_t> indices(static_cast<size_t>(dataset.size()));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

std::vector<int64_t> labels_of(const Dataset& dataset) {
  std::vector<int64_t> labels;
  labels.reserve(static_cast<size_t>(dataset.size()));
  for (int64_t i = 0; i < dataset.size(); ++i) labels.push_back(dataset.label(i));
  return labels;
}

Split split_training(const Dataset& dataset, const DataOptions& options, uint64_t seed) {
  Split result;
  if (options.validation > 0.0)
    result = split(labels_of(dataset), dataset.classes(), options.validation, seed);
  else
    result.train = all_indices(dataset);
  if (options.validation > 0.0 && result.validation.empty())
    fail("data.validation", fmt::format("{} leaves no image of {} for validation: no class has two "
                                        "images.",
                                        options.validation, dataset.size()));
  const auto left = static_cast<int64_t>(result.train.size());
  if (options.limit > left)
    fail("data.limit", fmt::format("{} images, but only {} are there for training; give 0 for all.",
                                   options.limit, left));
  if (options.limit > 0) result.train = subset(std::move(result.train), options.limit, seed);
  return result;
}

void check_alike(const Dataset& train, const Dataset& test) {
  if (train.classes() != test.classes())
    fail(test.name(), fmt::format("the test part has {} classes, the training part {}.",
                                  test.classes(), train.classes()));
  if (train.image_shape()[0] != test.image_shape()[0])
    fail(test.name(), fmt::format("test images have {} channels, training images {}.",
                                  test.image_shape()[0], train.image_shape()[0]));
}

/// Without a wanted size both parts must be stored at the same one.
void check_test_size(const DataOptions& given, const DataOptions& resolved, const Dataset& test) {
  const std::vector<int64_t> shape = test.image_shape();
  if (given.height > 0 || (shape[1] == resolved.height && shape[2] == resolved.width)) return;
  const std::string what = shape[1] == 0 ? "differ in size: " + test.differing_sizes()
                                         : fmt::format("are {}x{}", shape[1], shape[2]);
  fail(test.name(), fmt::format("training images are {}x{}, but test images {}; set data.height "
                                "and data.width.",
                                resolved.height, resolved.width, what));
}

/// The same normalisation and size, nothing random.
DataOptions without_augmentation(DataOptions options) {
  options.augment = "none";
  options.crop_padding = options.shift = 0;
  options.flip = options.random_resized_crop = false;
  return options;
}

}  // namespace

Sources open_sources(const DataOptions& options, uint64_t seed) {
  check_options(options);
  const images::OpenOptions where{options.path, options.format};
  const std::shared_ptr<const Dataset> train = images::open_dataset(where, Part::Train);
  const std::shared_ptr<const Dataset> test = images::open_dataset(where, Part::Test);
  check_alike(*train, *test);
  const Split parts = split_training(*train, options, seed);
  Sources sources;
  sources.train = std::make_shared<Source>(train, parts.train, options);
  const DataOptions resolved = sources.train->options();
  check_test_size(options, resolved, *test);
  const DataOptions plain = without_augmentation(resolved);
  if (!parts.validation.empty())
    sources.validation = std::make_shared<Source>(train, parts.validation, plain);
  sources.test = std::make_shared<Source>(test, std::vector<int64_t>{}, plain);
  return sources;
}

}  // namespace instantnet::data
