#include "instantnet/net/zoo.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "net/expect_error.h"

namespace instantnet {
namespace {

using testing::HasSubstr;

/// Multiply-accumulates and weights in convolutions alone.
struct ConvCosts {
  int64_t macs = 0, weights = 0;
};

ConvCosts conv_costs(const NetworkSpec& spec) {
  std::set<std::string> convs;
  for (const Node& node : spec.nodes)
    if (node.op == Op::Conv) convs.insert(node.name);
  ConvCosts costs;
  for (const NamedLayer& layer : layers(spec)) {
    if (!convs.contains(layer.name)) continue;
    costs.macs += layer.shape.macs();
    costs.weights += layer.shape.weights();
  }
  return costs;
}

const Node& node_of(const NetworkSpec& spec, const std::string& name) {
  for (const Node& node : spec.nodes)
    if (node.name == name) return node;
  throw std::runtime_error("no node " + name);
}

bool has_node(const NetworkSpec& spec, const std::string& name) {
  return std::any_of(spec.nodes.begin(), spec.nodes.end(),
                     [&](const Node& node) { return node.name == name; });
}

std::string node_names(const NetworkSpec& spec) {
  std::string names;
  for (const Node& node : spec.nodes) names += node.name + " ";
  return names;
}

/// What a paper or torchvision's documentation prints, in millions; half a unit of the last digit
/// is the tolerance.
struct Published {
  const char* name;
  double macs, macs_tolerance, parameters, parameters_tolerance;
};

class PublishedCosts : public testing::TestWithParam<Published> {};

TEST_P(PublishedCosts, AreMatched) {
  const NetworkSpec spec = zoo_network(GetParam().name);
  EXPECT_NEAR(count_macs(spec) / 1e6, GetParam().macs, GetParam().macs_tolerance);
  EXPECT_NEAR(count_parameters(spec) / 1e6, GetParam().parameters, GetParam().parameters_tolerance);
}

// ResNet-20: He et al., table 6 (0.27 M); the others: torchvision's tables of models and the
// papers.
INSTANTIATE_TEST_SUITE_P(Zoo, PublishedCosts,
                         testing::Values(Published{"resnet20", 40.8, 0.05, 0.27, 0.005},
                                         Published{"resnet18", 1814, 0.5, 11.69, 0.005},
                                         Published{"resnet50", 4090, 5, 25.56, 0.005},
                                         Published{"mobilenetv2", 300, 1, 3.50, 0.005},
                                         Published{"alexnet", 714, 0.5, 61.10, 0.005},
                                         Published{"vgg16", 15470, 5, 138.36, 0.005}),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Zoo, HasTheParametersOfTorchvisionToTheLastOne) {
  EXPECT_EQ(count_parameters(zoo_network("resnet18")), 11689512);
  EXPECT_EQ(count_parameters(zoo_network("resnet50")), 25557032);
  EXPECT_EQ(count_parameters(zoo_network("mobilenetv2")), 3504872);
  EXPECT_EQ(count_parameters(zoo_network("alexnet")), 61100840);
  EXPECT_EQ(count_parameters(zoo_network("vgg16")), 138357544);
}

TEST(Zoo, HasResNet20WithOneByOneShortcuts) {
  const ConvCosts costs = conv_costs(zoo_network("resnet20"));
  EXPECT_NEAR(costs.macs / 1e6, 40.8, 0.05);
  EXPECT_NEAR(costs.weights / 1e3, 270, 0.5);
}

TEST(Zoo, HasMobileNetV2For32x32AtItsUsualCost) {
  const ConvCosts costs = conv_costs(zoo_network("mobilenetv2-cifar"));
  EXPECT_NEAR(costs.macs / 1e6, 88.0, 0.05);
  EXPECT_NEAR(costs.weights / 1e6, 2.19, 0.005);
  EXPECT_NEAR(conv_costs(zoo_network("mobilenetv2")).macs / 1e6, 299.5, 0.05);
}

/// A ResNet of 6n + 2 layers for 32x32, counted by hand: each stage has 2n 3x3 convolutions of
/// equal cost, of which the first of a later stage has half of the input channels, and two
/// shortcuts.
TEST(Zoo, HasSmallResNetsOfTheRightDepth) {
  const std::vector<std::pair<std::string, int64_t>> cases = {
      {"resnet8", 1}, {"resnet20", 3}, {"resnet38", 6}, {"resnet74", 12}};
  for (const auto& [name, n] : cases) {
    const int64_t one = 9 * 16 * 16 * 32 * 32;  // the same in every stage
    const int64_t shortcuts = 2 * (16 * 32 * 16 * 16);
    const int64_t stem = 27 * 16 * 32 * 32;
    const NetworkSpec spec = zoo_network(name);
    EXPECT_EQ(conv_costs(spec).macs, stem + 6 * n * one - 2 * (one / 2) + shortcuts) << name;
    const int64_t weighted =
        static_cast<int64_t>(layers(spec).size()) - 2;  // shortcuts do not count
    EXPECT_EQ("resnet" + std::to_string(weighted), name);
  }
}

/// He et al., table 6: 0.46 M parameters at 32 layers and 0.66 M at 44; each 6 layers add the same.
TEST(Zoo, HasSmallResNetsOnThePublishedLine) {
  EXPECT_NEAR(count_parameters(zoo_network("resnet38")) / 1e6, (0.46 + 0.66) / 2, 0.008);
  EXPECT_NEAR(count_parameters(zoo_network("resnet74")) / 1e6, 0.85 + 3 * (0.85 - 0.27) / 6, 0.012);
}

TEST(Zoo, HasAMobileNetV2ThatCostsAsMuchAsTheQuickResNet8) {
  const NetworkSpec spec = zoo_network("mobilenetv2-s2");
  EXPECT_EQ(spec.channels, 1);
  EXPECT_NEAR(count_macs(spec) / count_macs(zoo_network("resnet8-s2")), 1, 0.1);
}

TEST(Zoo, HasAResNet8ThatIsQuickOnGreyImages) {
  const NetworkSpec spec = zoo_network("resnet8-s2");
  EXPECT_EQ(spec.channels, 1);
  EXPECT_EQ(spec.height, 28);
  EXPECT_NEAR(count_macs(spec) / 1e6, 2.55, 0.05);
  ZooOptions colour;
  colour.channels = 3;
  colour.height = colour.width = 32;
  EXPECT_LT(count_macs(zoo_network("resnet8-s2", colour)), 3.3e6);
}

TEST(Zoo, NamesTheLayersOfAResidualBlock) {
  EXPECT_EQ(
      node_names(zoo_network("resnet8")),
      "stem stage1.block0.conv1 stage1.block0.conv2 stage1.block0.add "
      "stage2.block0.conv1 stage2.block0.conv2 stage2.block0.shortcut stage2.block0.add "
      "stage3.block0.conv1 stage3.block0.conv2 stage3.block0.shortcut stage3.block0.add pool fc ");
}

TEST(Zoo, PutsTheReluOfAResidualBlockBehindTheSum) {
  const NetworkSpec spec = zoo_network("resnet8");
  EXPECT_EQ(node_of(spec, "stage2.block0.conv2").activation, Activation::None);
  EXPECT_EQ(node_of(spec, "stage2.block0.shortcut").activation, Activation::None);
  EXPECT_EQ(node_of(spec, "stage2.block0.add").activation, Activation::Relu);
  EXPECT_EQ(node_of(spec, "stage2.block0.add").inputs,
            (std::vector<std::string>{"stage2.block0.conv2", "stage2.block0.shortcut"}));
  EXPECT_EQ(node_of(spec, "stage1.block0.add").inputs,
            (std::vector<std::string>{"stage1.block0.conv2", "stem"}));
}

TEST(Zoo, KeepsOnlyTheFirstConvolutionAndTheClassifierAtAFixedWidth) {
  for (const ZooEntry& entry : zoo()) {
    const NetworkSpec spec = zoo_network(entry.name);
    const std::vector<NamedLayer> all = layers(spec);
    for (size_t i = 0; i < all.size(); ++i) {
      const bool fixed = i == 0 || i + 1 == all.size() ||
                         (entry.name.starts_with("space:") && all[i].name == "header");
      EXPECT_EQ(all[i].bits, fixed ? 32 : 0) << entry.name << " " << all[i].name;
    }
  }
}

TEST(Zoo, TakesOtherWidthsForFirstAndLastLayer) {
  ZooOptions options;
  options.first_bits = 8;
  options.last_bits = 0;
  for (const ZooEntry& entry : zoo()) {
    const std::vector<NamedLayer> all = layers(zoo_network(entry.name, options));
    EXPECT_EQ(all.front().bits, 8) << entry.name;
    EXPECT_EQ(all.back().bits, 0) << entry.name;
  }
  options.first_bits = 20;
  EXPECT_THAT(error_of([&] { zoo_network("resnet8", options); }),
              HasSubstr("layer 'stem': bits is 20; give 1..16"));
}

TEST(Zoo, BuildsEveryEntryForOtherImagesAndClasses) {
  ZooOptions options;
  options.classes = 7;
  options.channels = 1;
  options.height = 64;
  options.width = 96;
  for (const ZooEntry& entry : zoo()) {
    const NetworkSpec spec = zoo_network(entry.name, options);
    EXPECT_EQ(spec.name, entry.name);
    EXPECT_EQ(spec.width, 96) << entry.name;
    EXPECT_EQ(infer_shapes(spec).back(), (TensorShape{7, 1, 1, true})) << entry.name;
  }
}

TEST(Zoo, SaysWhichImagesAreTooSmall) {
  ZooOptions options;
  options.height = options.width = 28;
  EXPECT_EQ(error_of([&] { zoo_network("vgg16", options); }),
            "zoo: vgg16 cannot take images of 28 x 28: its pooling would leave nothing; give at "
            "least 32 x 32.");
  EXPECT_THAT(error_of([&] { zoo_network("alexnet", options); }),
              HasSubstr("give at least 63 x 63."));
}

TEST(Zoo, TakesTheSmallestImagesItNames) {
  ZooOptions options;
  options.height = options.width = 32;
  EXPECT_NO_THROW(zoo_network("vgg16", options));
  options.height = options.width = 63;
  EXPECT_NO_THROW(zoo_network("alexnet", options));
}

TEST(Zoo, SaysThatSizesAreNotNegative) {
  ZooOptions options;
  options.classes = -1;
  EXPECT_EQ(error_of([&] { zoo_network("resnet8", options); }),
            "zoo: classes is -1; give 1 or more, or 0 for the network's own 10.");
}

TEST(Zoo, NamesTheNearestNetwork) {
  EXPECT_EQ(error_of([] { zoo_network("resnet21"); }),
            "zoo: there is no network 'resnet21', did you mean 'resnet20'?");
  EXPECT_EQ(error_of([] {
              zoo_network("space:k3_e4");
            }).find("zoo: there is no network 'space:k3_e4', did you mean"),
            0u);
}

TEST(Zoo, HasNoNameTwice) {
  std::set<std::string> names;
  for (const ZooEntry& entry : zoo()) EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
  EXPECT_EQ(names.size(), 21u);
}

/// Behaviour of the authors' code: multiply-accumulates in convolutions, in millions.
TEST(Space, HasTheAuthorsCosts) {
  const std::vector<std::pair<std::string, double>> published = {
      {"k3_e1_g2", 20.9}, {"k3_e1", 31.2},  {"k3_e3", 75.7},
      {"k3_e6", 142.5},   {"k5_e6", 160.8}, {"skip", 11.5}};
  for (const auto& [op, macs] : published) {
    const NetworkSpec spec = zoo_network("space:" + op);
    EXPECT_NEAR(conv_costs(spec).macs / 1e6, macs, 0.05) << op;
    const auto all = layers(spec);
    EXPECT_EQ(all[all.size() - 2].name, "header");
    EXPECT_NEAR(all[all.size() - 2].shape.macs() / 1e6, 8.47, 0.005);
  }
}

TEST(Space, HasNineOperatorsInTheAuthorsOrder) {
  EXPECT_EQ(space_operators(),
            (std::vector<std::string>{"k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2",
                                      "k5_e3", "k5_e6", "skip"}));
}

TEST(Space, BuildsACellAsTheAuthorsDo) {
  const NetworkSpec spec = space_network({"k5_e1_g2"});
  const Node& conv1 = node_of(spec, "cells.2.conv1");
  EXPECT_EQ(conv1.groups, 2);
  EXPECT_EQ(conv1.activation, Activation::Relu);
  EXPECT_EQ(node_of(spec, "cells.2.shuffle").inputs, std::vector<std::string>{"cells.2.conv1"});
  EXPECT_EQ(node_of(spec, "cells.2.shuffle").groups, 2);
  const Node& conv2 = node_of(spec, "cells.2.conv2");
  EXPECT_EQ(conv2.groups, conv2.channels);
  EXPECT_EQ(conv2.kernel, 5);
  EXPECT_EQ(conv2.padding, 2);
  EXPECT_EQ(node_of(spec, "cells.2.conv3").activation, Activation::None);
  EXPECT_EQ(node_of(spec, "cells.2.add").activation, Activation::None);
}

TEST(Space, AddsTheIdentityOnlyWhereShapesAllow) {
  const NetworkSpec spec = space_network({"k3_e3"});
  const std::set<int> changing = {1, 5, 9, 13, 17, 21};
  for (int i = 0; i < 22; ++i) {
    const std::string add = "cells." + std::to_string(i) + ".add";
    EXPECT_EQ(has_node(spec, add), !changing.contains(i)) << add;
  }
}

TEST(Space, HasNoShuffleWithoutGroups) {
  EXPECT_THAT(node_names(space_network({"k3_e6"})), testing::Not(HasSubstr("shuffle")));
}

TEST(Space, SkipsByAOneByOneConvolutionWhereShapesChange) {
  const NetworkSpec spec = space_network({"skip"});
  EXPECT_EQ(node_names(spec),
            "stem cells.1.skip cells.5.skip cells.9.skip cells.13.skip cells.17.skip cells.21.skip "
            "header pool fc ");
  const Node& skip = node_of(spec, "cells.5.skip");
  EXPECT_EQ(skip.kernel, 1);
  EXPECT_EQ(skip.stride, 2);
  EXPECT_EQ(skip.padding, 0);
  EXPECT_TRUE(skip.batch_norm);
  EXPECT_EQ(skip.activation, Activation::Relu);
}

TEST(Space, TakesOneOperatorACell) {
  std::vector<std::string> operators(22, "skip");
  operators[3] = "k5_e3";
  const NetworkSpec spec = space_network(operators);
  EXPECT_EQ(spec.name, "space");
  EXPECT_EQ(node_of(spec, "cells.3.conv2").kernel, 5);
  EXPECT_EQ(node_of(spec, "cells.3.add").inputs,
            (std::vector<std::string>{"cells.3.conv3", "cells.1.skip"}));
}

TEST(Space, TakesOtherStages) {
  SpaceOptions options;
  options.layers_per_stage = {2, 1};
  options.channels = {8, 12};
  options.strides = {2, 1};
  options.stem_channels = 4;
  options.header_channels = 20;
  options.header_bits = 8;
  const NetworkSpec spec = space_network({"k3_e1", "k3_e1", "skip"}, options);
  EXPECT_EQ(node_of(spec, "cells.0.conv2").stride, 2);
  EXPECT_EQ(node_of(spec, "header").bits, 8);
  EXPECT_EQ(node_of(spec, "header").channels, 20);
}

TEST(Space, NamesAnUnknownOperatorAndItsCell) {
  std::vector<std::string> operators(22, "k3_e3");
  operators[7] = "k3-e3";
  EXPECT_EQ(error_of([&] { space_network(operators); }),
            "search space: unknown operator 'k3-e3' in cells.7, did you mean 'k3_e3'?");
}

TEST(Space, SaysHowManyOperatorsItTakes) {
  EXPECT_EQ(error_of([] {
              space_network({"skip", "skip"});
            }),
            "search space: 2 operators are given for 22 cells; give one for all, or 22.");
  EXPECT_EQ(error_of([] { space_network({}); }),
            "search space: 0 operators are given for 22 cells; give one for all, or 22.");
}

TEST(Space, SaysWhenStagesDoNotFitTogether) {
  SpaceOptions options;
  options.channels.pop_back();
  EXPECT_EQ(error_of([&] { space_network({"skip"}, options); }),
            "search space: layers_per_stage has 7 entries, channels 6 and strides 7; give one of "
            "each for each stage.");
  options = {};
  options.layers_per_stage[2] = 0;
  EXPECT_THAT(error_of([&] { space_network({"skip"}, options); }),
              HasSubstr("layers_per_stage has 0; each stage has 1..1000 cells."));
}

}  // namespace
}  // namespace instantnet
