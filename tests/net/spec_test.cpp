#include "instantnet/net/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "net/expect_error.h"
#include "net/random_network.h"

namespace instantnet {
namespace {

using testing::HasSubstr;

Node make_node(const std::string& name, Op op, const std::string& input) {
  Node node;
  node.name = name;
  node.op = op;
  node.inputs = {input};
  return node;
}

/// stem (3x3, 8 channels) - pool - fc, for 3 x 12 x 10 images and 4 classes.
NetworkSpec tiny() {
  NetworkSpec spec;
  spec.name = "tiny";
  spec.height = 12;
  spec.width = 10;
  spec.classes = 4;
  Node stem = make_node("stem", Op::Conv, "input");
  stem.channels = 8;
  stem.kernel = 3;
  Node fc = make_node("fc", Op::Linear, "pool");
  fc.channels = 4;
  spec.nodes = {stem, make_node("pool", Op::GlobalAvgPool, "stem"), fc};
  return spec;
}

/// The sentence with which check() refuses tiny() after `change`.
template <class Change>
std::string refusal(Change change) {
  NetworkSpec spec = tiny();
  change(spec);
  return error_of([&] { check(spec); });
}

/// tiny() with `node` between stem and pool.
NetworkSpec tiny_with(Node node) {
  NetworkSpec spec = tiny();
  spec.nodes[1].inputs = {node.name};
  spec.nodes.insert(spec.nodes.begin() + 1, node);
  return spec;
}

std::string refusal_of(Node node) {
  return error_of([&] { check(tiny_with(node)); });
}

/// Output pixels along one side, by trying every position.
int64_t count_positions(int64_t size, const Node& node) {
  int64_t count = 0;
  for (int64_t start = -node.padding;
       start + node.dilation * (node.kernel - 1) < size + node.padding; start += node.stride)
    ++count;
  return count;
}

/// Multiply-accumulates by walking the loops.
int64_t walk(const LayerShape& l) {
  int64_t count = 0;
  for (int64_t k = 0; k < l.k; ++k)
    for (int64_t c = 0; c < l.c; ++c)
      for (int64_t pq = 0; pq < l.p * l.q; ++pq)
        for (int64_t r = 0; r < l.r; ++r)
          for (int64_t s = 0; s < l.s; ++s) ++count;
  return count;
}

TEST(Shapes, OfAChainAreInferredInOrder) {
  const std::vector<TensorShape> expected = {{8, 10, 8, false}, {8, 1, 1, true}, {4, 1, 1, true}};
  EXPECT_EQ(infer_shapes(tiny()), expected);
}

TEST(Shapes, OfAFlattenedImageCountAllValues) {
  NetworkSpec spec = tiny();
  spec.nodes[1].op = Op::Flatten;
  EXPECT_EQ(infer_shapes(spec)[1], (TensorShape{640, 1, 1, true}));
}

TEST(Shapes, OfWindowsEqualCountingEveryPosition) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const NetworkSpec spec = random_network(seed);
    const std::vector<NodeSummary> summaries = summarize(spec);
    for (size_t i = 0; i < spec.nodes.size(); ++i) {
      const Node& node = spec.nodes[i];
      if (node.op != Op::Conv && node.op != Op::MaxPool && node.op != Op::AvgPool) continue;
      EXPECT_EQ(summaries[i].output.height, count_positions(summaries[i].input.height, node));
      EXPECT_EQ(summaries[i].output.width, count_positions(summaries[i].input.width, node));
    }
  }
}

TEST(Layers, AreTheConvolutionsAndLinearLayersAsLoops) {
  NetworkSpec spec = tiny();
  spec.nodes[0].bits = 32;
  spec.nodes[0].stride = 2;
  LayerShape stem;
  stem.k = 8, stem.c = 3, stem.p = 5, stem.q = 4, stem.r = stem.s = 3, stem.stride = 2;
  LayerShape fc;
  fc.k = 4, fc.c = 8;
  EXPECT_EQ(layers(spec), (std::vector<NamedLayer>{{"stem", stem, 32}, {"fc", fc, 0}}));
}

TEST(Layers, OfGroupsHaveTheChannelsOfOneGroup) {
  Node depthwise = make_node("dw", Op::Conv, "stem");
  depthwise.channels = depthwise.groups = 8;
  depthwise.kernel = 5;
  const LayerShape shape = layers(tiny_with(depthwise))[1].shape;
  EXPECT_EQ(shape.c, 1);
  EXPECT_EQ(shape.groups, 8);
  EXPECT_EQ(shape.weights(), 8 * 25);
}

