// Gates of Add nodes: mixtures of networks in one, and single ones of them.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"
#include "instantnet/net/search_space.h"
#include "instantnet/nn/executor.h"

namespace instantnet::nn {
namespace {

using testing::HasSubstr;

SearchSpace small_cells() {
  SearchSpace space;
  space.cells = {1, 2, 1};
  space.channels = {8, 12, 16};
  space.strides = {1, 2, 1};
  space.operators = {"k3_e1", "k3_e2_g2", "f3_e1", "skip"};
  space.stem_channels = 8;
  space.header_channels = 20;
  return space;
}

constexpr SpaceImage kImage{3, 12, 12, 5};

ModelOptions float_friendly() { return {}; }

/// Gates drawn from the seed; those of a cell sum to about 1.
Gates drawn_gates(const Supernet& supernet, uint64_t seed) {
  Gates gates;
  Rng rng(seed);
  for (const MixedCell& cell : supernet.cells) {
    const size_t inputs =
        std::count_if(cell.input_of.begin(), cell.input_of.end(), [](int i) { return i >= 0; }) +
        (cell.identity >= 0 ? 1 : 0);
    for (size_t k = 0; k < inputs; ++k) gates[cell.mix].push_back(rng.uniform(0.1, 0.6));
  }
  return gates;
}

at::Tensor images() {
  torch::manual_seed(3);
  return at::randn({6, 3, 12, 12});
}

struct Pass {
  at::Tensor logits;
  Gates gates;
  std::vector<at::Tensor> gradients;
};

Pass run(SwitchableModel& model, Executor& executor, const Gates& gates, int bits) {
  for (const Named& one : model.parameters()) at::Tensor(one.tensor).mutable_grad() = at::Tensor();
  executor.set_gates(gates);
  executor.begin(images());
  Pass pass;
  pass.logits = executor.forward(bits, Mode::Train);
  torch::manual_seed(5);
  executor.backward(at::randn_like(pass.logits));
  executor.finish();
  pass.gates = executor.gate_gradients();
  for (const Named& one : model.parameters())
    pass.gradients.push_back(one.tensor.grad().defined() ? one.tensor.grad().clone()
                                                         : at::Tensor());
  return pass;
}

double gap(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).norm().item<double>() / std::max(b.norm().item<double>(), 1e-9);
}

TEST(Gates, FusedEqualsPlainToRoundingAtFloat) {
  const Supernet supernet = supernet_of(small_cells(), kImage);
  SwitchableModel one(supernet.network, {4, 32}, float_friendly(), 1), other = one.clone();
  const auto plain = make_plain_executor(one, 1), fused = make_fused_executor(other, 1);
  if (!fused) GTEST_SKIP() << "no fused kernels in this build";
  for (const uint64_t seed : {1, 2, 3}) {
    const Gates gates = drawn_gates(supernet, seed);
    const Pass a = run(one, *plain, gates, 32), b = run(other, *fused, gates, 32);
    EXPECT_LE(gap(b.logits, a.logits), 1e-5);
    for (const auto& [mix, gradients] : a.gates)
      for (size_t k = 0; k < gradients.size(); ++k)
        EXPECT_NEAR(b.gates.at(mix)[k], gradients[k], 1e-4 * (1 + std::abs(gradients[k])))
            << mix << " " << k;
    double longest = 0;
    for (const at::Tensor& gradient : a.gradients)
      if (gradient.defined()) longest = std::max(longest, gradient.norm().item<double>());
    for (size_t i = 0; i < a.gradients.size(); ++i) {
      ASSERT_EQ(a.gradients[i].defined(), b.gradients[i].defined()) << one.parameters()[i].name;
      if (!a.gradients[i].defined()) continue;
      EXPECT_LE((a.gradients[i] - b.gradients[i]).norm().item<double>(), 1e-4 * longest)
          << one.parameters()[i].name;
    }
  }
}

TEST(Gates, FusedKeepsItsRoundingWithQuantizedLayersAndAnyThreads) {
  const Supernet supernet = supernet_of(small_cells(), kImage);
  ModelOptions options;
  options.quant.kind = quant::Kind::Sbm;
  SwitchableModel one(supernet.network, {4, 8}, options, 1), other = one.clone(),
                                                             third = one.clone();
  const auto plain = make_plain_executor(one, 1), fused = make_fused_executor(other, 1),
             threaded = make_fused_executor(third, 3);
  if (!fused) GTEST_SKIP() << "no fused kernels in this build";
  const Gates gates = drawn_gates(supernet, 4);
  const Pass a = run(one, *plain, gates, 8), b = run(other, *fused, gates, 8),
             c = run(third, *threaded, gates, 8);
  EXPECT_LE(gap(b.logits, a.logits), 2e-2);
  EXPECT_TRUE(b.logits.equal(c.logits));
  EXPECT_EQ(b.gates, c.gates);
}

TEST(Gates, TheirGradientIsTheSlopeOfTheLoss) {
  const Supernet supernet = supernet_of(small_cells(), kImage);
  SwitchableModel model(supernet.network, {32}, float_friendly(), 2);
  for (const auto& executor : {make_plain_executor(model, 1), make_fused_executor(model, 1)}) {
    if (!executor) continue;
    Gates gates = drawn_gates(supernet, 6);
    const Pass at = run(model, *executor, gates, 32);
    torch::manual_seed(5);
    const at::Tensor direction = at::randn_like(at.logits).to(at::kDouble);
    for (const MixedCell& cell : supernet.cells)
      for (size_t k = 0; k < gates[cell.mix].size(); ++k) {
        const double step = 3e-4;
        double values[2];
        for (const int side : {0, 1}) {
          Gates moved = gates;
          moved[cell.mix][k] += side == 0 ? -step : step;
          values[side] = (run(model, *executor, moved, 32).logits.to(at::kDouble) * direction)
                             .sum()
                             .item<double>();
        }
        const double slope = (values[1] - values[0]) / (2 * step), ours = at.gates.at(cell.mix)[k];
        EXPECT_NEAR(ours, slope, 0.05 * std::abs(slope) + 0.05) << cell.mix << " " << k;
      }
  }
}

/// Gates that choose one operator of each cell.
Gates choice(const Supernet& supernet, const Architecture& architecture) {
  Gates gates;
  for (size_t i = 0; i < supernet.cells.size(); ++i) {
    const MixedCell& cell = supernet.cells[i];
    size_t inputs = cell.identity >= 0 ? 1 : 0;
    for (const int input : cell.input_of) inputs += input >= 0 ? 1 : 0;
    std::vector<double>& values = gates[cell.mix];
    values.assign(inputs, 0.0);
    if (cell.input_of[architecture[i]] >= 0)
      values[static_cast<size_t>(cell.input_of[architecture[i]])] = 1;
    if (cell.identity >= 0) values[static_cast<size_t>(cell.identity)] = 1;
  }
  return gates;
}

TEST(Gates, ThatChooseOneOperatorACellGiveThatNetwork) {
  const Supernet supernet = supernet_of(small_cells(), kImage);
  const Architecture architecture = {0, 1, 3, 2};
  SwitchableModel whole(supernet.network, {4, 32}, {}, 7);
  SwitchableModel single(network_of(small_cells(), kImage, architecture, "one"), {4, 32}, {}, 8);
  std::map<std::string, at::Tensor> of_whole, values;
  for (const Named& one : whole.tensors()) of_whole[one.name] = one.tensor.detach();
  for (const Named& one : single.tensors()) {
    std::string name = one.name;
    if (name.starts_with("cells."))
      name.insert(8,
                  small_cells().operators[architecture[static_cast<size_t>(name[6] - '0')]] + ".");
    values[one.name] = of_whole.at(name);
  }
  single.load(values, "test");
  for (const bool fused : {false, true}) {
    const auto make = [&](SwitchableModel& model) {
      return fused ? make_fused_executor(model, 1) : make_plain_executor(model, 1);
    };
    const auto a = make(whole), b = make(single);
    if (!a) continue;
    for (const int bits : {4, 32}) {
      const Pass chosen = run(whole, *a, choice(supernet, architecture), bits),
                 alone = run(single, *b, {}, bits);
      EXPECT_LE(gap(chosen.logits, alone.logits), 1e-6) << fused << " at " << bits;
      for (const Named& one : single.parameters()) {
        if (!one.tensor.grad().defined()) continue;
        std::string name = one.name;
        if (name.starts_with("cells."))
          name.insert(
              8, small_cells().operators[architecture[static_cast<size_t>(name[6] - '0')]] + ".");
        for (const Named& other : whole.parameters()) {
          if (other.name != name) continue;
          // In front of another batch norm a scale's gradient is 0 but for rounding.
          const at::Tensor difference = other.tensor.grad() - one.tensor.grad();
          EXPECT_LE(difference.norm().item<double>(),
                    1e-4 * (one.tensor.grad().norm().item<double>() + 1))
              << name;
        }
      }
    }
  }
}

TEST(Gates, LeaveWhatTheyCloseAlone) {
  const Supernet supernet = supernet_of(small_cells(), kImage);
  SwitchableModel model(supernet.network, {4, 32}, {}, 7);
  for (const auto& executor : {make_plain_executor(model, 1), make_fused_executor(model, 1)}) {
    if (!executor) continue;
    run(model, *executor, choice(supernet, {0, 0, 0, 0}), 4);
    EXPECT_FALSE(model.layer("cells.1.f3_e1.conv1").weight.grad().defined());
    EXPECT_EQ(model.layer("cells.1.f3_e1.conv1").norms[0].count.item<int64_t>(), 0);
    EXPECT_TRUE(model.layer("cells.1.k3_e1.conv1").weight.grad().defined());
  }
}

TEST(Gates, GetTheSameGradientsAlone) {
  const Supernet supernet = supernet_of(small_cells(), kImage);
  SwitchableModel model(supernet.network, {4, 32}, {}, 7);
  const Gates gates = drawn_gates(supernet, 8);
  for (const auto& executor : {make_plain_executor(model, 1), make_fused_executor(model, 1)}) {
    if (!executor) continue;
    const Pass both = run(model, *executor, gates, 4);
    executor->learn_weights(false);
    const Pass alone = run(model, *executor, gates, 4);
    for (const auto& [mix, values] : both.gates)
      for (size_t k = 0; k < values.size(); ++k)
        EXPECT_NEAR(alone.gates.at(mix)[k], values[k], 1e-5 * (1 + std::abs(values[k])));
    for (const at::Tensor& gradient : alone.gradients) EXPECT_FALSE(gradient.defined());
  }
}

TEST(Gates, AnIdentityOfItsOwnInEachBlockIsTheSame) {
  const Supernet shared = supernet_of(small_cells(), kImage);
  const Supernet own = supernet_of(small_cells(), kImage, Identity::Own);
  SwitchableModel a(shared.network, {32}, {}, 7), b(own.network, {32}, {}, 8);
  std::map<std::string, at::Tensor> values;
  for (const Named& one : a.tensors()) values[one.name] = one.tensor.detach();
  b.load(values, "test");
  Gates of_shared, of_own;
  Rng rng(5);
  for (size_t i = 0; i < shared.cells.size(); ++i) {
    std::vector<double> weights;
    for (size_t k = 0; k < 4; ++k) weights.push_back(rng.uniform(0.1, 0.5));
    of_own[own.cells[i].mix] = weights;
    std::vector<double> gates(static_cast<size_t>(std::max<int>(shared.cells[i].identity, 3)) + 1,
                              0.0);
    for (size_t k = 0; k < 4; ++k) {
      const int input = shared.cells[i].input_of[k];
      if (input >= 0) gates[static_cast<size_t>(input)] = weights[k];
      if (shared.cells[i].identity >= 0)
        gates[static_cast<size_t>(shared.cells[i].identity)] += weights[k];
    }
    of_shared[shared.cells[i].mix] = gates;
  }
  const auto first = make_plain_executor(a, 1), second = make_plain_executor(b, 1);
  EXPECT_LE(gap(run(a, *first, of_shared, 32).logits, run(b, *second, of_own, 32).logits), 1e-5);
}

TEST(Gates, AreRefusedWhereTheyMakeNoSense) {
  const Supernet supernet = supernet_of(small_cells(), kImage);
  SwitchableModel model(supernet.network, {32}, {}, 7);
  const auto executor = make_plain_executor(model, 1);
  const auto says = [&](const Gates& gates) {
    try {
      executor->set_gates(gates);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  EXPECT_THAT(says({{"nowhere", {1}}}), HasSubstr("no node 'nowhere'"));
  EXPECT_THAT(says({{"stem", {1}}}), HasSubstr("'stem' is no add"));
  EXPECT_THAT(says({{"cells.1.mix", {1}}}), HasSubstr("has 4 inputs and is given 1 gates"));
  EXPECT_THAT(says({{"cells.1.mix", {1, 0, -1, 0}}}), HasSubstr("numbers from 0 on"));
  EXPECT_THAT(says({{"cells.1.mix", {0, 0, 0, 0}}}), HasSubstr("no gate above 0"));
}

}  // namespace
}  // namespace instantnet::nn
