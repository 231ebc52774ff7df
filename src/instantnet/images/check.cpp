// Reads every image once and counts.
#include <algorithm>
#include <memory>

#include "instantnet/images/dataset.h"
#include "instantnet/images/statistics.h"

namespace instantnet::images {

namespace {

void count_image(const Image& image, int64_t label, CheckReport::PartReport& report) {
  if (report.images == 0) {
    report.least_height = report.most_height = image.height;
    report.least_width = report.most_width = image.width;
    report.channels = image.channels;
  }
  ++report.images;
  ++report.per_class[label];
  report.least_height = std::min(report.least_height, image.height);
  report.most_height = std::max(report.most_height, image.height);
  report.least_width = std::min(report.least_width, image.width);
  report.most_width = std::max(report.most_width, image.width);
  report.grey += image.grey ? 1 : 0;
}

CheckReport::PartReport check_part(const Dataset& dataset, const std::string& name,
                                   const std::function<void(int64_t)>& progress) {
  CheckReport::PartReport report;
  report.name = name;
  report.per_class.resize(static_cast<size_t>(dataset.classes()));
  ChannelSums sums(dataset.image_shape()[0]);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const Image image = dataset.image(i);
    count_image(image, dataset.label(i), report);
    sums.add(image.pixels);
    progress(i + 1);
  }
  report.mean = sums.mean();
  report.deviation = sums.deviation();
  return report;
}

}  // namespace

CheckReport check_dataset(const OpenOptions& options,
                          const std::function<void(int64_t done, int64_t total)>& progress) {
  CheckReport report;
  report.format = recognise(options);
  const std::unique_ptr<Dataset> train = open_dataset(options, Part::Train);
  const std::unique_ptr<Dataset> test = open_dataset(options, Part::Test);
  report.classes = train->classes();
  report.class_names = train->class_names();
  const int64_t total = train->size() + test->size();
  int64_t before = 0;
  const auto tell = [&](int64_t done) {
    if (progress) progress(before + done, total);
  };
  report.parts.push_back(check_part(*train, "train", tell));
  before = train->size();
  report.parts.push_back(check_part(*test, "test", tell));
  return report;
}

}  // namespace instantnet::images
