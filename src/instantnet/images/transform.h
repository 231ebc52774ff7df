// From stored pixels to network input: resizing, random parts, shifts, flips and normalisation of
// one image.
#pragma once

#include <cstdint>
#include <vector>

#include "instantnet/core/rng.h"

namespace instantnet::images {

/// Pixels of one image that lie somewhere else: height * width * channels, HWC.
struct View {
  const uint8_t* pixels = nullptr;
  int64_t height = 0, width = 0, channels = 0;
};

/// A part of an image, in pixels; (0, 0) is the upper left corner of the upper left pixel.
struct Box {
  double top = 0, left = 0, height = 0, width = 0;
  bool operator==(const Box&) const = default;
};

/// The whole image.
Box whole_box(const View& image);

/// What is left in the middle after the image is enlarged or reduced, with its proportions kept,
/// until height x width is 224/256 of its size in the tighter direction (the usual evaluation on
/// ImageNet).
Box centre_box(const View& image, int64_t height, int64_t width);

/// A random part with an area of `least_area` to 1 of the image's and sides 3:4 to 4:3, at whole
/// pixels (Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 6). After ten
/// misfits: the largest middle part of such sides.
Box random_box(const View& image, double least_area, Rng& rng);

/// Resizes `box` of the image to height x width: bilinear, and with the triangle as wide as a
/// target pixel when shrinking, so that no pixel is skipped. Pixels around the box are used where
/// the triangle reaches them. Sums in float in a fixed order, rounded half up. `to` has height *
/// width * channels bytes, HWC.
void resize(const View& image, const Box& box, int64_t height, int64_t width, uint8_t* to);

/// How an image is moved before it is normalised; what comes in from outside is black (0).
struct Placement {
  int64_t down = 0, right = 0;  // pixels
  bool flip = false;            // left and right swapped, after moving
};

/// Bytes to floats: (value / 255 - mean) / deviation per channel, computed in double and rounded
/// once.
class Normaliser {
 public:
  Normaliser(const std::vector<double>& mean, const std::vector<double>& deviation);
  int64_t channels() const { return static_cast<int64_t>(tables_.size() / kValues); }
  /// Writes the moved, normalised image to `to`: height * width * channels floats, HWC.
  void write(const View& image, const Placement& placement, float* to) const;

 private:
  static constexpr int64_t kValues = 256;
  std::vector<float> tables_;  // (channels, 256)
};

}  // namespace instantnet::images