TEST(Costs, OfRandomNetworksEqualWalkingTheLoops) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const NetworkSpec spec = random_network(seed);
    int64_t macs = 0;
    for (const NamedLayer& layer : layers(spec)) macs += walk(layer.shape);
    EXPECT_EQ(count_macs(spec), macs) << "seed " << seed;
  }
}

TEST(Costs, CountBiasOnceAndBatchNormTwiceAChannel) {
  NetworkSpec spec = tiny();
  const int64_t weights = 8 * 3 * 9 + 4 * 8;
  EXPECT_EQ(count_parameters(spec), weights);
  spec.nodes[0].batch_norm = true;
  spec.nodes[2].bias = true;
  EXPECT_EQ(count_parameters(spec), weights + 2 * 8 + 4);
}

TEST(Costs, OfNodesAddUpToTheNetworks) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const NetworkSpec spec = random_network(seed);
    int64_t macs = 0, parameters = 0;
    for (const NodeSummary& node : summarize(spec))
      macs += node.macs, parameters += node.parameters;
    EXPECT_EQ(macs, count_macs(spec)) << "seed " << seed;
    EXPECT_EQ(parameters, count_parameters(spec)) << "seed " << seed;
  }
}

/// So that the properties over random networks mean something.
TEST(RandomNetworks, HaveEveryOpAndEveryKindOfField) {
  std::set<Op> ops;
  std::set<Activation> activations;
  int strided = 0, padded = 0, dilated = 0, grouped = 0, biased = 0, normalised = 0, fixed = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (const Node& node : random_network(seed).nodes) {
      ops.insert(node.op);
      activations.insert(node.activation);
      strided += node.stride > 1, padded += node.padding > 0, dilated += node.dilation > 1;
      grouped += node.groups > 1, biased += node.bias, normalised += node.batch_norm,
          fixed += node.bits > 0;
    }
  }
  EXPECT_EQ(ops.size(), names_of(Op{}).size());
  EXPECT_EQ(activations.size(), names_of(Activation{}).size());
  for (const int count : {strided, padded, dilated, grouped, biased, normalised, fixed})
    EXPECT_GE(count, 10);
}

TEST(Check, AcceptsRandomNetworks) {
  for (uint64_t seed = 0; seed < 300; ++seed)
    EXPECT_NO_THROW(check(random_network(seed))) << "seed " << seed;
}

TEST(Check, NamesChannelsThatDoNotDivideIntoGroups) {
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[0].groups = 2; }),
            "network 'tiny', layer 'stem': 3 input channels do not divide into 2 groups; groups "
            "must divide them.");
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[0].groups = 3; }),
            "network 'tiny', layer 'stem': 8 output channels do not divide into 3 groups; groups "
            "must divide them.");
  Node shuffle = make_node("shuffle", Op::ChannelShuffle, "stem");
  shuffle.groups = 3;
  EXPECT_EQ(refusal_of(shuffle),
            "network 'tiny', layer 'shuffle': 8 input channels do not divide into 3 groups; groups "
            "must divide them.");
}

TEST(Check, NamesAnUnknownInputWithTheNearestOne) {
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[1].inputs = {"stme"}; }),
            "network 'tiny', layer 'pool': its input 'stme' is unknown, did you mean 'stem'?");
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[1].inputs = {"qqqqqqqqqqqq"}; }),
            "network 'tiny', layer 'pool': its input 'qqqqqqqqqqqq' is unknown; give the name of "
            "an earlier layer, or "
            "'input' for the image.");
}

TEST(Check, NamesAnInputThatComesLater) {
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[0].inputs = {"pool"}; }),
            "network 'tiny', layer 'stem': its input 'pool' does not come before it; move that "
            "layer up.");
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.nodes[0].inputs = {"stem"}; }),
              HasSubstr("does not come before it"));
}

TEST(Check, RefusesARepeatedOrReservedName) {
  EXPECT_EQ(
      refusal([](NetworkSpec& s) { s.nodes[1].name = "stem"; }),
      "network 'tiny', layer 'stem': the name 'stem' is used twice; give each layer its own.");
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[0].name = "input"; }),
            "network 'tiny', layer 'input': 'input' is the name of the image; give the layer "
            "another name.");
}

TEST(Check, RefusesNamesWithOddLetters) {
  EXPECT_THAT(
      refusal([](NetworkSpec& s) { s.nodes[0].name = "st em"; }),
      HasSubstr("the name 'st em' has other characters than letters, digits, '_', '-' and '.'"));
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.nodes[0].name = ""; }),
              HasSubstr("a layer has no name; give each one"));
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.name = ""; }), HasSubstr("it has no name; give one"));
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.name = "a\nb"; }), HasSubstr("not printable ASCII"));
}

