#include "instantnet/images/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"
#include "instantnet/images/statistics.h"

namespace instantnet::images {

namespace {

constexpr uint64_t kPatternStream = 0x70617474;  // "patt"
constexpr uint64_t kNoiseStream = 0x6e6f6973;    // "nois"
constexpr int64_t kMostSyntheticBytes = int64_t{1} << 32;

void check_labels(const std::string& name, const std::vector<int64_t>& labels, int64_t images,
                  int64_t classes) {
  if (images == 0) fail(name, "there are no images; give at least one.");
  if (static_cast<int64_t>(labels.size()) != images)
    fail(name,
         fmt::format("{} images but {} labels; give one label an image.", images, labels.size()));
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] < 0 || labels[i] >= classes)
      fail(name, fmt::format("label {} of image {}; {} classes have labels 0 to {}.", labels[i], i,
                             classes, classes - 1));
}

class PixelsDataset : public Dataset {
 public:
  explicit PixelsDataset(Pixels data)
      : data_(std::move(data)), stride_(data_.channels * data_.height * data_.width) {
    const auto bytes = static_cast<int64_t>(data_.values.size());
    if (stride_ <= 0 || bytes % stride_ != 0)
      fail(data_.name, fmt::format("{} bytes of pixels are no whole number of images of {}x{}x{}.",
                                   bytes, data_.channels, data_.height, data_.width));
    check_labels(data_.name, data_.labels, bytes / stride_, data_.classes);
  }

  int64_t size() const override { return static_cast<int64_t>(data_.labels.size()); }
  int64_t classes() const override { return data_.classes; }
  std::vector<std::string> class_names() const override { return data_.class_names; }
  int64_t label(int64_t index) const override { return data_.labels.at(index); }
  Image image(int64_t index) const override {
    const uint8_t* from = pixels(index);
    return {data_.height, data_.width, data_.channels, {from, from + stride_}};
  }
  std::vector<int64_t> image_shape() const override {
    return {data_.channels, data_.height, data_.width};
  }
  Defaults defaults() const override { return data_.defaults; }
  std::string name() const override { return data_.name; }
  const uint8_t* pixels(int64_t index) const override {
    if (index < 0 || index >= size()) bug(fmt::format("image {} of {}", index, size()));
    return data_.values.data() + index * stride_;
  }

 private:
  Pixels data_;
  int64_t stride_;  // bytes of one image
};

/// Images of several sizes.
class ImagesDataset : public Dataset {
 public:
  ImagesDataset(std::vector<Image> images, std::vector<int64_t> labels, int64_t classes)
      : images_(std::move(images)), labels_(std::move(labels)), classes_(classes) {
    check_labels(name(), labels_, static_cast<int64_t>(images_.size()), classes_);
    ChannelSums sums(images_[0].channels);
    for (const Image& image : images_) sums.add(image.pixels);
    defaults_.mean = sums.mean();
    defaults_.deviation = sums.deviation();
  }

  int64_t size() const override { return static_cast<int64_t>(images_.size()); }
  int64_t classes() const override { return classes_; }
  std::vector<std::string> class_names() const override { return {}; }
  int64_t label(int64_t index) const override { return labels_.at(index); }
  Image image(int64_t index) const override { return images_.at(index); }
  std::vector<int64_t> image_shape() const override { return {images_[0].channels, 0, 0}; }
  Defaults defaults() const override { return defaults_; }
  std::string name() const override { return "images in memory"; }
  std::string differing_sizes() const override {
    for (size_t i = 1; i < images_.size(); ++i)
      if (images_[i].height != images_[0].height || images_[i].width != images_[0].width)
        return fmt::format("image {} is {}x{} where image 0 is {}x{}", i, images_[i].height,
                           images_[i].width, images_[0].height, images_[0].width);
    return {};
  }

 private:
  std::vector<Image> images_;
  std::vector<int64_t> labels_;
  int64_t classes_;
  Defaults defaults_;
};

void check_images(const std::vector<Image>& images) {
  for (size_t i = 0; i < images.size(); ++i) {
    const Image& image = images[i];
    const int64_t values = image.height * image.width * image.channels;
    if (values <= 0 || static_cast<int64_t>(image.pixels.size()) != values)
      fail("images in memory",
           fmt::format("image {} has {} bytes, {}x{}x{} needs {} (at least 1).", i,
                       image.pixels.size(), image.height, image.width, image.channels, values));
    if (image.channels != images[0].channels)
      fail("images in memory", fmt::format("image {} has {} channels where image 0 has {}.", i,
                                           image.channels, images[0].channels));
  }
}

bool of_one_size(const std::vector<Image>& images) {
  return std::all_of(images.begin(), images.end(), [&](const Image& image) {
    return image.height == images[0].height && image.width == images[0].width;
  });
}

/// One plane wave: what makes a class look like itself.
struct Wave {
  double down, right, phase, strength;
};

/// The waves of each class and channel.
std::vector<Wave> class_waves(int64_t classes, int64_t channels, int waves) {
  std::vector<Wave> all;
  for (int64_t i = 0; i < classes * channels; ++i) {
    Rng rng(kPatternStream, static_cast<uint64_t>(classes), static_cast<uint64_t>(i));
    for (int wave = 0; wave < waves; ++wave)
      all.push_back({rng.uniform(-2.0, 2.0), rng.uniform(-2.0, 2.0), rng.uniform(), 1.0 / waves});
  }
  return all;
}

