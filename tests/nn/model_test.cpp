// What a SwitchableModel is made of, and what it refuses.
#include "instantnet/nn/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <sstream>

#include "core/helpers.h"
#include "instantnet/net/builder.h"
#include "instantnet/net/zoo.h"
#include "instantnet/nn/executor.h"

namespace instantnet::nn {
namespace {

using test::error_of;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// A float32 stem, a switchable depthwise and a switchable 1x1 convolution, a float32 classifier.
NetworkSpec small(int stem_bits = 32) {
  NetworkBuilder net("small", {.classes = 3, .channels = 2, .height = 4, .width = 4});
  net.conv("stem", {4, 3, 1, 1}, Activation::Relu, stem_bits);
  net.conv("deep", {4, 3, 1, 4}, Activation::None);
  net.conv("wide", {6, 1, 1, 1}, Activation::Relu);
  net.plain("pool", Op::GlobalAvgPool);
  net.linear("fc", 3, 32);
  return net.done();
}

ModelOptions options_of(quant::Kind kind) {
  ModelOptions options;
  options.quant.kind = kind;
  return options;
}

SwitchableModel model_of(quant::Kind kind, std::vector<int> bits = {4, 8, 32}) {
  return SwitchableModel(small(), std::move(bits), options_of(kind), 1);
}

/// "name (shape)" of each tensor, "*" behind learned ones.
std::vector<std::string> described(const SwitchableModel& model) {
  std::vector<std::string> all;
  for (const Named& one : model.tensors()) {
    std::ostringstream text;
    text << one.name << " " << one.tensor.sizes() << (one.learned ? " *" : "");
    all.push_back(text.str());
    EXPECT_EQ(one.tensor.requires_grad(), one.learned) << one.name;
  }
  return all;
}

std::vector<std::string> names(const std::vector<Named>& tensors) {
  std::vector<std::string> all;
  for (const Named& one : tensors) all.push_back(one.name);
  return all;
}

std::map<std::string, at::Tensor> values_of(const SwitchableModel& model) {
  std::map<std::string, at::Tensor> values;
  for (const Named& one : model.tensors()) values[one.name] = one.tensor.detach().clone();
  return values;
}

void expect_same(const SwitchableModel& a, const SwitchableModel& b) {
  const auto x = values_of(a), y = values_of(b);
  ASSERT_EQ(x.size(), y.size());
  for (const auto& [name, value] : x) EXPECT_TRUE(value.equal(y.at(name))) << name;
}

/// Gives every tensor values of its own.
void scatter(SwitchableModel& model, uint64_t seed) {
  const at::NoGradGuard no_gradient;
  torch::manual_seed(seed);
  for (const Named& one : model.tensors()) {
    at::Tensor tensor = one.tensor;
    one.role == Role::Counter ? tensor.random_(1, 99) : tensor.uniform_(0.5, 2);
  }
}

TEST(SwitchableModel, NamesItsTensors) {
  std::vector<std::string> expected = {"stem.weight [4, 2, 3, 3] *"};
  const auto norm = [&](const std::string& prefix, const std::string& shape) {
    for (const char* part : {".scale ", ".shift "})
      expected.push_back(prefix + part + shape + " *");
    for (const char* part : {".mean ", ".variance "}) expected.push_back(prefix + part + shape);
    expected.push_back(prefix + ".count []");
  };
  const auto quantized = [&](const std::string& name, const std::string& shape) {
    for (const char* bits : {".4", ".8", ".32"}) norm(name + ".norm" + bits, shape);
    for (const char* bits : {".4", ".8"}) {
      expected.push_back(name + ".range" + bits + " [1] *");
      expected.push_back(name + ".seen" + bits + " []");
    }
  };
  norm("stem.norm.all", "[4]");
  expected.push_back("deep.weight [4, 1, 3, 3] *");
  quantized("deep", "[4]");
  expected.push_back("wide.weight [6, 4, 1, 1] *");
  quantized("wide", "[6]");
  expected.push_back("fc.weight [3, 6] *");
  expected.push_back("fc.bias [3] *");
  EXPECT_EQ(described(model_of(quant::Kind::Nested)), expected);
}

TEST(SwitchableModel, EachQuantizerHasItsOwnRangesAndSteps) {
  const auto of = [](quant::Kind kind) { return described(model_of(kind)); };
  const auto sbm = of(quant::Kind::Sbm);
  EXPECT_THAT(sbm, Contains("deep.low.4 [4]"));  // depthwise: a range per channel
  EXPECT_THAT(sbm, Contains("deep.running.8 [4]"));
  EXPECT_THAT(sbm, Contains("wide.low.4 [1]"));
  EXPECT_THAT(sbm, Not(Contains(HasSubstr(".range."))));
  EXPECT_THAT(of(quant::Kind::Lsq), Contains("wide.step [1] *"));
  EXPECT_THAT(of(quant::Kind::Adabits), Contains("wide.range.4 [1] *"));
  EXPECT_THAT(of(quant::Kind::Dorefa),
              Not(Contains(testing::AnyOf(HasSubstr(".range."), HasSubstr(".running."),
                                          HasSubstr(".step")))));
}

TEST(SwitchableModel, OneRangeServesAllWidthsWhenShared) {
  ModelOptions options = options_of(quant::Kind::Sbm);
  options.quant.range_scope = quant::RangeScope::Shared;
  options.quant.depthwise_per_channel = false;
  const SwitchableModel model(small(), {4, 8, 32}, options, 1);
  EXPECT_THAT(described(model), Contains("deep.running.all [1]"));
  EXPECT_EQ(model.range_index(model.layer("deep"), 4), 0);
  EXPECT_EQ(model.range_index(model.layer("deep"), 8), 0);
}

TEST(SwitchableModel, FixedWidthsHaveOneRange) {
  const SwitchableModel model(small(/*stem_bits=*/8), {2, 4}, {}, 1);
  EXPECT_THAT(names(model.tensors()), Contains("stem.range.all"));
  EXPECT_EQ(model.master_bits(model.layer("stem")), 8);
  EXPECT_EQ(model.master_bits(model.layer("deep")), 4);
}

TEST(SwitchableModel, ParametersAreTheLearnedTensors) {
  const SwitchableModel model = model_of(quant::Kind::Lsq);
  std::vector<std::string> learned;
  for (const Named& one : model.tensors())
    if (one.learned) learned.push_back(one.name);
  EXPECT_EQ(names(model.parameters()), learned);
  EXPECT_THAT(learned, Contains("deep.step"));
  EXPECT_THAT(learned, Not(Contains("deep.norm.4.mean")));
}

TEST(SwitchableModel, WhatWasReadOffOneLoadsIntoAnother) {
  SwitchableModel from = model_of(quant::Kind::Lsq), to = model_of(quant::Kind::Lsq);
  scatter(from, 5);
  to.load(values_of(from), "w");
  expect_same(from, to);
  for (const Named& one : to.parameters()) EXPECT_TRUE(one.tensor.is_leaf()) << one.name;
}

TEST(SwitchableModel, LoadNamesTheTensorThatDoesNotFit) {
  SwitchableModel model = model_of(quant::Kind::Nested);
  const SwitchableModel before = model.clone();
  const auto loaded = [&](const std::map<std::string, at::Tensor>& values) {
    return error_of([&] { model.load(values, "weights.bin"); });
  };
  auto values = values_of(model);
  scatter(model, 6);
  const auto scattered = values_of(model);
  values.erase("wide.norm.8.scale");
  EXPECT_EQ(
      loaded(values),
      "weights.bin: tensor 'wide.norm.8.scale' is missing; the weights are of another network "
      "or of other bit-widths.");
  values["wide.norm.8.scale"] = at::ones({5});
  EXPECT_EQ(loaded(values),
            "weights.bin: tensor 'wide.norm.8.scale' has shape [5]; the network needs [6].");
  values["wide.norm.8.scale"] = at::ones({6});
  values["wide.norm.16.scale"] = at::ones({6});
  EXPECT_THAT(loaded(values), HasSubstr("tensor 'wide.norm.16.scale' belongs to no layer"));
  for (const auto& [name, value] : values_of(model))  // refused as a whole
    EXPECT_TRUE(value.equal(scattered.at(name))) << name;
}

TEST(SwitchableModel, NormsAreCopiedFromOneWidthToAll) {
  SwitchableModel model = model_of(quant::Kind::Nested);
  scatter(model, 7);
  const auto before = values_of(model);
  model.copy_norms_from(32);
  const auto after = values_of(model);
  for (const char* layer : {"deep", "wide"})
    for (const char* part : {"scale", "shift", "mean", "variance", "count"})
      for (const char* bits : {"4", "8", "32"}) {
        const std::string prefix = std::string(layer) + ".norm.";
        EXPECT_TRUE(after.at(prefix + bits + "." + part).equal(before.at(prefix + "32." + part)))
            << prefix << bits << "." << part;
      }
  for (const char* same : {"stem.norm.all.scale", "deep.weight", "fc.bias"})
    EXPECT_TRUE(after.at(same).equal(before.at(same))) << same;
  // The next batch initialises the ranges.
  EXPECT_EQ(after.at("deep.seen.4").item<int64_t>(), 0);
  EXPECT_EQ(after.at("wide.seen.8").item<int64_t>(), 0);
}

TEST(SwitchableModel, CopyingNormsTakesTheWeightStepFromTheNewWeights) {
  SwitchableModel model = model_of(quant::Kind::Lsq);
  scatter(model, 8);
  model.copy_norms_from(32);
  const Layer& layer = model.layer("wide");
  EXPECT_TRUE(
      layer.weight_state.step.equal(model.quantizer().initial_weight_step(layer.weight, 8)));
}

TEST(SwitchableModel, ACloneIsIndependent) {
  for (const auto& [kind, name] : quant::names_of(quant::Kind{})) {
    SwitchableModel model = model_of(kind);
    const SwitchableModel copy = model.clone();
    expect_same(model, copy);
    EXPECT_EQ(described(model), described(copy)) << name;
    const auto before = values_of(copy);
    scatter(model, 9);
    for (const auto& [tensor, value] : values_of(copy))
      EXPECT_TRUE(value.equal(before.at(tensor))) << name << " " << tensor;
    for (const Named& one : copy.parameters()) EXPECT_TRUE(one.tensor.is_leaf()) << one.name;
  }
}

TEST(SwitchableModel, TheSameSeedGivesTheSameWeights) {
  const auto with_seed = [](uint64_t seed) { return SwitchableModel(small(), {4, 32}, {}, seed); };
  expect_same(with_seed(3), with_seed(3));
  for (const char* name : {"stem", "deep", "wide", "fc"})
    EXPECT_FALSE(with_seed(3).layer(name).weight.equal(with_seed(4).layer(name).weight)) << name;
  EXPECT_FALSE(with_seed(3).layer("fc").bias.equal(with_seed(4).layer("fc").bias));
}

TEST(SwitchableModel, WeightsDoNotDependOnBitsOrQuantizer) {
  const SwitchableModel a = model_of(quant::Kind::Nested, {2, 4}), b = model_of(quant::Kind::Sbm);
  EXPECT_TRUE(a.layer("deep").weight.equal(b.layer("deep").weight));
}

TEST(SwitchableModel, FirstWeightsHaveHesDeviation) {
  NetworkBuilder net("big", {.classes = 10, .channels = 64, .height = 4, .width = 4});
  net.conv("conv", {128, 3, 1, 1}, Activation::Relu);
  net.plain("flat", Op::Flatten);
  net.linear("fc", 10);
  const SwitchableModel model(net.done(), {8}, {}, 2);
  const at::Tensor conv = model.layer("conv").weight, fc = model.layer("fc").weight;
  EXPECT_NEAR(conv.std().item<double>(), std::sqrt(2.0 / (64 * 9)), 1e-3);
  const double bound = 1 / std::sqrt(128.0 * 16);
  EXPECT_LE(fc.abs().max().item<double>(), bound);
  EXPECT_NEAR(fc.std().item<double>(), bound / std::sqrt(3.0), 0.02 * bound);
  EXPECT_LE(model.layer("fc").bias.abs().max().item<double>(), bound);
}

/// Number of batch norms of each layer that has one.
std::map<std::string, size_t> norm_counts(NetworkSpec spec, NormScope scope) {
  ModelOptions options;
  options.norm_scope = scope;
  const SwitchableModel model(std::move(spec), {4, 8, 32}, options, 1);
  std::map<std::string, size_t> counts;
  for (const Layer& layer : model.layers())
    if (!layer.norms.empty())
      counts[model.spec().nodes[static_cast<size_t>(layer.node)].name] = layer.norms.size();
  return counts;
}

TEST(SwitchableModel, TheHeaderHasANormPerWidthUnlessToldOtherwise) {
  SpaceOptions space;
  space.layers_per_stage = {1};
  space.channels = {16};
  space.strides = {1};
  space.height = space.width = 8;
  space.header_channels = 24;
  const NetworkSpec spec = space_network({"k3_e1"}, space);
  const auto ours = norm_counts(spec, NormScope::AfterQuantized);
  EXPECT_EQ(ours.at("stem"), 1U);
  EXPECT_EQ(ours.at("cells.0.conv2"), 3U);
  EXPECT_EQ(ours.at("header"), 3U);
  const auto authors = norm_counts(spec, NormScope::QuantizedOnly);
  EXPECT_EQ(authors.at("stem"), 1U);
  EXPECT_EQ(authors.at("cells.0.conv2"), 3U);
  EXPECT_EQ(authors.at("header"), 1U);
}

TEST(SwitchableModel, TheNormIsThatOfTheWeightsWidth) {
  const SwitchableModel model = model_of(quant::Kind::Nested);
  EXPECT_EQ(model.norm_index(model.layer("stem"), {8, 8}), 0);
  EXPECT_EQ(model.norm_index(model.layer("deep"), {8, 4}), 1);
  EXPECT_EQ(model.norm_index(model.layer("deep"), {32, 4}), 2);
}

TEST(SwitchableModel, KnowsWhichInputsCanBeNegative) {
  const SwitchableModel model = model_of(quant::Kind::Nested);
  EXPECT_TRUE(model.layer("stem").signed_input);   // images
  EXPECT_FALSE(model.layer("deep").signed_input);  // behind a ReLU
  EXPECT_TRUE(model.layer("wide").signed_input);   // behind a convolution without one
  EXPECT_FALSE(model.layer("fc").signed_input);    // a mean of what is not negative
}

TEST(SwitchableModel, ASumIsNegativeWhenATermCanBe) {
  const auto signed_behind = [](Activation last, Activation sum) {
    NetworkBuilder net("sum", {.classes = 2, .channels = 2, .height = 4, .width = 4});
    net.conv("a", {4, 3, 1, 1}, Activation::Relu);
    net.conv("b", {4, 3, 1, 1}, last);
    net.add("sum", "a", sum);
    net.conv("c", {4, 1, 1, 1}, Activation::None);
    net.plain("pool", Op::GlobalAvgPool);
    net.linear("fc", 2);
    const SwitchableModel model(net.done(), {8}, {}, 1);
    return std::make_pair(model.layer("c").signed_input, model.layer("fc").signed_input);
  };
  EXPECT_EQ(signed_behind(Activation::None, Activation::None), std::make_pair(true, true));
  EXPECT_EQ(signed_behind(Activation::Relu6, Activation::None), std::make_pair(false, true));
  EXPECT_EQ(signed_behind(Activation::None, Activation::Relu), std::make_pair(false, true));
}

TEST(SwitchableModel, KnowsDepthwiseLayersAndTheSizeOfInputs) {
  const SwitchableModel model = model_of(quant::Kind::Nested);
  EXPECT_TRUE(model.layer("deep").depthwise);
  EXPECT_FALSE(model.layer("wide").depthwise);
  EXPECT_EQ(model.layer("stem").input_features, 2 * 4 * 4);
  EXPECT_EQ(model.layer("fc").input_features, 6);
}

TEST(SwitchableModel, EffectivePrecisionIsTheLayersOwnWhereFixed) {
  const SwitchableModel model(small(/*stem_bits=*/8), {2, 4}, {}, 1);
  EXPECT_EQ(model.effective(model.layer("stem"), {2, 4}), (Precision{8, 8}));
  EXPECT_EQ(model.effective(model.layer("deep"), {2, 4}), (Precision{2, 4}));
  EXPECT_EQ(model.effective(model.layer("fc"), {2, 4}), (Precision{32, 32}));
}

TEST(SwitchableModel, FloatIsKnownToEveryModel) {
  const SwitchableModel with = model_of(quant::Kind::Nested),
                        without = model_of(quant::Kind::Nested, {2, 4});
  EXPECT_EQ(with.index_of(32), 2);
  EXPECT_EQ(without.index_of(32), 1);
  EXPECT_EQ(without.index_of(2), 0);
  EXPECT_EQ(without.uniform(32), std::vector<Precision>(4, Precision{32, 32}));
}

TEST(SwitchableModel, NamesTheWidthsItHas) {
  const SwitchableModel model = model_of(quant::Kind::Nested);
  const std::string sentence = "bits: the network was not made for 6 bits; it has 4, 8, 32.";
  EXPECT_EQ(error_of([&] { model.index_of(6); }), sentence);
  EXPECT_EQ(error_of([&] { model.uniform(6); }), sentence);
  EXPECT_EQ(error_of([&] { model.check_precisions({4, Precision{8, 6}}); }), sentence);
  EXPECT_EQ(
      error_of([&] {
        model.check_precisions({3, Precision{4, 4}});
      }),
      "precisions: 3 given for a network of 4 layers; give one for each convolution and linear "
      "layer.");
  EXPECT_EQ(error_of([&] { model.check_precisions({4, Precision{32, 8}}); }), "no error");
}

TEST(SwitchableModel, AnUnknownLayerIsNamedWithTheNearest) {
  const SwitchableModel model = model_of(quant::Kind::Nested);
  EXPECT_EQ(error_of([&] { model.layer("wode"); }),
            "layer: there is no convolution or linear layer 'wode', did you mean 'wide'?");
  EXPECT_THAT(error_of([&] { model.layer("pool"); }), HasSubstr("no convolution or linear layer"));
}

TEST(SwitchableModel, RefusesBitsItCannotHave) {
  EXPECT_EQ(error_of([] {
              model_of(quant::Kind::Lsq, {1, 4});
            }),
            "bits: the quantizer has no 1-bit weights; give widths from 2 bits on.");
  EXPECT_EQ(error_of([] { model_of(quant::Kind::Nested, {1, 4}); }), "no error");
  EXPECT_THAT(error_of([] { model_of(quant::Kind::Nested, {8, 4}); }), HasSubstr("bits"));
  EXPECT_THAT(error_of([] { model_of(quant::Kind::Nested, {}); }), HasSubstr("bits"));
  ModelOptions options;
  options.quant.range = "percentile";
  EXPECT_THAT(error_of([&] { SwitchableModel(small(), {4}, options, 1); }),
              HasSubstr("quant.range: 'percentile'"));
  NetworkSpec broken = small();
  broken.nodes[1].inputs = {"nothing"};
  EXPECT_THAT(error_of([&] { SwitchableModel(broken, {4}, {}, 1); }), HasSubstr("nothing"));
}

TEST(SwitchableModel, LsqRefusesOneBitInAFixedLayerToo) {
  EXPECT_THAT(error_of([] {
                SwitchableModel(small(/*stem_bits=*/1), {4, 8}, options_of(quant::Kind::Lsq), 1);
              }),
              HasSubstr("layer 'stem': the quantizer has no 1-bit weights"));
}

/// The small network in evaluation, by hand, with these weights for its two switchable layers.
at::Tensor by_hand(const SwitchableModel& model, const at::Tensor& images, size_t norm,
                   const at::Tensor& deep, const at::Tensor& wide) {
  const at::NoGradGuard no_gradient;
  const auto normalised = [&](const at::Tensor& y, const Norm& with) {
    const auto each = [](const at::Tensor& t) { return t.view({1, -1, 1, 1}); };
    return (y - each(with.mean)) / (each(with.variance) + model.options().norm_epsilon).sqrt() *
               each(with.scale) +
           each(with.shift);
  };
  const Layer& stem = model.layer("stem");
  const Layer& fc = model.layer("fc");
  at::Tensor y = normalised(at::conv2d(images, stem.weight, {}, 1, 1), stem.norms[0]).relu();
  y = normalised(at::conv2d(y, deep, {}, 1, 1, 1, 4), model.layer("deep").norms[norm]);
  y = normalised(at::conv2d(y, wide), model.layer("wide").norms[norm]).relu();
  return at::linear(y.mean({2, 3}), fc.weight, fc.bias);
}

TEST(SwitchableModel, WeightOnlyLeavesActivationsAlone) {
  for (const auto& [kind, name] : quant::names_of(quant::Kind{})) {
    ModelOptions options = options_of(kind);
    options.quant.weight_only = true;
    SwitchableModel model(small(), {2, 8}, options, 1);
    scatter(model, 10);
    EXPECT_THAT(names(model.tensors()), Not(Contains(HasSubstr(".seen.")))) << name;
    EXPECT_EQ(model.effective(model.layer("deep"), {2, 2}), (Precision{2, 32}));
    const at::Tensor images = at::randn({5, 2, 4, 4});
    const auto values = [&](const char* layer) {
      const Layer& one = model.layer(layer);
      return model.quantizer().weight(one.weight, 2, 8, one.weight_state);
    };
    const auto executor = make_plain_executor(model, 1);
    executor->begin(images);
    const at::Tensor expected = by_hand(model, images, 0, values("deep"), values("wide"));
    EXPECT_TRUE(at::allclose(executor->forward(2, Mode::Eval), expected, 1e-4, 1e-4)) << name;
    EXPECT_NO_THROW(executor->forward(2, Mode::Train)) << name;
  }
}

TEST(SwitchableModel, FloatIsThePlainNetwork) {
  SwitchableModel model = model_of(quant::Kind::Nested);
  scatter(model, 11);
  const at::Tensor images = at::randn({5, 2, 4, 4});
  const auto executor = make_plain_executor(model, 1);
  executor->begin(images);
  const at::Tensor expected =
      by_hand(model, images, 2, model.layer("deep").weight, model.layer("wide").weight);
  EXPECT_TRUE(at::allclose(executor->forward(32, Mode::Eval), expected, 1e-4, 1e-4));
}

}  // namespace
}  // namespace instantnet::nn
