// The fused executor against the plain one, and both against the authors' numbers.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <cstdlib>
#include <fmt/core.h>

#include "instantnet/core/rng.h"
#include "instantnet/net/zoo.h"
#include "instantnet/nn/executor.h"
#include "instantnet/nn/model.h"

namespace instantnet::nn {
namespace {

struct Case {
  std::string name;
  NetworkSpec spec;
  std::vector<int> bits;
  quant::QuantOptions quant;
  NormScope scope = NormScope::AfterQuantized;
};

NetworkSpec small_space(const std::vector<std::string>& operators) {
  SpaceOptions space;
  space.layers_per_stage = {1, 2, 2, 1};
  space.channels = {8, 12, 16, 24};
  space.strides = {1, 2, 2, 1};
  space.stem_channels = 8;
  space.header_channels = 32;
  space.height = space.width = 16;
  space.classes = 10;
  return space_network(operators, space);
}

NetworkSpec small_resnet() {
  ZooOptions zoo;
  zoo.height = zoo.width = 12;
  zoo.channels = 1;
  return zoo_network("resnet8", zoo);
}

/// Every kind of node, a bias, a pool, a Relu6, two users of one value, a value added to itself.
NetworkSpec everything() {
  NetworkSpec spec;
  spec.name = "everything";
  spec.channels = 3;
  spec.height = spec.width = 12;
  spec.classes = 5;
  const auto conv = [](std::string name, std::vector<std::string> inputs, int64_t channels, int64_t kernel, int64_t stride) {
    Node node;
    node.name = std::move(name);
    node.inputs = std::move(inputs);
    node.channels = channels;
    node.kernel = kernel;
    node.stride = stride;
    node.padding = kernel / 2;
    return node;
  };
  const auto other = [](std::string name, Op op, std::vector<std::string> inputs) {
    Node node;
    node.name = std::move(name);
    node.op = op;
    node.inputs = std::move(inputs);
    return node;
  };
  Node stem = conv("stem", {"input"}, 8, 3, 1);
  stem.bias = true;
  stem.activation = Activation::Relu;
  stem.bits = 32;
  Node a = conv("a", {"stem"}, 8, 3, 1);
  a.batch_norm = true;
  a.activation = Activation::Relu6;
  Node b = conv("b", {"a"}, 8, 5, 1);
  b.groups = 2;
  b.batch_norm = true;
  Node both = other("both", Op::Add, {"b", "stem", "stem"});
  both.activation = Activation::Relu;
  Node shuffled = other("shuffled", Op::ChannelShuffle, {"both"});
  shuffled.groups = 4;
  Node pooled = other("pooled", Op::MaxPool, {"shuffled"});
  pooled.kernel = 3;
  pooled.stride = 2;
  pooled.padding = 1;
  Node c = conv("c", {"pooled"}, 8, 3, 1);
  c.dilation = 2;
  c.padding = 2;
  c.bias = true;
  Node d = conv("d", {"c"}, 12, 1, 2);
  d.batch_norm = true;
  Node averaged = other("averaged", Op::AvgPool, {"d"});
  averaged.kernel = 3;
  averaged.stride = 1;
  averaged.padding = 1;
  Node dropped = other("dropped", Op::Dropout, {"averaged"});
  dropped.probability = 0.3;
  Node flat = other("flat", Op::Flatten, {"dropped"});
  Node hidden = conv("hidden", {"flat"}, 16, 1, 1);
  hidden.op = Op::Linear;
  hidden.padding = 0;
  hidden.bias = true;
  hidden.activation = Activation::Relu;
  Node out = conv("out", {"hidden"}, 5, 1, 1);
  out.op = Op::Linear;
  out.padding = 0;
  out.bias = true;
  out.bits = 8;
  spec.nodes = {stem, a, b, both, shuffled, pooled, c, d, averaged, dropped, flat, hidden, out};
  return spec;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  quant::QuantOptions nested, sbm, lsq, dorefa, adabits, statistic, reference;
  sbm.kind = quant::Kind::Sbm;
  lsq.kind = quant::Kind::Lsq;
  dorefa.kind = quant::Kind::Dorefa;
  adabits.kind = quant::Kind::Adabits;
  statistic.range = "statistic";
  reference = sbm;
  reference.range_scope = quant::RangeScope::Shared;
  reference.range_momentum = 0.9;
  reference.range_starts_at_first_batch = false;
  const std::vector<std::string> operators = {"k3_e1", "k3_e3", "skip", "k5_e1_g2", "k5_e3", "skip"};
  all.push_back({"space, nested", small_space(operators), {2, 4, 8, 32}, nested});
  all.push_back({"space, sbm", small_space(operators), {4, 8, 12, 16, 32}, sbm});
  all.push_back({"space, reference", small_space(operators), {4, 5, 6, 8}, reference, NormScope::QuantizedOnly});
  all.push_back({"resnet, nested", small_resnet(), {1, 2, 4, 32}, nested});
  all.push_back({"resnet, statistic", small_resnet(), {2, 8}, statistic});
  all.push_back({"resnet, lsq", small_resnet(), {2, 4, 8}, lsq});
  all.push_back({"resnet, dorefa", small_resnet(), {1, 4, 8}, dorefa});
  all.push_back({"resnet, adabits", small_resnet(), {2, 4, 6}, adabits});
  all.push_back({"demo network, nested", zoo_network("resnet8-s2"), {2, 4, 8, 32}, nested});
  all.push_back({"everything, nested", everything(), {4, 8, 32}, nested});
  all.push_back({"everything, sbm", everything(), {4, 8, 32}, sbm});
  return all;
}

SwitchableModel model_of(const Case& one, uint64_t seed) {
  ModelOptions options;
  options.quant = one.quant;
  options.norm_scope = one.scope;
  SwitchableModel model(one.spec, one.bits, options, seed);
  const at::NoGradGuard no_gradient;
  torch::manual_seed(static_cast<uint64_t>(seed));
  for (const Named& tensor : model.tensors()) {  // nothing at a special value
    if (tensor.role == Role::NormScale) tensor.tensor.uniform_(-1.0, 1.5);
    if (tensor.role == Role::NormShift) tensor.tensor.normal_(0, 0.3);
  }
  return model;
}

at::Tensor images_of(const NetworkSpec& spec, int64_t count) { return at::randn({count, spec.channels, spec.height, spec.width}); }

/// Length of the difference as a share of the longer tensor's length, or of `floor` when that is longer still (a gradient that
/// is zero but for rounding has no length of its own).
double relative(const at::Tensor& a, const at::Tensor& b, double floor = 1e-6) {
  const at::Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  return (x - y).norm().item<double>() / std::max({x.norm().item<double>(), y.norm().item<double>(), floor});
}

struct Outcome {
  std::vector<at::Tensor> logits;
  std::map<std::string, at::Tensor> gradients, tensors;
};

/// One minibatch at every bit-width, highest first, gradients summed.
Outcome one_minibatch(SwitchableModel& model, Executor& executor, const at::Tensor& images, const at::Tensor& upstream) {
  Outcome outcome;
  for (const Named& parameter : model.parameters()) {
    at::Tensor handle = parameter.tensor;
    handle.mutable_grad() = at::Tensor();
  }
  executor.noise_seed(7);
  executor.begin(images);
  for (auto bits = model.bits().rbegin(); bits != model.bits().rend(); ++bits) {
    outcome.logits.push_back(executor.forward(*bits, Mode::Train).clone());
    executor.backward(upstream);
  }
  executor.finish();
  for (const Named& parameter : model.parameters())
    if (parameter.tensor.grad().defined()) outcome.gradients[parameter.name] = parameter.tensor.grad().clone();
  for (const Named& tensor : model.tensors()) outcome.tensors[tensor.name] = tensor.tensor.detach().clone();
  return outcome;
}

/// A thousandth of the longest gradient.
double floor_of(const Outcome& outcome) {
  double longest = 0;
  for (const auto& [name, gradient] : outcome.gradients) longest = std::max(longest, gradient.norm().item<double>());
  return 1e-3 * longest;
}

/// How far two runs are apart, over everything of a kind together.
struct Gap {
  double logits = 0, gradients = 0, tensors = 0;
};

at::Tensor joined(const std::map<std::string, at::Tensor>& tensors, double floor) {
  std::vector<at::Tensor> flat;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor values = tensor.to(at::kDouble).reshape({-1});
    flat.push_back(values / std::max(values.norm().item<double>(), floor));  // each counts alike
  }
  return at::cat(flat);
}

Gap gap_between(const Outcome& a, const Outcome& b) {
  EXPECT_EQ(a.gradients.size(), b.gradients.size());
  Gap gap;
  for (size_t i = 0; i < a.logits.size(); ++i) gap.logits = std::max(gap.logits, relative(a.logits[i], b.logits[i]));
  gap.gradients = relative(joined(a.gradients, floor_of(a)), joined(b.gradients, floor_of(a)));
  gap.tensors = relative(joined(a.tensors, 1e-3), joined(b.tensors, 1e-3));
  return gap;
}

void widen(Gap& most, const Gap& gap) {
  most.logits = std::max(most.logits, gap.logits);
  most.gradients = std::max(most.gradients, gap.gradients);
  most.tensors = std::max(most.tensors, gap.tensors);
}

class Executors : public testing::TestWithParam<size_t> {};

// Quantization is a step function: where two programs differ in the last bit a code may differ by one, and all behind it a
// little. How much that is, the plain program says itself: it is run on images changed in their last bits.
TEST_P(Executors, AgreeAsCloselyAsThePlainOneWithItselfUnderRounding) {
  const Case one = cases()[GetParam()];
  const SwitchableModel first = model_of(one, 11);
  const at::Tensor images = images_of(one.spec, 12);
  const at::Tensor upstream = at::randn({12, one.spec.classes}) / 12;
  const auto outcome_of = [&](const at::Tensor& input, bool use_fused) {
    SwitchableModel model = first.clone();
    const auto executor = use_fused ? make_fused_executor(model, 1) : make_plain_executor(model, 1);
    return one_minibatch(model, *executor, input, upstream);
  };
  const Outcome plain = outcome_of(images, false);
  Gap natural;
  for (int i = 0; i < 4; ++i) widen(natural, gap_between(plain, outcome_of(images * (1 + 3e-6 * at::randn_like(images)), false)));
  const Gap gap = gap_between(plain, outcome_of(images, true));
  EXPECT_LE(gap.logits, 1e-4 + 3 * natural.logits) << one.name;
  EXPECT_LE(gap.gradients, 1e-3 + 3 * natural.gradients) << one.name;
  EXPECT_LE(gap.tensors, 1e-4 + 3 * natural.tensors) << one.name;
  RecordProperty("logits", fmt::format("{:.2e} natural {:.2e}", gap.logits, natural.logits));
  RecordProperty("gradients", fmt::format("{:.2e} natural {:.2e}", gap.gradients, natural.gradients));
}

TEST_P(Executors, AgreeInEvaluationAfterCalibration) {
  const Case one = cases()[GetParam()];
  SwitchableModel first = model_of(one, 12);
  const at::Tensor images = images_of(one.spec, 10);
  one_minibatch(first, *make_plain_executor(first, 1), images, at::randn({10, one.spec.classes}) / 10);
  const at::Tensor fresh = images_of(one.spec, 7);
  std::vector<Precision> mixed;
  for (size_t i = 0; i < first.layers().size(); ++i)
    mixed.push_back({one.bits[i % one.bits.size()], one.bits[(i / 2) % one.bits.size()]});
  const auto logits_of = [&](double noise, bool use_fused) {
    SwitchableModel model = first.clone();
    const auto executor = use_fused ? make_fused_executor(model, 1) : make_plain_executor(model, 1);
    executor->calibration_momentum(0.5);
    executor->begin(images * (1 + noise * at::randn_like(images)));
    for (const int bits : one.bits) executor->forward(bits, Mode::Calibrate);
    executor->begin(fresh * (1 + noise * at::randn_like(fresh)));
    std::vector<at::Tensor> all = {executor->forward(mixed, Mode::Eval)};
    for (const int bits : one.bits) all.push_back(executor->forward(bits, Mode::Eval));
    return at::cat(all);
  };
  const at::Tensor plain = logits_of(0, false);
  double natural = 0;
  for (int i = 0; i < 4; ++i) natural = std::max(natural, relative(plain, logits_of(3e-6, false)));
  EXPECT_LE(relative(plain, logits_of(0, true)), 1e-4 + 10 * natural) << one.name;
}

TEST_P(Executors, FusedGivesTheSameBytesOnAnyNumberOfThreads) {
  const Case one = cases()[GetParam()];
  const SwitchableModel first = model_of(one, 13);
  const at::Tensor images = images_of(one.spec, 16);
  const at::Tensor upstream = at::randn({16, one.spec.classes}) / 16;
  std::vector<Outcome> outcomes;
  for (const int threads : {1, 2, 3}) {
    SwitchableModel model = first.clone();
    const auto fused = make_fused_executor(model, threads);
    one_minibatch(model, *fused, images, upstream);
    outcomes.push_back(one_minibatch(model, *fused, images, upstream));
  }
  for (size_t i = 1; i < outcomes.size(); ++i) {
    for (size_t w = 0; w < outcomes[0].logits.size(); ++w) EXPECT_TRUE(outcomes[0].logits[w].equal(outcomes[i].logits[w])) << one.name;
    for (const auto& [name, gradient] : outcomes[0].gradients)
      EXPECT_TRUE(gradient.equal(outcomes[i].gradients.at(name))) << one.name << " " << name;
    for (const auto& [name, tensor] : outcomes[0].tensors)
      EXPECT_TRUE(tensor.equal(outcomes[i].tensors.at(name))) << one.name << " " << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, Executors, testing::Range<size_t>(0, cases().size()),
                         [](const auto& given) {
                           std::string name = cases()[given.param].name;
                           std::erase_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
                           return name;
                         });

// At 32 bits there are no codes to flip: only rounding may differ.
TEST(FusedExecutor, EqualsThePlainOneToRoundingAtFloat) {
  Case one{"float", everything(), {32}, {}};
  one.spec.nodes.back().bits = 32;
  SwitchableModel plain_model = model_of(one, 3);
  SwitchableModel fused_model = plain_model.clone();
  const at::Tensor images = images_of(one.spec, 9);
  const at::Tensor upstream = at::randn({9, one.spec.classes});
  const auto plain = make_plain_executor(plain_model, 1);
  const auto fused = make_fused_executor(fused_model, 1);
  const Outcome a = one_minibatch(plain_model, *plain, images, upstream);
  const Outcome b = one_minibatch(fused_model, *fused, images, upstream);
  EXPECT_LT(relative(a.logits[0], b.logits[0]), 1e-5);
  for (const auto& [name, gradient] : a.gradients) EXPECT_LT(relative(gradient, b.gradients.at(name), floor_of(a)), 2e-5) << name;
}

}  // namespace
}  // namespace instantnet::nn