/// The classes' mean images, (classes, height, width, channels), values -1..1.
std::vector<double> class_patterns(int64_t classes, int64_t channels, int64_t height,
                                   int64_t width) {
  constexpr int kWaves = 3;
  const std::vector<Wave> waves = class_waves(classes, channels, kWaves);
  std::vector<double> patterns;
  patterns.reserve(static_cast<size_t>(classes * channels * height * width));
  for (int64_t k = 0; k < classes; ++k)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (int64_t c = 0; c < channels; ++c) {
          double sum = 0.0;
          for (int w = 0; w < kWaves; ++w) {
            const Wave& wave = waves[(k * channels + c) * kWaves + w];
            const double turns = wave.down * static_cast<double>(y) / static_cast<double>(height) +
                                 wave.right * static_cast<double>(x) / static_cast<double>(width) +
                                 wave.phase;
            sum += wave.strength * std::sin(2.0 * std::numbers::pi * turns);
          }
          patterns.push_back(sum);
        }
  return patterns;
}

void draw_synthetic(const double* pattern, Rng rng, std::vector<uint8_t>& to, int64_t count) {
  constexpr double kMiddle = 128.0, kPattern = 60.0, kBrightness = 20.0, kNoise = 30.0;
  const double brightness = kMiddle + kBrightness * rng.uniform(-1.0, 1.0);
  const double strength = kPattern * rng.uniform(0.6, 1.0);
  for (int64_t i = 0; i < count; ++i) {
    const double value = brightness + strength * pattern[i] + kNoise * rng.uniform(-1.0, 1.0);
    to.push_back(static_cast<uint8_t>(std::clamp(std::lround(value), 0L, 255L)));
  }
}

constexpr const char* kSynthetic = "synthetic:";

/// COUNT, CLASSES, CHANNELS, HEIGHT, WIDTH.
std::vector<int64_t> parse_synthetic(const std::string& text) {
  std::vector<int64_t> numbers;
  const char* at = text.data() + std::char_traits<char>::length(kSynthetic);
  const char* const end = text.data() + text.size();
  while (at <= end) {
    int64_t number = 0;
    const auto [after, code] = std::from_chars(at, end, number);
    if (code != std::errc() || number < 1 || (after != end && *after != 'x')) return {};
    numbers.push_back(number);
    at = after + 1;
  }
  return numbers;
}

}  // namespace

std::unique_ptr<Dataset> pixels_dataset(Pixels pixels) {
  return std::make_unique<PixelsDataset>(std::move(pixels));
}

std::unique_ptr<Dataset> memory_dataset(std::vector<Image> images, std::vector<int64_t> labels,
                                        int64_t classes) {
  check_images(images);
  if (!of_one_size(images))
    return std::make_unique<ImagesDataset>(std::move(images), std::move(labels), classes);
  Pixels all;
  all.name = "images in memory";
  if (images.empty()) fail(all.name, "there are no images; give at least one.");
  all.channels = images[0].channels;
  all.height = images[0].height;
  all.width = images[0].width;
  all.labels = std::move(labels);
  all.classes = classes;
  for (const Image& image : images)
    all.values.insert(all.values.end(), image.pixels.begin(), image.pixels.end());
  measure(all);
  return pixels_dataset(std::move(all));
}

std::unique_ptr<Dataset> synthetic_dataset(int64_t count, int64_t classes, int64_t channels,
                                           int64_t height, int64_t width, uint64_t seed) {
  const int64_t values = channels * height * width;
  const std::vector<double> patterns = class_patterns(classes, channels, height, width);
  Pixels all;
  all.name = fmt::format("{}{}x{}x{}x{}x{}", kSynthetic, count, classes, channels, height, width);
  all.channels = channels;
  all.height = height;
  all.width = width;
  all.classes = classes;
  all.values.reserve(static_cast<size_t>(count * values));
  for (int64_t i = 0; i < count; ++i) {
    all.labels.push_back(i % classes);
    draw_synthetic(patterns.data() + (i % classes) * values,
                   Rng(seed, kNoiseStream, static_cast<uint64_t>(i)), all.values, values);
  }
  all.defaults.mean.assign(static_cast<size_t>(channels), 0.5);
  all.defaults.deviation.assign(static_cast<size_t>(channels), 0.25);
  return pixels_dataset(std::move(all));
}

bool is_synthetic(const std::string& text) { return text.starts_with(kSynthetic); }

std::unique_ptr<Dataset> open_synthetic(const std::string& text, Part part) {
  const std::vector<int64_t> n = parse_synthetic(text);
  if (n.size() != 5)
    fail(text,
         "is no description of a generated data set; give "
         "synthetic:COUNTxCLASSESxCHANNELSxHEIGHTxWIDTH, for example "
         "synthetic:512x10x1x16x16.");
  double bytes = 1.0;
  for (const int64_t number : {n[0], n[2], n[3], n[4]}) bytes *= static_cast<double>(number);
  if (bytes > static_cast<double>(kMostSyntheticBytes) || n[1] > n[0])
    fail(text,
         "is too large a generated data set, or has more classes than images; at most 4 GiB "
         "of pixels and one class an image.");
  return synthetic_dataset(n[0], n[1], n[2], n[3], n[4], part == Part::Train ? 1 : 2);
}

void measure(Pixels& pixels) {
  ChannelSums sums(pixels.channels);
  sums.add(pixels.values);
  pixels.defaults.mean = sums.mean();
  pixels.defaults.deviation = sums.deviation();
}

}  // namespace instantnet::images
