#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "instantnet/core/file.h"
#include "instantnet/net/spec.h"
#include "instantnet/net/zoo.h"
#include "net/expect_error.h"
#include "net/random_network.h"

namespace instantnet {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kTiny = R"(name: tiny
input: [3, 12, 10]
classes: 4
nodes:
  - {name: stem, op: conv, channels: 8, kernel: 3, padding: 1, batch_norm: true, activation: relu, bits: 32}
  - {name: conv, op: conv, channels: 8, kernel: 3, padding: 1, batch_norm: true}
  - {name: add, op: add, inputs: [conv, stem], activation: relu6}
  - {name: pool, op: global_avg_pool}
  - {name: fc, op: linear, channels: 4, bias: true}
)";

NetworkSpec parse(const std::string& text) {
  return network_from_tree(parse_yaml(text, "net.yaml"));
}

NetworkSpec through_text(const NetworkSpec& spec) { return parse(print_yaml(to_tree(spec))); }

/// The sentence about kTiny with `from` replaced by `to`.
std::string refusal(const std::string& from, const std::string& to) {
  std::string text = kTiny;
  const size_t at = text.find(from);
  if (at == std::string::npos) ADD_FAILURE() << from << " is not in the text";
  text.replace(at, from.size(), to);
  return error_of([&] { parse(text); });
}

TEST(NetworkFile, ReadsEveryField) {
  const NetworkSpec spec = parse(kTiny);
  EXPECT_EQ(spec.name, "tiny");
  EXPECT_EQ(spec.height, 12);
  EXPECT_EQ(spec.width, 10);
  ASSERT_EQ(spec.nodes.size(), 5u);
  Node stem;
  stem.name = "stem", stem.inputs = {"input"}, stem.channels = 8, stem.kernel = 3, stem.padding = 1;
  stem.batch_norm = true, stem.activation = Activation::Relu, stem.bits = 32;
  EXPECT_EQ(spec.nodes[0], stem);
  EXPECT_EQ(spec.nodes[1].inputs, std::vector<std::string>{"stem"});
  EXPECT_EQ(spec.nodes[2].inputs, (std::vector<std::string>{"conv", "stem"}));
  EXPECT_EQ(spec.nodes[2].activation, Activation::Relu6);
  EXPECT_TRUE(spec.nodes[4].bias);
}

TEST(NetworkFile, LeavesDefaultsOut) {
  const Tree tree = to_tree(parse(kTiny));
  const Tree pool = tree.find("nodes")->items[3];
  EXPECT_EQ(pool, Tree::map().set("name", Tree::of("pool")).set("op", Tree::of("global_avg_pool")));
}

TEST(NetworkFile, RoundTripOfRandomNetworksChangesNothing) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const NetworkSpec spec = random_network(seed);
    EXPECT_EQ(network_from_tree(to_tree(spec)), spec) << "seed " << seed;
    EXPECT_EQ(through_text(spec), spec) << "seed " << seed << "\n" << print_yaml(to_tree(spec));
  }
}

TEST(NetworkFile, RoundTripOfTheZooChangesNothing) {
  for (const ZooEntry& entry : zoo()) {
    const NetworkSpec spec = zoo_network(entry.name);
    EXPECT_EQ(network_from_tree(to_tree(spec)), spec) << entry.name;
    EXPECT_EQ(through_text(spec), spec) << entry.name;
  }
}

TEST(NetworkFile, IsReadAsWritten) {
  const std::string path = testing::TempDir() + "network_file_test.yaml";
  const NetworkSpec spec = zoo_network("mobilenetv2-cifar");
  write_network(spec, path);
  EXPECT_EQ(read_network(path), spec);
  std::remove(path.c_str());
}

TEST(NetworkFile, OfABrokenNetworkIsNotWritten) {
  const std::string path = testing::TempDir() + "network_file_broken.yaml";
  NetworkSpec spec = zoo_network("resnet8");
  spec.classes = 7;
  EXPECT_THAT(error_of([&] { write_network(spec, path); }), HasSubstr("layer 'fc'"));
  EXPECT_THROW(read_network(path), Error);
}

TEST(NetworkFile, MayBeJson) { EXPECT_EQ(parse(print_json(to_tree(parse(kTiny)))), parse(kTiny)); }

TEST(NetworkFile, NamesAnUnknownOpWithLineAndNearest) {
  EXPECT_EQ(refusal("op: linear", "op: linaer"),
            "net.yaml:9: unknown op 'linaer', did you mean 'linear'?");
}

