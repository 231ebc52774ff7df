#include "instantnet/net/zoo.h"

#include <fmt/format.h>

#include <functional>

#include "instantnet/core/error.h"
#include "instantnet/net/families.h"

namespace instantnet {
namespace {

struct Known {
  ZooEntry entry;
  std::function<NetworkSpec(const ZooOptions&)> build;  // of complete options
};

Known small(const std::string& name, int64_t blocks, const std::string& description) {
  return {{name, description, 3, 32, 32, 10},
          [=](const ZooOptions& options) { return small_resnet(name, blocks, 1, options); }};
}

Known large(const std::string& name, NetworkSpec (*build)(const ZooOptions&),
            const std::string& description) {
  return {{name, description, 3, 224, 224, 1000}, build};
}

Known space(const std::string& op) {
  return {{"space:" + op, "InstantNet's search space, all cells alike (Fu et al., DAC 2021)", 3, 32,
           32, 100},
          [=](const ZooOptions& options) { return space_of(op, options); }};
}

std::vector<Known> make_table() {
  const std::string small_paper = "ResNet for small images (He et al., CVPR 2016), 1x1 shortcuts";
  std::vector<Known> table = {
      small("resnet8", 1, small_paper),
      {{"resnet8-s2", "resnet8 with a stride-2 stem, for grey 28x28 images in little time", 1, 28,
        28, 10},
       [](const ZooOptions& options) { return small_resnet("resnet8-s2", 1, 2, options); }},
      small("resnet20", 3, small_paper),
      small("resnet38", 6, small_paper),
      small("resnet74", 12, small_paper),
      large("resnet18", resnet18, "ResNet-18 (He et al., CVPR 2016)"),
      large("resnet50", resnet50,
            "ResNet-50 (He et al., CVPR 2016), stride in the 3x3 convolutions (v1.5)"),
      large("mobilenetv2", mobilenetv2, "MobileNetV2 at width 1 (Sandler et al., CVPR 2018)"),
      {{"mobilenetv2-cifar",
        "MobileNetV2 with strides for 32x32 images (Sandler et al., CVPR 2018)", 3, 32, 32, 100},
       mobilenetv2_cifar},
      {{"mobilenetv2-s2", "a small MobileNetV2 with a stride-2 stem, for grey 28x28 images", 1, 28,
        28, 10},
       mobilenetv2_s2},
      large("alexnet", alexnet, "AlexNet in one tower (Krizhevsky, arXiv:1404.5997)"),
      large("vgg16", vgg16, "VGG16 without batch norm (Simonyan and Zisserman, ICLR 2015)"),
  };
  for (const std::string& op : space_operators()) table.push_back(space(op));
  return table;
}

const std::vector<Known>& table() {
  static const std::vector<Known> known = make_table();
  return known;
}

const Known& find(const std::string& name) {
  std::vector<std::string> names;
  for (const Known& known : table()) {
    if (known.entry.name == name) return known;
    names.push_back(known.entry.name);
  }
  fail("zoo", fmt::format("there is no network '{}'{}", name, suggestion(name, names)));
}

/// `value`, or the entry's own when it is 0. Error when negative.
int64_t chosen(std::string_view what, int64_t value, int64_t own) {
  if (value < 0)
    fail("zoo",
         fmt::format("{} is {}; give 1 or more, or 0 for the network's own {}.", what, value, own));
  return value == 0 ? own : value;
}

ZooOptions complete(const ZooOptions& options, const ZooEntry& entry) {
  ZooOptions result = options;
  result.classes = chosen("classes", options.classes, entry.classes);
  result.channels = chosen("channels", options.channels, entry.channels);
  result.height = chosen("height", options.height, entry.height);
  result.width = chosen("width", options.width, entry.width);
  return result;
}

}  // namespace

const std::vector<ZooEntry>& zoo() {
  static const std::vector<ZooEntry> entries = [] {
    std::vector<ZooEntry> result;
    for (const Known& known : table()) result.push_back(known.entry);
    return result;
  }();
  return entries;
}

NetworkSpec zoo_network(const std::string& name, const ZooOptions& options) {
  const Known& known = find(name);
  return known.build(complete(options, known.entry));
}

}  // namespace instantnet
