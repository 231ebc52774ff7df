// Labelled images on disk: recognised, counted, verified, and read one by one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace instantnet::images {

/// One decoded image, rows of interleaved channels.
struct Image {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;  // height * width * channels, HWC
  bool grey = false;            // stored with one channel and given as three equal ones
  bool operator==(const Image&) const = default;
};

/// Which part of a data set. Validation is carved from the training set (see order.h).
enum class Part { Train, Test };

/// How a data set is usually fed to a network. Mean and deviation per channel of values in 0..1.
struct Defaults {
  std::vector<double> mean, deviation;
  int64_t crop_padding = 0;  // random crop after padding by this many black pixels
  bool flip = false;         // horizontal, probability 1/2
  int64_t shift = 0;         // random shift of up to this many pixels each way, black comes in
  /// A random part of the image (8 % to 100 % of its area, sides 3:4 to 4:3) is resized to the
  /// input size (Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 6).
  bool random_resized_crop = false;
  /// An image of another size is resized until the input size is 224/256 of it and cut out of its
  /// centre, instead of being stretched.
  bool centre_crop = false;
  bool operator==(const Defaults&) const = default;
};

/// Images with labels. Immutable; read from any number of threads.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual int64_t classes() const = 0;
  virtual std::vector<std::string> class_names() const = 0;  // empty when the format has none
  virtual int64_t label(int64_t index) const = 0;
  /// Decoded image `index`. Error naming the file when it cannot be read.
  virtual Image image(int64_t index) const = 0;
  /// Channels, height, width; height = width = 0 when images differ in size.
  virtual std::vector<int64_t> image_shape() const = 0;
  virtual Defaults defaults() const = 0;
  /// Where the set comes from, for messages.
  virtual std::string name() const = 0;
  /// HWC pixels of image `index` when all images are in memory already, else nullptr.
  virtual const uint8_t* pixels(int64_t index) const;
  /// "train/b/x.png is 10x12 where train/a/y.png is 8x8" when images differ in size, else empty.
  virtual std::string differing_sizes() const;
};

/// Options of opening.
struct OpenOptions {
  std::string path;             // folder (or one file of it); an empty path is an error
  std::string format = "auto";  // one of format_names(), or "synthetic:..." (see memory.h)
};

/// "auto", "idx", "cifar10", "cifar100", "cifar100-coarse", "folder".
std::vector<std::string> format_names();

/// The format of the files at `options.path`: the one asked for, or for "auto" the one recognised,
/// never "auto". Error when there is no such path, or when no layout or more than one is
/// recognised.
std::string recognise(const OpenOptions& options);

/// Opens a part, recognising the format from the files present when it is "auto". Error (file,
/// offset, what was found, what was expected) for anything truncated, over-long, mislabelled or
/// unknown.
std::unique_ptr<Dataset> open_dataset(const OpenOptions& options, Part part);

/// What `instantnet data check` reports. Reads and decodes everything.
struct CheckReport {
  std::string format;
  int64_t classes = 0;
  struct PartReport {
    std::string name;  // "train", "test"
    int64_t images = 0;
    std::vector<int64_t> per_class;
    int64_t channels = 0;
    int64_t least_height = 0, most_height = 0, least_width = 0, most_width = 0;
    int64_t grey = 0;                     // images stored with one channel in an RGB set
    std::vector<double> mean, deviation;  // per channel, of values in 0..1
  };
  std::vector<PartReport> parts;
  std::vector<std::string> class_names;
};

/// Opens and reads everything under `path`. Error for the first thing wrong. `progress` hears of
/// images of both parts.
CheckReport check_dataset(const OpenOptions& options,
                          const std::function<void(int64_t done, int64_t total)>& progress = {});

}  // namespace instantnet::images
