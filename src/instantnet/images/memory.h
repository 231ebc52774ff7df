// Data sets without files: images given by the program, and generated ones that a network can
// learn.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/images/dataset.h"

namespace instantnet::images {

/// Images of equal size and depth in one block of memory: what IDX, CIFAR and generated sets
/// become.
struct Pixels {
  std::vector<uint8_t> values;  // count * height * width * channels, NHWC
  int64_t channels = 0, height = 0, width = 0;
  std::vector<int64_t> labels;  // count
  int64_t classes = 0;
  std::vector<std::string> class_names;  // classes, or empty
  Defaults defaults;
  std::string name;  // for messages
};

/// The data set of `pixels`. Error when labels and pixels differ in count or a label is not below
/// `classes`.
std::unique_ptr<Dataset> pixels_dataset(Pixels pixels);

/// Sets the defaults' mean and deviation to those of the pixels themselves.
void measure(Pixels& pixels);

/// The given images, which may differ in size but not in channels; `labels[i]` belongs to
/// `images[i]`. Defaults: mean and deviation of these images, no augmentation. Error as
/// pixels_dataset.
std::unique_ptr<Dataset> memory_dataset(std::vector<Image> images, std::vector<int64_t> labels,
                                        int64_t classes);

/// `count` generated images: a smooth pattern of the class (the same for every seed) at a random
/// brightness, plus noise that depends on (seed, index) alone. Label of image i is i % classes.
std::unique_ptr<Dataset> synthetic_dataset(int64_t count, int64_t classes, int64_t channels,
                                           int64_t height, int64_t width, uint64_t seed);

/// Whether `text` starts with "synthetic:".
bool is_synthetic(const std::string& text);

/// The set described as "synthetic:COUNTxCLASSESxCHANNELSxHEIGHTxWIDTH", for example
/// synthetic:512x10x1x16x16. Both parts have COUNT images and differ in seed. Error when the text
/// is not such a description.
std::unique_ptr<Dataset> open_synthetic(const std::string& text, Part part);

}  // namespace instantnet::images
