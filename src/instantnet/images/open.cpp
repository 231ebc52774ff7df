// Which format a path holds, and opening it.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "instantnet/core/error.h"
#include "instantnet/images/dataset.h"
#include "instantnet/images/formats.h"
#include "instantnet/images/memory.h"
#include "instantnet/images/paths.h"

namespace instantnet::images {

namespace {

struct Layout {
  const char* format;
  bool (*looks_like)(const std::string& folder);
  const char* files;
};

constexpr Layout kLayouts[] = {
    {"idx", looks_like_idx, "train-images-idx3-ubyte[.gz] (MNIST, Fashion-MNIST)"},
    {"cifar10", looks_like_cifar10, "data_batch_1.bin to data_batch_5.bin, test_batch.bin"},
    {"cifar100", looks_like_cifar100, "train.bin, test.bin"},
    {"folder", looks_like_folder, "train/CLASS/*.jpg with val/ or test/"},
};

std::string layouts_text() {
  std::vector<std::string> texts;
  for (const Layout& layout : kLayouts)
    texts.push_back(fmt::format("{}: {}", layout.format, layout.files));
  return fmt::format("{}", fmt::join(texts, "; "));
}

/// The folder that a path means: a file stands for the folder it lies in.
std::string folder_of(const std::string& path) {
  if (path.empty()) fail("data.path", "is empty; give the folder of a data set.");
  if (is_folder(path)) return path;
  if (!is_file(path)) fail(path, "there is no such file or folder.");
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

void check_format(const std::string& format) {
  const std::vector<std::string> known = format_names();
  if (std::find(known.begin(), known.end(), format) == known.end())
    fail("data.format",
         fmt::format("there is no format '{}'{}", format, suggestion(format, known)));
}

std::string recognise_folder(const std::string& folder) {
  std::vector<std::string> found;
  for (const Layout& layout : kLayouts)
    if (layout.looks_like(folder)) found.push_back(layout.format);
  if (found.empty()) fail(folder, fmt::format("no known data set; known are {}.", layouts_text()));
  if (found.size() > 1)
    fail(folder, fmt::format("holds files of more than one data set ({}); choose with "
                             "data.format.",
                             fmt::join(found, ", ")));
  return found[0];
}

/// The description of a generated set, from either option; empty when none is meant.
std::string synthetic_text(const OpenOptions& options) {
  if (is_synthetic(options.format)) return options.format;
  return is_synthetic(options.path) ? options.path : std::string();
}

}  // namespace

std::vector<std::string> format_names() {
  return {"auto", "idx", "cifar10", "cifar100", "cifar100-coarse", "folder"};
}

std::string recognise(const OpenOptions& options) {
  if (!synthetic_text(options).empty()) return "synthetic";
  check_format(options.format);
  const std::string folder = folder_of(options.path);
  return options.format == "auto" ? recognise_folder(folder) : options.format;
}

std::unique_ptr<Dataset> open_dataset(const OpenOptions& options, Part part) {
  const std::string format = recognise(options);
  if (format == "synthetic") return open_synthetic(synthetic_text(options), part);
  const std::string folder = folder_of(options.path);
  if (format == "idx") return open_idx(folder, part);
  if (format == "cifar10") return open_cifar10(folder, part);
  if (format == "cifar100") return open_cifar100(folder, part, false);
  if (format == "cifar100-coarse") return open_cifar100(folder, part, true);
  return open_folder(folder, part);
}

}  // namespace instantnet::images