TEST(NetworkFile, NamesAnUnknownKeyWithLineAndNearest) {
  EXPECT_EQ(refusal("bits: 32", "bit: 32"), "net.yaml:5: unknown key 'bit', did you mean 'bits'?");
  EXPECT_EQ(refusal("classes: 4", "clases: 4"),
            "net.yaml:3: unknown key 'clases', did you mean 'classes'?");
}

TEST(NetworkFile, NamesAnUnknownActivationWithLineAndNearest) {
  EXPECT_EQ(refusal("activation: relu6", "activation: rleu6"),
            "net.yaml:7: unknown activation 'rleu6', did you mean 'relu6'?");
}

TEST(NetworkFile, NamesAKeyOfOtherOpsWithLine) {
  EXPECT_EQ(refusal("op: global_avg_pool", "op: global_avg_pool, kernel: 2"),
            "net.yaml:8: op global_avg_pool has no use for 'kernel'; it takes name, op, inputs.");
}

TEST(NetworkFile, NamesMissingKeys) {
  EXPECT_EQ(refusal("name: tiny\n", ""),
            "net.yaml:1: 'name' is missing; give it, for example name: resnet8.");
  EXPECT_THAT(refusal("input: [3, 12, 10]\n", ""),
              HasSubstr("'input' is missing; give it, for example input: [3, 32, 32]."));
  EXPECT_THAT(refusal("classes: 4\n", ""),
              HasSubstr("'classes' is missing; give it, for example classes: 10."));
  EXPECT_EQ(refusal("name: fc, ", ""),
            "net.yaml:9: 'name' is missing; give it, for example name: conv1.");
  EXPECT_EQ(refusal("op: linear, ", ""),
            "net.yaml:9: 'op' is missing; give it, for example op: conv.");
  EXPECT_THAT(error_of([] { parse("name: x\ninput: [1, 2, 3]\nclasses: 2\n"); }),
              HasSubstr("'nodes' is missing"));
}

TEST(NetworkFile, NamesValuesOfTheWrongKind) {
  EXPECT_THAT(refusal("input: [3, 12, 10]", "input: [3, 12]"),
              HasSubstr("net.yaml:2: input must be a list of channels, height and width, for "
                        "example [3, 32, 32]."));
  EXPECT_THAT(refusal("inputs: [conv, stem]", "inputs: stem"),
              HasSubstr("net.yaml:7: inputs must be a list of layer names, for example [stem]."));
  EXPECT_THAT(refusal("channels: 8", "channels: many"), StartsWith("net.yaml:5"));
  EXPECT_THAT(refusal("bias: true", "bias: 3"), StartsWith("net.yaml:9"));
  EXPECT_THAT(refusal("{name: pool, op: global_avg_pool}", "pool"),
              HasSubstr("net.yaml:8: a layer must be a map"));
  EXPECT_THAT(error_of([] { parse("name: x\ninput: [1, 2, 3]\nclasses: 2\nnodes: 3\n"); }),
              HasSubstr("net.yaml:4: nodes must be a list of layers"));
  EXPECT_THAT(error_of([] { parse("[1, 2]"); }), HasSubstr("a network must be a map"));
}

TEST(NetworkFile, NamesTheLineOfALayerThatDoesNotFit) {
  EXPECT_THAT(
      refusal("inputs: [conv, stem]", "inputs: [conv, stme]"),
      StartsWith("net.yaml:7, layer 'add': its input 'stme' is unknown, did you mean 'stem'?"));
  EXPECT_THAT(refusal("bits: 32", "bits: 31"),
              StartsWith("net.yaml:5, layer 'stem': bits is 31; give 1..16"));
  EXPECT_THAT(refusal("bits: 32", "bits: -4294967292"), StartsWith("net.yaml:5"));
  EXPECT_THAT(refusal("channels: 4", "channels: 5"),
              StartsWith("net.yaml:9, layer 'fc': it is the last layer"));
}

TEST(NetworkFile, NamesTheLayerWhenThereIsNoFile) {
  Tree tree = to_tree(zoo_network("resnet8"));
  tree.set("classes", Tree::of(7));
  EXPECT_THAT(error_of([&] { network_from_tree(tree); }),
              StartsWith("network 'resnet8', layer 'fc': "));
}

TEST(NetworkFile, OfDamagedTextIsAnErrorOrANetworkThatPassesCheck) {
  Rng rng(5);
  const std::string whole = kTiny;
  for (int i = 0; i < 500; ++i) {
    std::string text = whole;
    for (uint64_t n = rng.below(3) + 1; n > 0; --n)
      text[rng.below(text.size())] = whole[rng.below(whole.size())];
    try {
      check(parse(text));
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace instantnet