TEST(Check, RefusesASumOfUnlikeShapes) {
  Node add = make_node("add", Op::Add, "stem");
  add.inputs = {"stem", "input"};
  EXPECT_EQ(refusal_of(add),
            "network 'tiny', layer 'add': it adds unlike shapes: 'stem' gives 8 x 10 x 8 and "
            "'input' gives 3 x 12 x 10; "
            "both must be the same.");
}

TEST(Check, RefusesAWrongNumberOfInputs) {
  EXPECT_EQ(refusal_of(make_node("add", Op::Add, "stem")),
            "network 'tiny', layer 'add': op add has 1 input; it sums at least two, for example "
            "inputs: [a, b].");
  EXPECT_EQ(refusal([](NetworkSpec& s) {
              s.nodes[1].inputs = {"stem", "stem"};
            }),
            "network 'tiny', layer 'pool': op global_avg_pool has 2 inputs; it takes exactly one.");
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[0].inputs.clear(); }),
            "network 'tiny', layer 'stem': op conv has 0 inputs; it takes exactly one.");
}

TEST(Check, RefusesAKernelLargerThanThePaddedInput) {
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[0].kernel = 13, s.nodes[0].padding = 1; }),
            "network 'tiny', layer 'stem': its kernel reaches over 13 pixels but its padded input "
            "'input' is only "
            "14 x 12; use a smaller kernel or stride before it, more padding or a larger image.");
  NetworkSpec just_fits = tiny();
  just_fits.nodes[0].kernel = 12;
  just_fits.nodes[0].padding = 1;
  EXPECT_NO_THROW(check(just_fits));
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.nodes[0].dilation = 5; }),
              HasSubstr("its kernel reaches over 11 pixels"));
}

TEST(Check, RefusesPoolPaddingOfMoreThanHalfTheKernel) {
  Node pool = make_node("max", Op::MaxPool, "stem");
  pool.kernel = 3;
  pool.padding = 2;
  EXPECT_EQ(refusal_of(pool),
            "network 'tiny', layer 'max': padding 2 is more than half of the pooling kernel 3; it "
            "may be 0..1.");
}

TEST(Check, RefusesSizesOutOfRange) {
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[0].channels = 0; }),
            "network 'tiny', layer 'stem': channels is 0; it may be 1..1073741824.");
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.nodes[0].kernel = 0; }),
              HasSubstr("kernel is 0; it may be 1.."));
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.nodes[0].stride = -1; }),
              HasSubstr("stride is -1; it may be 1.."));
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.nodes[0].padding = -1; }),
              HasSubstr("padding is -1; it may be 0.."));
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.nodes[0].dilation = 0; }),
              HasSubstr("dilation is 0; it may be 1.."));
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.nodes[0].groups = 0; }),
              HasSubstr("groups is 0; it may be 1.."));
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.width = 0; }),
              HasSubstr("input width is 0; it may be 1.."));
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.classes = -3; }),
              HasSubstr("classes is -3; it may be 1.."));
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.nodes.clear(); }), HasSubstr("it has no layers"));
}

TEST(Check, RefusesOtherBitWidths) {
  for (const int bits : {-1, 17, 31, 33})
    EXPECT_EQ(refusal([&](NetworkSpec& s) { s.nodes[0].bits = bits; }),
              "network 'tiny', layer 'stem': bits is " + std::to_string(bits) +
                  "; give 1..16, 32 for float, or leave it out for a switchable layer.");
}

TEST(Check, RefusesBatchNormTogetherWithBias) {
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[0].bias = s.nodes[0].batch_norm = true; }),
            "network 'tiny', layer 'stem': it has both bias and batch_norm, whose shift makes a "
            "bias useless; leave bias "
            "out.");
}

TEST(Check, RefusesAProbabilityThatIsNone) {
  Node dropout = make_node("drop", Op::Dropout, "stem");
  for (const double p : {-0.1, 1.0, std::numeric_limits<double>::infinity(), std::nan("")}) {
    dropout.probability = p;
    EXPECT_THAT(refusal_of(dropout), HasSubstr("it is at least 0 and less than 1.")) << p;
  }
}

TEST(Check, RefusesFieldsAnOpHasNoUseFor) {
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[2].kernel = 3; }),
            "network 'tiny', layer 'fc': op linear has no use for 'kernel'; it takes name, op, "
            "inputs, channels, bias, "
            "batch_norm, activation, bits.");
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.nodes[1].activation = Activation::Relu; }),
              HasSubstr("op global_avg_pool has no use for 'activation'"));
}

