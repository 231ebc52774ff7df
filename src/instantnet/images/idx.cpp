// IDX: two zero bytes, the type of the values (8: unsigned bytes), the number of dimensions, each
// dimension as 32 bits with the highest byte first, then the values.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/images/formats.h"
#include "instantnet/images/memory.h"
#include "instantnet/images/paths.h"
#include "instantnet/images/unpack.h"

namespace instantnet::images {

namespace {

constexpr uint32_t kLabelMagic = 0x00000801;
constexpr uint32_t kImageMagic = 0x00000803;

enum class Kind { Images, Labels };

std::vector<std::string> names_of_file(Part part, Kind kind) {
  const std::string start = part == Part::Train ? "train" : "t10k";
  const std::string middle = kind == Kind::Images ? "images" : "labels";
  const std::string end = kind == Kind::Images ? "idx3-ubyte" : "idx1-ubyte";
  std::vector<std::string> names;
  for (const char* packed : {"", ".gz"})
    for (const char* dash : {"-", "."})
      names.push_back(fmt::format("{}-{}{}{}{}", start, middle, dash, end, packed));
  return names;
}

/// The file of a part and kind, if any of its names is there.
std::optional<std::string> find_file(const std::string& folder, Part part, Kind kind) {
  for (const std::string& name : names_of_file(part, kind)) {
    const std::string path = folder + "/" + name;
    if (is_file(path)) return path;
  }
  return {};
}

std::string needed_file(const std::string& folder, Part part, Kind kind) {
  if (const auto path = find_file(folder, part, kind)) return *path;
  fail(folder, fmt::format("there is no file {} (nor with '.' before idx, nor with .gz).",
                           names_of_file(part, kind)[0]));
}

struct Array {
  std::string path;
  std::vector<uint64_t> sides;
  std::vector<uint8_t> values;
  uint64_t header_bytes = 0;
};

uint32_t read_number(ByteReader& reader, const std::string& path) {
  std::array<uint8_t, 4> bytes = {};
  const size_t count = reader.read(bytes.data(), bytes.size());
  if (count < bytes.size())
    fail(path, fmt::format("the file is cut short inside its header: it ends at offset {}.",
                           reader.offset()));
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

std::string sides_text(const std::vector<uint64_t>& sides) {
  return fmt::format("{}", fmt::join(sides, "x"));
}

/// The product of the sides. Error when more than the file can hold (a hostile header must take no
/// memory).
uint64_t checked_count(const Array& array, uint64_t most) {
  uint64_t count = 1;
  for (const uint64_t side : array.sides) {
    if (side == 0)
      fail(array.path, fmt::format("the header gives the size {}; every side must be at least 1.",
                                   sides_text(array.sides)));
    if (side > most / count)
      fail(array.path, fmt::format("the header gives the size {}, but the file can hold at most {} "
                                   "values; it is cut short, or its header is damaged.",
                                   sides_text(array.sides), most));
    count *= side;
  }
  return count;
}

void read_values(ByteReader& reader, Array& array) {
  const uint64_t expected = checked_count(array, reader.most_bytes());
  array.values.resize(expected);
  const uint64_t got = reader.read(array.values.data(), array.values.size());
  if (got < expected)
    fail(array.path,
         fmt::format("the file is cut short: it ends at offset {}, the header's size {} needs {}.",
                     reader.offset(), sides_text(array.sides), array.header_bytes + expected));
  uint8_t more = 0;
  if (reader.read(&more, 1) > 0)
    fail(array.path, fmt::format("more bytes follow at offset {}, where the header's size {} ends.",
                                 array.header_bytes + expected, sides_text(array.sides)));
}

Array read_array(const std::string& path, uint32_t magic) {
  ByteReader reader(path);
  Array array;
  array.path = path;
  const uint32_t found = read_number(reader, path);
  if (found != magic)
    fail(path, fmt::format("offset 0: the magic number is {:#010x}; {} of unsigned bytes have "
                           "{:#010x}.",
                           found, magic == kLabelMagic ? "labels" : "images", magic));
  for (uint32_t i = 0; i < (magic & 0xff); ++i) array.sides.push_back(read_number(reader, path));
  array.header_bytes = reader.offset();
  read_values(reader, array);
  return array;
}

std::vector<int64_t> counts(const std::vector<uint8_t>& labels) {
  std::vector<int64_t> count;
  for (const uint8_t label : labels) {
    if (label >= count.size()) count.resize(label + size_t{1});
    ++count[label];
  }
  return count;
}

size_t offset_of(const Array& labels, uint8_t label) {
  const auto at = std::find(labels.values.begin(), labels.values.end(), label);
  return labels.header_bytes + static_cast<size_t>(at - labels.values.begin());
}

/// The format does not say how many classes there are: as many as training labels reach. A gap
/// below the last one means that this label is damaged (0 may be missing: EMNIST's letters start at
/// 1).
int64_t training_classes(const Array& labels) {
  const std::vector<int64_t> count = counts(labels.values);
  const auto last = static_cast<uint8_t>(count.size() - 1);
  for (size_t label = 1; label < count.size(); ++label)
    if (count[label] == 0)
      fail(labels.path, fmt::format("offset {}: label {} is out of range, for no image has label "
                                    "{}; labels must count up without a gap.",
                                    offset_of(labels, last), last, label));
  return static_cast<int64_t>(count.size());
}

void check_test_labels(const Array& labels, int64_t classes) {
  const int64_t most = *std::max_element(labels.values.begin(), labels.values.end());
  if (most >= classes)
    fail(labels.path,
         fmt::format("offset {}: label {} is out of range; the training labels end at {}.",
                     offset_of(labels, static_cast<uint8_t>(most)), most, classes - 1));
}

/// The number of classes; `labels` are those of `part`.
int64_t count_classes(const std::string& folder, Part part, const Array& labels) {
  if (part == Part::Train) return training_classes(labels);
  const auto train = find_file(folder, Part::Train, Kind::Labels);
  if (!train) return training_classes(labels);
  const int64_t classes = training_classes(read_array(*train, kLabelMagic));
  check_test_labels(labels, classes);
  return classes;
}

/// A data set known by its labels.
struct Known {
  std::vector<std::string> class_names;
  Defaults defaults;
};

Known fashion_mnist() {
  return {{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
           "Bag", "Ankle boot"},
          {.mean = {0.2860}, .deviation = {0.3530}, .flip = true, .shift = 2}};
}

Known mnist() {
  return {{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
          {.mean = {0.1307}, .deviation = {0.3081}, .shift = 2}};
}

std::optional<Known> recognise_labels(const std::vector<uint8_t>& labels) {
  // SHA-256 of the 60,000 and the 10,000 label bytes of Fashion-MNIST (Xiao et al. 2017).
  constexpr const char* kFashionTrain =
      "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7";
  constexpr const char* kFashionTest =
      "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9";
  // How often each digit occurs in MNIST (LeCun et al. 1998).
  const std::vector<int64_t> mnist_train = {5923, 6742, 5958, 6131, 5842,
                                            5421, 5918, 6265, 5851, 5949};
  const std::vector<int64_t> mnist_test = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
  const std::string digest = sha256({reinterpret_cast<const char*>(labels.data()), labels.size()});
  if (digest == kFashionTrain || digest == kFashionTest) return fashion_mnist();
  const std::vector<int64_t> count = counts(labels);
  if (count == mnist_train || count == mnist_test) return mnist();
  return {};
}

/// Like MNIST in what moves: 2 pixels in 28, less in smaller images.
int64_t usual_shift(int64_t height, int64_t width) {
  return std::min<int64_t>(2, std::min(height, width) / 14);
}

Pixels read_pixels(const std::string& folder, Part part, Array& labels) {
  Array images = read_array(needed_file(folder, part, Kind::Images), kImageMagic);
  if (images.sides[0] != labels.sides[0])
    fail(images.path, fmt::format("{} images, but {} has {} labels; these files do not belong "
                                  "together.",
                                  images.sides[0], labels.path, labels.sides[0]));
  Pixels pixels;
  pixels.name = folder;
  pixels.values = std::move(images.values);
  pixels.channels = 1;
  pixels.height = static_cast<int64_t>(images.sides[1]);
  pixels.width = static_cast<int64_t>(images.sides[2]);
  pixels.labels.assign(labels.values.begin(), labels.values.end());
  return pixels;
}

/// Of a set that is not known: mean and deviation of its training images.
void measure_defaults(const std::string& folder, Part part, Pixels& pixels) {
  if (part == Part::Test && find_file(folder, Part::Train, Kind::Images)) {
    pixels.defaults = open_idx(folder, Part::Train)->defaults();
    return;
  }
  measure(pixels);
  pixels.defaults.shift = usual_shift(pixels.height, pixels.width);
}

}  // namespace

bool looks_like_idx(const std::string& folder) {
  for (const Part part : {Part::Train, Part::Test})
    for (const Kind kind : {Kind::Images, Kind::Labels})
      if (find_file(folder, part, kind)) return true;
  return false;
}

std::unique_ptr<Dataset> open_idx(const std::string& folder, Part part) {
  Array labels = read_array(needed_file(folder, part, Kind::Labels), kLabelMagic);
  Pixels pixels = read_pixels(folder, part, labels);
  pixels.classes = count_classes(folder, part, labels);
  if (const auto known = recognise_labels(labels.values)) {
    pixels.class_names = known->class_names;
    pixels.defaults = known->defaults;
  } else {
    measure_defaults(folder, part, pixels);
  }
  return pixels_dataset(std::move(pixels));
}

}  // namespace instantnet::images
