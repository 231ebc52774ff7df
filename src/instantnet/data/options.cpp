#include "instantnet/data/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/images/memory.h"

namespace instantnet::data {

using images::Dataset;
using images::Defaults;

namespace {

constexpr int64_t kMostBatch = 1 << 20;
constexpr int64_t kMostThreads = 256;
constexpr int64_t kMostSide = 4096;
constexpr int64_t kMostCacheMib = int64_t{1} << 24;

[[noreturn]] void refuse(const std::string& key, const std::string& sentence) {
  fail("data." + key, sentence);
}

void check_range(const std::string& key, int64_t value, int64_t least, int64_t most) {
  if (value < least || value > most)
    refuse(key, fmt::format("{} is out of range; give {} to {}.", value, least, most));
}

void check_choice(const std::string& key, const std::string& value,
                  const std::vector<std::string>& choices) {
  if (std::find(choices.begin(), choices.end(), value) == choices.end())
    refuse(key, fmt::format("there is no choice '{}'{}", value, suggestion(value, choices)));
}

/// A key that would be ignored is a misunderstanding.
void check_custom(const DataOptions& options) {
  const std::pair<const char*, bool> used[] = {
      {"crop_padding", options.crop_padding != 0},
      {"shift", options.shift != 0},
      {"flip", options.flip},
      {"random_resized_crop", options.random_resized_crop}};
  if (options.augment == "custom") return;
  for (const auto& [key, set] : used)
    if (set)
      refuse(key, fmt::format("is set, but data.augment is '{}', which does not look at it; set "
                              "data.augment to custom.",
                              options.augment));
}

void check_numbers(const std::string& key, const std::vector<double>& values, double least) {
  for (const double value : values)
    if (!(value >= least && value <= 1.0))
      refuse(key,
             fmt::format("{} is out of range; give {} to 1, one number a channel.", value, least));
}

constexpr double kLeastDeviation = 1e-3;

void resolve_size(DataOptions& options, const Dataset& dataset) {
  const std::vector<int64_t> shape = dataset.image_shape();
  if (options.height > 0) return;
  if (shape[1] == 0)
    fail(dataset.name(), fmt::format("images differ in size: {}; set data.height and data.width.",
                                     dataset.differing_sizes()));
  options.height = shape[1];
  options.width = shape[2];
}

void resolve_statistics(DataOptions& options, const Defaults& usual, int64_t channels) {
  if (options.mean.empty()) options.mean = usual.mean;
  if (options.deviation.empty()) {
    options.deviation = usual.deviation;
    for (double& value : options.deviation)  // images of one colour have deviation 0
      if (value < kLeastDeviation) value = 1.0;
  }
  for (const auto& [key, values] :
       {std::pair{"mean", &options.mean}, std::pair{"deviation", &options.deviation}})
    if (static_cast<int64_t>(values->size()) != channels)
      refuse(key, fmt::format("{} numbers, but images have {} channels; give one a channel.",
                              values->size(), channels));
}

void resolve_augmentation(DataOptions& options, const Defaults& usual) {
  if (options.augment != "auto") return;
  options.augment = "custom";
  options.crop_padding = usual.crop_padding;
  options.shift = usual.shift;
  options.flip = usual.flip;
  options.random_resized_crop = usual.random_resized_crop;
}

void check_moves(const DataOptions& options) {
  const int64_t side = std::min(options.height, options.width);
  for (const auto& [key, value] :
       {std::pair{"crop_padding", options.crop_padding}, std::pair{"shift", options.shift}})
    if (value >= side)
      refuse(key, fmt::format("{} pixels would move images of {}x{} out of sight; give less than "
                              "{}.",
                              value, options.height, options.width, side));
}

}  // namespace

Fields fields(DataOptions& options) {
  Fields all;
  all.add("path", options.path,
          "Folder of the data set, or synthetic:COUNTxCLASSESxCHANNELSxHEIGHTxWIDTH for a "
          "generated one.");
  all.add("format", options.format,
          fmt::format("Format of the files, one of {}; auto recognises it.",
                      fmt::join(images::format_names(), ", ")));
  all.add("batch_size", options.batch_size, "Images in a minibatch of one process.",
          {1, kMostBatch, "images"});
  all.add("threads", options.threads,
          "Threads that prepare batches ahead; 0 prepares them between training steps. Results do "
          "not depend on it.",
          {0, kMostThreads, "threads"});
  all.add("limit", options.limit,
          "Train on only this many images, chosen by the seed from what validation leaves; 0 = "
          "all.",
          {0, std::numeric_limits<double>::infinity(), "images"});
  all.add("validation", options.validation,
          "Share of each training class kept aside for validation, chosen by the seed; 0 = none.",
          {0, 0.9, ""});
  all.add("height", options.height, "Resize images to this height; 0 = as stored.",
          {0, kMostSide, "pixels"});
  all.add("width", options.width, "Resize images to this width; 0 = as stored.",
          {0, kMostSide, "pixels"});
  all.add("resize", options.resize,
          "How images of another size are resized: stretch, crop (the centre at 224/256, as usual "
          "on ImageNet), or auto (crop for photographs of many sizes, else stretch).");
  all.add("augment", options.augment,
          "Random changes of training images: auto (the data set's usual ones), none, or custom "
          "(the keys below).");
  all.add("crop_padding", options.crop_padding,
          "custom: pad by this many black pixels and cut out at random.", {0, kMostSide, "pixels"});
  all.add("shift", options.shift,
          "custom: move by up to this many pixels each way; black comes in.",
          {0, kMostSide, "pixels"});
  all.add("flip", options.flip, "custom: swap left and right with probability 1/2.");
  all.add(
      "random_resized_crop", options.random_resized_crop,
      "custom: resize a random part of the image to the input size (Szegedy et al., CVPR 2015).");
  all.add("least_area", options.least_area,
          "Least share of the image's area that random_resized_crop takes.", {0.01, 1.0, ""});
  all.add("mean", options.mean,
          "Subtracted from values in 0..1, one number a channel; [] = the data set's own.",
          {0, 1, ""});
  all.add("deviation", options.deviation,
          "Divides afterwards, one number a channel; [] = the data set's own.",
          {kLeastDeviation, 1, ""});
  all.add("cache_mib", options.cache_mib,
          "Decoded images are kept in memory when all of a part fit in this; 0 decodes every time.",
          {0, kMostCacheMib, "MiB"});
  return all;
}

void check_options(const DataOptions& options) {
  if (!images::is_synthetic(options.format))
    check_choice("format", options.format, images::format_names());
  check_range("batch_size", options.batch_size, 1, kMostBatch);
  check_range("threads", options.threads, 0, kMostThreads);
  if (options.limit < 0)
    refuse("limit", fmt::format("{} images; give 0 for all, or a count.", options.limit));
  if (!(options.validation >= 0.0 && options.validation <= 0.9))
    refuse("validation", fmt::format("{} is out of range; give 0 to 0.9.", options.validation));
  check_range("height", options.height, 0, kMostSide);
  check_range("width", options.width, 0, kMostSide);
  if ((options.height == 0) != (options.width == 0))
    refuse(options.height == 0 ? "height" : "width",
           "is 0, but the other side is given; give both, or neither.");
  check_choice("resize", options.resize, {"auto", "stretch", "crop"});
  check_choice("augment", options.augment, {"auto", "none", "custom"});
  check_range("crop_padding", options.crop_padding, 0, kMostSide);
  check_range("shift", options.shift, 0, kMostSide);
  check_custom(options);
  if (!(options.least_area >= 0.01 && options.least_area <= 1.0))
    refuse("least_area", fmt::format("{} is out of range; give 0.01 to 1.", options.least_area));
  check_numbers("mean", options.mean, 0.0);
  check_numbers("deviation", options.deviation, kLeastDeviation);
  check_range("cache_mib", options.cache_mib, 0, kMostCacheMib);
}

DataOptions resolve(const DataOptions& options, const Dataset& dataset) {
  check_options(options);
  const Defaults usual = dataset.defaults();
  const std::vector<int64_t> shape = dataset.image_shape();
  DataOptions result = options;
  resolve_size(result, dataset);
  resolve_statistics(result, usual, shape[0]);
  resolve_augmentation(result, usual);
  if (result.resize == "auto")
    result.resize = usual.centre_crop || result.random_resized_crop ? "crop" : "stretch";
  check_moves(result);
  return result;
}

}  // namespace instantnet::data
