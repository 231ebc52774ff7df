#include "instantnet/cli/torch/trained.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "instantnet/cli/paths.h"
#include "instantnet/core/config.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/tree.h"
#include "instantnet/data/order.h"

namespace instantnet::cli {
namespace {

namespace fs = std::filesystem;

bool is_checkpoint(const std::string& folder) {
  std::error_code ignored;
  return fs::exists(folder + "/digests.txt", ignored);
}

/// As the run had it, from another place when one is given.
data::DataOptions data_options(const train::Checkpoint& checkpoint, const std::string& path,
                               const std::string& where) {
  data::DataOptions options;
  const Tree* given = checkpoint.run_options.find("data");
  if (given != nullptr) read_fields(data::fields(options), *given);
  if (given == nullptr && path.empty())
    fail(where, "does not say which data it was trained on; give --data PATH.");
  if (path.empty()) return options;
  options.path = path;
  options.format = "auto";
  return options;
}

void check_data(const data::Source& source, const NetworkSpec& spec, const std::string& path) {
  if (source.classes() != spec.classes)
    fail(path, fmt::format("has {} classes, but the network '{}' tells {} apart; give the data it "
                           "was trained for.",
                           source.classes(), spec.name, spec.classes));
  const std::vector<int64_t> needed = {spec.channels, spec.height, spec.width};
  if (source.shape() != needed)
    fail(path, fmt::format("has images of {}, but the network '{}' takes {}; give the data it was "
                           "trained for.",
                           fmt::join(source.shape(), "x"), spec.name, fmt::join(needed, "x")));
}

/// Those images of the source's data set, not augmented.
PlainImages chosen(const data::Source& source, images::Part part, std::vector<int64_t> indices) {
  data::DataOptions options = source.options();
  options.augment = "none";
  options.crop_padding = options.shift = 0;
  options.flip = options.random_resized_crop = false;
  options.limit = 0;
  options.validation = 0;
  PlainImages plain;
  plain.dataset = images::open_dataset({options.path, options.format}, part);
  plain.source = std::make_shared<data::Source>(plain.dataset, std::move(indices), options);
  return plain;
}

PlainImages first_of(const data::Source& source, images::Part part, int64_t limit) {
  std::vector<int64_t> indices = source.indices();
  if (limit > 0 && limit < static_cast<int64_t>(indices.size()))
    indices.resize(static_cast<size_t>(limit));
  return chosen(source, part, std::move(indices));
}

runtime::Normalisation normalisation_of(const data::Source& source) {
  const data::DataOptions& options = source.options();
  return {{options.mean.begin(), options.mean.end()},
          {options.deviation.begin(), options.deviation.end()}};
}

freeze::Images images_of(std::shared_ptr<data::Source> source) {
  return [source](const std::function<void(const at::Tensor&)>& take) {
    data::Order order;
    order.shuffle = order.augment = false;
    source->for_each(order, 0, [&](data::Batch& batch) {
      take(batch.images);
      return true;
    });
  };
}

}  // namespace

std::string checkpoint_folder(const std::string& given) {
  const std::string folder = plain_path(given);
  if (is_checkpoint(folder)) return folder;
  std::error_code ignored;
  if (fs::is_directory(folder, ignored))
    for (const char* name : {"/best", "/last"}) {
      recover_folder(folder + name);
      if (is_checkpoint(folder + name)) return folder + name;
    }
  return folder;  // loading says what is wrong with it
}

uint64_t seed_of(const train::Checkpoint& checkpoint) {
  const Tree* seed = checkpoint.run_options.find("seed");
  return seed == nullptr ? 1 : seed->as_uint();
}

data::Sources open_data(const train::Checkpoint& checkpoint, const std::string& path,
                        const std::string& where) {
  const data::DataOptions options = data_options(checkpoint, path, where);
  data::Sources sources = data::open_sources(options, seed_of(checkpoint));
  check_data(*sources.test, checkpoint.spec, options.path);
  return sources;
}

PlainImages plain_images(const data::Sources& sources, const std::string& part, int64_t limit) {
  if (part == "test") return first_of(*sources.test, images::Part::Test, limit);
  if (part == "train") return first_of(*sources.train, images::Part::Train, limit);
  if (part != "validation")
    fail("--part",
         fmt::format("'{}' is unknown{}", part, suggestion(part, {"test", "train", "validation"})));
  if (!sources.validation)
    fail("--part",
         "the run kept no validation images aside (data.validation is 0); give test or train.");
  return first_of(*sources.validation, images::Part::Train, limit);
}

freeze::Frozen freeze_checkpoint(const train::Checkpoint& checkpoint,
                                 const nn::SwitchableModel& model, const data::Sources& sources,
                                 int64_t calibrate, const freeze::FreezeOptions& options) {
  std::vector<int64_t> indices = sources.train->indices();
  if (calibrate < static_cast<int64_t>(indices.size()))
    indices = data::subset(std::move(indices), calibrate, seed_of(checkpoint));
  const PlainImages training = chosen(*sources.train, images::Part::Train, std::move(indices));
  freeze::FreezeOptions complete = options;
  complete.classes = training.dataset->class_names();
  return freeze::freeze(model, normalisation_of(*sources.train), complete,
                        images_of(training.source));
}

}  // namespace instantnet::cli
