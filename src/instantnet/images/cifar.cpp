#include <fmt/format.h>

#include <array>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/images/formats.h"
#include "instantnet/images/memory.h"
#include "instantnet/images/paths.h"

namespace instantnet::images {

namespace {

constexpr int64_t kSide = 32, kChannels = 3, kPlane = kSide * kSide, kImage = kChannels * kPlane;

/// What differs between the versions.
struct Layout {
  int64_t label_bytes;             // before each image
  int64_t label_at;                // which of them counts
  std::array<int64_t, 2> classes;  // of each label byte
  std::string subfolder;
  std::vector<std::string> train, test;
  std::string names_file;
};

Layout cifar10() {
  return {1,
          0,
          {10, 0},
          "cifar-10-batches-bin",
          {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
           "data_batch_5.bin"},
          {"test_batch.bin"},
          "batches.meta.txt"};
}

Layout cifar100(bool coarse) {
  return {2,
          coarse ? 0 : 1,
          {20, 100},
          "cifar-100-binary",
          {"train.bin"},
          {"test.bin"},
          coarse ? "coarse_label_names.txt" : "fine_label_names.txt"};
}

int64_t classes_of(const Layout& layout) { return layout.classes[layout.label_at]; }

bool has_file(const std::string& folder, const std::string& name) {
  return is_file(folder + "/" + name);
}

/// The folder itself, or the subfolder that the archive unpacks to.
std::string resolve_folder(const std::string& folder, const Layout& layout) {
  const std::string inner = folder + "/" + layout.subfolder;
  return !has_file(folder, layout.test[0]) && !has_file(folder, layout.train[0]) && is_folder(inner)
             ? inner
             : folder;
}

void check_length(const std::string& path, const std::string& bytes, int64_t record) {
  const auto size = static_cast<int64_t>(bytes.size());
  if (size == 0) fail(path, "the file is empty.");
  if (size % record != 0)
    fail(path, fmt::format("{} bytes are no whole number of records of {} bytes: the record at "
                           "offset {} has only {}; the file is cut short or has bytes too many.",
                           size, record, size - size % record, size % record));
}

/// Checks every label byte, the unused ones too.
void check_labels(const std::string& path, const std::string& bytes, const Layout& layout) {
  const int64_t record = layout.label_bytes + kImage;
  const auto size = static_cast<int64_t>(bytes.size());
  for (int64_t start = 0; start < size; start += record)
    for (int64_t i = 0; i < layout.label_bytes; ++i) {
      const int64_t label = static_cast<uint8_t>(bytes[start + i]);
      if (label >= layout.classes[i])
        fail(path, fmt::format("offset {}: label {} is out of range; labels are 0 to {}.",
                               start + i, label, layout.classes[i] - 1));
    }
}

/// Planes R, G, B of one image to interleaved pixels.
void interleave(const char* planes, uint8_t* to) {
  for (int64_t i = 0; i < kPlane; ++i)
    for (int64_t c = 0; c < kChannels; ++c)
      to[i * kChannels + c] = static_cast<uint8_t>(planes[c * kPlane + i]);
}

/// Appends the records of a file and returns how many.
int64_t read_records(const std::string& path, const Layout& layout, Pixels& to) {
  const std::string bytes = read_file(path);
  const int64_t record = layout.label_bytes + kImage;
  check_length(path, bytes, record);
  check_labels(path, bytes, layout);
  const int64_t count = static_cast<int64_t>(bytes.size()) / record;
  const size_t before = to.values.size();
  to.values.resize(before + static_cast<size_t>(count * kImage));
  for (int64_t i = 0; i < count; ++i) {
    const char* start = bytes.data() + i * record;
    to.labels.push_back(static_cast<uint8_t>(start[layout.label_at]));
    interleave(start + layout.label_bytes, to.values.data() + before + i * kImage);
  }
  return count;
}

/// The batches are of equal length, so a file cut short between two records shows.
void read_batches(const std::string& folder, const std::vector<std::string>& names,
                  const Layout& layout, Pixels& to) {
  int64_t first = 0;
  for (const std::string& name : names) {
    const int64_t count = read_records(folder + "/" + name, layout, to);
    if (first == 0) {
      first = count;
      to.values.reserve(names.size() * static_cast<size_t>(count * kImage));
    }
    if (count != first)
      fail(folder + "/" + name, fmt::format("{} images where {} has {}; all batches have equally "
                                            "many, so one of the two is cut short.",
                                            count, names[0], first));
  }
}

std::vector<std::string> lines_of(const std::string& path) {
  const std::string text = read_file(path, 1 << 20);
  std::vector<std::string> lines;
  std::string line;
  for (const char c : text + "\n") {
    if (c != '\n' && c != '\r') line += c;
    if (c == '\n' && !line.empty()) lines.push_back(std::exchange(line, {}));
  }
  return lines;
}

std::vector<std::string> read_names(const std::string& folder, const Layout& layout) {
  if (!has_file(folder, layout.names_file)) return {};
  const std::string path = folder + "/" + layout.names_file;
  std::vector<std::string> names = lines_of(path);
  if (static_cast<int64_t>(names.size()) != classes_of(layout))
    fail(path, fmt::format("{} names of classes; there are {} classes, one name a line.",
                           names.size(), classes_of(layout)));
  return names;
}

std::unique_ptr<Dataset> open(const std::string& given, Part part, const Layout& layout,
                              Defaults defaults, std::vector<std::string> usual_names) {
  const std::string folder = resolve_folder(given, layout);
  Pixels pixels;
  pixels.name = folder;
  pixels.channels = kChannels;
  pixels.height = pixels.width = kSide;
  pixels.classes = classes_of(layout);
  pixels.defaults = std::move(defaults);
  pixels.class_names = read_names(folder, layout);
  if (pixels.class_names.empty()) pixels.class_names = std::move(usual_names);
  read_batches(folder, part == Part::Train ? layout.train : layout.test, layout, pixels);
  return pixels_dataset(std::move(pixels));
}

bool looks_like(const std::string& given, const Layout& layout) {
  const std::string folder = resolve_folder(given, layout);
  return has_file(folder, layout.train[0]) || has_file(folder, layout.test[0]);
}

}  // namespace

bool looks_like_cifar10(const std::string& folder) { return looks_like(folder, cifar10()); }

bool looks_like_cifar100(const std::string& folder) { return looks_like(folder, cifar100(false)); }

std::unique_ptr<Dataset> open_cifar10(const std::string& folder, Part part) {
  return open(
      folder, part, cifar10(),
      {.mean = {0.4914, 0.4822, 0.4465},
       .deviation = {0.2470, 0.2435, 0.2616},
       .crop_padding = 4,
       .flip = true},
      {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"});
}

std::unique_ptr<Dataset> open_cifar100(const std::string& folder, Part part, bool coarse) {
  return open(folder, part, cifar100(coarse),
              {.mean = {0.5071, 0.4865, 0.4409},
               .deviation = {0.2673, 0.2564, 0.2762},
               .crop_padding = 4,
               .flip = true},
              {});
}

}  // namespace instantnet::images
