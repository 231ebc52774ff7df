// Folders of image files: one folder a class, or Tiny-ImageNet's own layout.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/images/formats.h"
#include "instantnet/images/image_file.h"
#include "instantnet/images/paths.h"

namespace instantnet::images {

namespace {

constexpr uint64_t kMostListBytes = uint64_t{1} << 28;
constexpr const char* kAnnotations = "val_annotations.txt";

/// Sides up to this count as small images: padded and cropped, not cut out at random.
constexpr int64_t kSmallSide = 96;

struct Entry {
  std::string path;
  int64_t label = 0;
};

/// Sorted names of what lies in a folder, without hidden ones.
std::vector<std::string> names_in(const std::string& folder, bool folders) {
  std::vector<std::string> names;
  try {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with('.') && entry.is_directory() == folders) names.push_back(name);
    }
  } catch (const std::filesystem::filesystem_error& error) {
    fail(folder, fmt::format("the folder cannot be read ({}).", error.code().message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> class_folders(const std::string& folder) {
  const std::string train = folder + "/train";
  if (!is_folder(train)) fail(folder, "there is no folder train/ with one folder a class.");
  std::vector<std::string> names = names_in(train, true);
  if (names.empty()) fail(train, "there are no class folders; give each class a folder.");
  return names;
}

std::string test_folder(const std::string& folder) {
  for (const char* name : {"/val", "/test"})
    if (is_folder(folder + name)) return folder + name;
  fail(folder, "there is no folder val/ or test/ beside train/.");
}

using Labels = std::unordered_map<std::string, int64_t>;

Labels labels_of(const std::vector<std::string>& classes) {
  Labels labels;
  for (size_t i = 0; i < classes.size(); ++i) labels[classes[i]] = static_cast<int64_t>(i);
  return labels;
}

/// The images of one class, in the folder itself or in its subfolder images/.
void add_class(const std::string& given, int64_t label, std::vector<Entry>& to) {
  const std::string folder = is_folder(given + "/images") ? given + "/images" : given;
  const std::vector<std::string> names = names_in(folder, false);
  const size_t before = to.size();
  for (const std::string& name : names)
    if (has_image_ending(name)) to.push_back({folder + "/" + name, label});
  if (to.size() == before)
    fail(folder, fmt::format("the class has no images: {} files, none of which ends in .jpg, .jpeg "
                             "or .png{}.",
                             names.size(), names.empty() ? "" : " (such as " + names[0] + ")"));
}

std::vector<Entry> training_images(const std::string& folder,
                                   const std::vector<std::string>& classes) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < classes.size(); ++i)
    add_class(folder + "/train/" + classes[i], static_cast<int64_t>(i), entries);
  return entries;
}

int64_t label_of(const Labels& labels, const std::string& name, const std::string& where) {
  const auto found = labels.find(name);
  if (found == labels.end())
    fail(where,
         fmt::format("class '{}' is not one of the {} folders in train/.", name, labels.size()));
  return found->second;
}

std::vector<Entry> test_images_by_class(const std::string& folder, const Labels& labels) {
  std::vector<Entry> entries;
  const std::vector<std::string> classes = names_in(folder, true);
  if (classes.empty()) fail(folder, "there are no class folders; give each class a folder.");
  for (const std::string& name : classes)
    add_class(folder + "/" + name, label_of(labels, name, folder + "/" + name), entries);
  return entries;
}

/// Calls `take(columns, where)` for each line that is not empty.
template <class Take>
void for_each_line(const std::string& path, const Take& take) {
  std::istringstream text(read_file(path, kMostListBytes));
  std::string line;
  for (int64_t number = 1; std::getline(text, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    const size_t tab = line.find('\t');
    const std::string where = fmt::format("{}:{}", path, number);
    if (tab == std::string::npos || tab == 0)
      fail(where, fmt::format("'{}' has no two columns divided by a tab.", line));
    take(line.substr(0, tab), line.substr(tab + 1), where);
  }
}

/// val_annotations.txt: file name, class, and a box that does not matter here.
std::map<std::string, int64_t> read_annotations(const std::string& path, const Labels& labels) {
  std::map<std::string, int64_t> annotated;
  for_each_line(path,
                [&](const std::string& file, const std::string& rest, const std::string& where) {
                  const int64_t label = label_of(labels, rest.substr(0, rest.find('\t')), where);
                  if (!annotated.emplace(file, label).second)
                    fail(where, fmt::format("{} is listed twice.", file));
                });
  return annotated;
}

std::vector<Entry> test_images_by_list(const std::string& folder, const Labels& labels) {
  const std::string list = fmt::format("{}/{}", folder, kAnnotations);
  const std::map<std::string, int64_t> annotated = read_annotations(list, labels);
  std::vector<Entry> entries;
  for (const std::string& name : names_in(folder + "/images", false)) {
    if (!has_image_ending(name)) continue;
    const auto found = annotated.find(name);
    if (found == annotated.end()) fail(list, fmt::format("there is no line for images/{}.", name));
    entries.push_back({folder + "/images/" + name, found->second});
  }
  if (entries.size() != annotated.size())
    fail(list, fmt::format("lists {} images, but images/ has {} of them.", annotated.size(),
                           entries.size()));
  if (entries.empty()) fail(list, "lists no images.");
  return entries;
}

std::vector<Entry> test_images(const std::string& folder, const std::vector<std::string>& classes) {
  const std::string part = test_folder(folder);
  const bool listed = is_file(fmt::format("{}/{}", part, kAnnotations));
  return listed && is_folder(part + "/images") ? test_images_by_list(part, labels_of(classes))
                                               : test_images_by_class(part, labels_of(classes));
}

/// Folder names, or what words.txt calls them.
std::vector<std::string> names_of_classes(const std::string& folder,
                                          std::vector<std::string> classes) {
  const std::string path = folder + "/words.txt";
  if (!is_file(path)) return classes;
  const Labels labels = labels_of(classes);
  for_each_line(path, [&](const std::string& name, const std::string& words, const std::string&) {
    if (const auto found = labels.find(name); found != labels.end()) classes[found->second] = words;
  });
  return classes;
}

std::string size_text(const StoredShape& shape) {
  return fmt::format("{}x{}", shape.height, shape.width);
}

class FolderDataset : public Dataset {
 public:
  FolderDataset(std::string folder, std::vector<Entry> entries, std::vector<std::string> classes)
      : folder_(std::move(folder)), entries_(std::move(entries)), classes_(std::move(classes)) {
    compare_sizes();
  }

  int64_t size() const override { return static_cast<int64_t>(entries_.size()); }
  int64_t classes() const override { return static_cast<int64_t>(classes_.size()); }
  std::vector<std::string> class_names() const override { return classes_; }
  int64_t label(int64_t index) const override { return entries_.at(index).label; }
  Image image(int64_t index) const override { return decode_image(entries_.at(index).path); }
  std::vector<int64_t> image_shape() const override {
    if (!differing_.empty()) return {3, 0, 0};
    return {3, first_.height, first_.width};
  }
  std::string name() const override { return folder_; }
  std::string differing_sizes() const override { return differing_; }

  Defaults defaults() const override {
    Defaults usual{.mean = {0.485, 0.456, 0.406}, .deviation = {0.229, 0.224, 0.225}, .flip = true};
    const int64_t side = std::max(first_.height, first_.width);
    if (differing_.empty() && side <= kSmallSide) {
      usual.crop_padding = side / 8;
    } else {
      usual.random_resized_crop = true;
      usual.centre_crop = true;
    }
    return usual;
  }

 private:
  /// Looks at headers until one differs: soon in sets of photographs, never in sets of small
  /// images.
  void compare_sizes() {
    first_ = stored_shape(entries_[0].path);
    for (const Entry& entry : entries_) {
      const StoredShape shape = stored_shape(entry.path);
      if (shape.height == first_.height && shape.width == first_.width) continue;
      differing_ = fmt::format("{} is {} where {} is {}", entry.path, size_text(shape),
                               entries_[0].path, size_text(first_));
      return;
    }
  }

  std::string folder_;
  std::vector<Entry> entries_;
  std::vector<std::string> classes_;
  StoredShape first_;
  std::string differing_;
};

}  // namespace

bool looks_like_folder(const std::string& folder) {
  return is_folder(folder + "/train") &&
         (is_folder(folder + "/val") || is_folder(folder + "/test"));
}

std::unique_ptr<Dataset> open_folder(const std::string& folder, Part part) {
  std::vector<std::string> classes = class_folders(folder);
  std::vector<Entry> entries =
      part == Part::Train ? training_images(folder, classes) : test_images(folder, classes);
  return std::make_unique<FolderDataset>(folder, std::move(entries),
                                         names_of_classes(folder, std::move(classes)));
}

}  // namespace instantnet::images