TEST(Check, RefusesAnOutputNobodyUses) {
  Node side = make_node("side", Op::Conv, "stem");
  side.channels = 8;
  NetworkSpec spec = tiny();
  spec.nodes.insert(spec.nodes.begin() + 1, side);
  EXPECT_EQ(error_of([&] { check(spec); }),
            "network 'tiny', layer 'side': no layer uses its output, and it is not the last; name "
            "it in the inputs of "
            "one, or leave it out.");
}

TEST(Check, RefusesALastLayerThatDoesNotGiveTheClasses) {
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.classes = 10; }),
            "network 'tiny', layer 'fc': it is the last layer and gives 4 values, but the network "
            "has 10 classes; end "
            "with a linear layer of 10 channels.");
  EXPECT_THAT(
      refusal([](NetworkSpec& s) { s.nodes.resize(1); }),
      HasSubstr("it is the last layer and gives 8 x 10 x 8, but the network has 4 classes"));
}

TEST(Check, RefusesImagesWhereValuesInARowAreNeededAndTheReverse) {
  EXPECT_EQ(refusal([](NetworkSpec& s) { s.nodes[2].inputs = {"stem"}; }),
            "network 'tiny', layer 'fc': op linear needs values in a row, but 'stem' gives an "
            "image of 8 x 10 x 8; put "
            "flatten or global_avg_pool before it.");
  for (const Op op :
       {Op::Conv, Op::MaxPool, Op::AvgPool, Op::GlobalAvgPool, Op::Flatten, Op::ChannelShuffle}) {
    NetworkSpec spec = tiny();
    Node node = make_node("late", op, "pool");
    if (op == Op::Conv) node.channels = 8;
    spec.nodes[2].inputs = {"late"};
    spec.nodes.insert(spec.nodes.begin() + 2, node);
    EXPECT_EQ(error_of([&] { check(spec); }), "network 'tiny', layer 'late': op " + to_string(op) +
                                                  " needs an image, but 'pool' gives 8 values in a "
                                                  "row; put it before pooling or flattening.");
  }
}

TEST(Overflow, OfOneTensorIsAnError) {
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.channels = s.height = s.width = kLargestSize; }),
              HasSubstr("is too large to count"));
  EXPECT_THAT(refusal([](NetworkSpec& s) {
                s.height = s.width = kLargestSize;
                s.nodes[0].channels = kLargestSize;
              }),
              HasSubstr("layer 'stem': its output of 1073741824 x 1073741822 x 1073741822 is too "
                        "large to count"));
}

TEST(Overflow, OfOneLayersCostsIsAnError) {
  EXPECT_THAT(refusal([](NetworkSpec& s) { s.height = s.width = kLargestSize; }),
              HasSubstr("layer 'stem': its multiply-accumulates exceed 2^63 - 1"));
  NetworkSpec spec = tiny();
  spec.height = spec.width = kLargestSize;
  EXPECT_THAT(error_of([&] { layers(spec); }), HasSubstr("its multiply-accumulates exceed"));
  EXPECT_THAT(error_of([&] { count_macs(spec); }), HasSubstr("its multiply-accumulates exceed"));
}

TEST(Overflow, OfTheSumIsAnError) {
  NetworkSpec spec = tiny();
  spec.channels = 1, spec.height = spec.width = int64_t{1} << 30;
  spec.nodes[0].kernel = 1, spec.nodes[0].channels = 7;
  Node more = spec.nodes[0];
  more.name = "more", more.inputs = {"stem"}, more.channels = 1;
  spec.nodes[1].inputs = {"more"};
  spec.nodes.insert(spec.nodes.begin() + 1, more);
  EXPECT_THAT(error_of([&] { check(spec); }),
              HasSubstr("network 'tiny': its multiply-accumulates or parameters exceed"));
  EXPECT_THAT(error_of([&] { count_macs(spec); }),
              HasSubstr("network 'tiny': its multiply-accumulates exceed"));
}

TEST(Overflow, OfAnySizesIsAnErrorAndNeverAWrongNumber) {
  Rng rng(11);
  for (int i = 0; i < 2000; ++i) {
    NetworkSpec spec = random_network(rng.next());
    const auto huge = [&] { return static_cast<int64_t>(rng.next() >> rng.below(64)); };
    Node& node = spec.nodes[rng.below(spec.nodes.size())];
    for (int64_t* field :
         {&spec.height, &node.channels, &node.kernel, &node.stride, &node.padding, &node.dilation})
      if (rng.flip(0.3)) *field = huge();
    try {
      check(spec);
      EXPECT_GE(count_macs(spec), 0);
      EXPECT_GE(count_parameters(spec), 0);
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace instantnet
