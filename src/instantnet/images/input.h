// From a data set or a file to the pixels a network takes: decoded, at its size, nothing random.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/images/dataset.h"
#include "instantnet/images/transform.h"

namespace instantnet::images {

/// The pixels of image `index`: the set's own memory, or decoded into `decoded`. Error when it has
/// another number of channels than the set says.
View stored_view(const Dataset& dataset, int64_t index, Image& decoded);

/// How an image of another size becomes height x width.
enum class Fit {
  Stretch,  // the whole image, with its proportions changed
  Crop,     // the middle (centre_box)
};
/// What the set itself wants.
Fit fit_of(const Defaults& defaults);

/// The image at height x width: itself when it is of that size, else resized into `memory`.
View fitted_view(const View& image, int64_t height, int64_t width, Fit fit,
                 std::vector<uint8_t>& memory);

/// Both: height * width * channels bytes, HWC.
std::vector<uint8_t> input_pixels(const Dataset& dataset, int64_t index, int64_t height,
                                  int64_t width, Fit fit);

/// The JPEG or PNG file as a network of `channels` (1 or 3) channels takes it. Error as
/// decode_image, and for a colour image where the network takes grey ones.
std::vector<uint8_t> file_pixels(const std::string& path, int64_t channels, int64_t height,
                                 int64_t width, Fit fit);

}  // namespace instantnet::images
