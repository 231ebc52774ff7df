#include "instantnet/images/input.h"

#include <fmt/format.h>

#include <algorithm>

#include "instantnet/core/error.h"
#include "instantnet/images/image_file.h"

namespace instantnet::images {

namespace {

/// One channel of three equal ones. Error where they are not equal.
Image one_channel(const Image& image, const std::string& path) {
  Image grey{image.height, image.width, 1, {}, true};
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    if (image.pixels[i] != image.pixels[i + 1] || image.pixels[i] != image.pixels[i + 2])
      fail(path, "is a colour image, but the network takes grey ones; give a grey one.");
    grey.pixels.push_back(image.pixels[i]);
  }
  return grey;
}

View view_of(const Image& image) {
  return {image.pixels.data(), image.height, image.width, image.channels};
}

std::vector<uint8_t> copied(const View& view) {
  return {view.pixels, view.pixels + view.height * view.width * view.channels};
}

}  // namespace

View stored_view(const Dataset& dataset, int64_t index, Image& decoded) {
  const std::vector<int64_t> shape = dataset.image_shape();
  if (const uint8_t* pixels = dataset.pixels(index)) return {pixels, shape[1], shape[2], shape[0]};
  decoded = dataset.image(index);
  if (decoded.channels != shape[0])
    fail(dataset.name(), fmt::format("image {} has {} channels where others have {}.", index,
                                     decoded.channels, shape[0]));
  return view_of(decoded);
}

Fit fit_of(const Defaults& defaults) { return defaults.centre_crop ? Fit::Crop : Fit::Stretch; }

View fitted_view(const View& image, int64_t height, int64_t width, Fit fit,
                 std::vector<uint8_t>& memory) {
  if (image.height == height && image.width == width) return image;
  const Box box = fit == Fit::Crop ? centre_box(image, height, width) : whole_box(image);
  memory.resize(static_cast<size_t>(height * width * image.channels));
  resize(image, box, height, width, memory.data());
  return {memory.data(), height, width, image.channels};
}

std::vector<uint8_t> input_pixels(const Dataset& dataset, int64_t index, int64_t height,
                                  int64_t width, Fit fit) {
  Image decoded;
  std::vector<uint8_t> memory;
  return copied(fitted_view(stored_view(dataset, index, decoded), height, width, fit, memory));
}

std::vector<uint8_t> file_pixels(const std::string& path, int64_t channels, int64_t height,
                                 int64_t width, Fit fit) {
  Image image = decode_image(path);
  if (channels == 1) image = one_channel(image, path);
  if (channels != image.channels)
    fail(path, fmt::format("is an image of 3 channels, but the network takes {}; an image file "
                           "suits networks of 1 or 3 channels.",
                           channels));
  std::vector<uint8_t> memory;
  return copied(fitted_view(view_of(image), height, width, fit, memory));
}

}  // namespace instantnet::images
