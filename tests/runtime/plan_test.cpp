// Every set of kernels, and the plans that call them, against the reference: the same integers in
// every tensor.
#include "instantnet/runtime/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "instantnet/runtime/execute.h"
#include "instantnet/runtime/reference.h"
#include "instantnet/runtime/session.h"
#include "net/random_network.h"
#include "runtime/random_layer.h"
#include "runtime/random_model.h"

namespace instantnet::runtime {
namespace {

/// Runs a plan step by step, on memory full of rubbish, in parts.
class StepByStep {
 public:
  StepByStep(const IntModel& model, Precision precision, const Kernels& kernels, int parts = 1)
      : source_(model), kernels_(kernels), parts_(parts) {
    plan_ = make_plan(source_, expand(model, {precision}), kernels);
    arena_.assign(plan_->arena_bytes, std::byte{0xA5});
    scratch_.assign(plan_->scratch_bytes, std::byte{0x5A});
  }

  /// The number of tensors compared.
  int compare(const std::vector<uint8_t>& image) {
    const Trace trace = run_reference(source_, plan_->prepared, image);
    int compared = 0;
    for (const Step& step : plan_->steps) {
      run(step, image);
      for (const Step::Output& output : step.outputs) {
        expect_equal(output, trace.tensors[output.tensor]);
        ++compared;
        if (testing::Test::HasFailure()) return compared;
      }
    }
    return compared;
  }

 private:
  void run(const Step& step, const std::vector<uint8_t>& image) {
    PackedWeights weights(source_.model().layers.size());
    if (const auto* conv = std::get_if<ConvStep>(&step.what)) {
      packed_.assign(kernels_.packed_bytes(conv->problem), std::byte{0x77});
      kernels_.pack(conv->problem, source_.weights(conv->layer), packed_.data());
      weights[conv->layer] = packed_.data();
    }
    const Work work{&kernels_, &weights, {image.data(), nullptr}, arena_.data()};
    fill_halos(step, arena_.data());
    for (int i = 0; i < parts_; ++i)
      run_step(step, part_of(step, i, parts_), work, scratch_.data());
  }

  int64_t stored(const View& view, int64_t y, int64_t x, int64_t c) const {
    const std::byte* arena = arena_.data();
    switch (view.element) {
      case Element::U8:
        return view.pixel<uint8_t>(arena, y, x)[c];
      case Element::U16:
        return view.pixel<uint16_t>(arena, y, x)[c];
      default:
        return view.pixel<int32_t>(arena, y, x)[c];
    }
  }

  void expect_equal(const Step::Output& output, const Traced& wanted) const {
    const View& view = output.view;
    size_t i = 0;
    for (int64_t y = -view.halo; y < view.height + view.halo; ++y)
      for (int64_t x = -view.halo; x < view.width + view.halo; ++x)
        for (int64_t c = 0; c < view.channels; ++c) {
          const bool inside = y >= 0 && y < view.height && x >= 0 && x < view.width;
          const int64_t number = inside ? wanted.numbers[i++] : 0;
          ASSERT_EQ(stored(view, y, x, c) - output.zero, number)
              << kernels_.name() << ", node " << wanted.node << ", y " << y << ", x " << x << ", c "
              << c;
        }
  }

  Source source_;
  const Kernels& kernels_;
  const int parts_;
  std::unique_ptr<const Plan> plan_;
  Aligned<std::byte> arena_, scratch_, packed_;
};

Precision random_precision(const IntModel& model, Rng& rng) {
  const int b = model.bits[rng.below(model.bits.size())];
  return {b, rng.flip(0.7) ? b : model.bits[rng.below(model.bits.size())]};
}

TEST(Plan, GivesTheIntegersOfTheReferenceOnRandomNetworks) {
  int compared = 0;
  for (const Kernels* kernels : kernel_sets())
    for (uint64_t seed = 0; seed < 500 && !HasFailure(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      Rng rng(seed);
      const NetworkSpec spec = random_network(seed);
      const IntModel model = random_model(spec, seed);
      StepByStep run(model, random_precision(model, rng), *kernels, 1 + seed % 3);
      compared += run.compare(random_image(spec, seed));
    }
  EXPECT_GT(compared, 2000);
}

TEST(Plan, GivesTheIntegersOfTheReferenceOnRandomLayersOfEveryWidth) {
  int compared = 0;
  for (const Kernels* kernels : kernel_sets())
    for (uint64_t seed = 0; seed < 1500 && !HasFailure(); ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      Rng rng(seed);
      const NetworkSpec spec = random_layer_network(seed);
      RandomModelOptions options;
      options.bits = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
      const IntModel model = random_model(spec, seed, options);
      StepByStep run(model, random_precision(model, rng), *kernels);
      compared += run.compare(random_image(spec, seed));
    }
  EXPECT_GT(compared, 6000);
}

/// A convolution of 3x3 windows of `channels` on an image of ones, whose weights all have the
/// largest or the smallest code, so that its sums are what they can be at most.
IntModel at_its_bound(int64_t channels, Lattice lattice, InputKind input, bool largest) {
  NetworkSpec spec;
  spec.name = "bound";
  spec.channels = channels;
  spec.height = spec.width = 5;
  spec.classes = 3;
  Node conv{.name = "conv", .op = Op::Conv, .inputs = {"input"}, .channels = 3, .kernel = 3};
  conv.padding = 1;
  const Node pool{.name = "pool", .op = Op::GlobalAvgPool, .inputs = {"conv"}};
  spec.nodes = {conv, pool};
  RandomModelOptions options;
  options.sbm = lattice == Lattice::Sbm ? 1 : 0;
  IntModel model = random_model(spec, 3, options);
  IntLayer& layer = model.layers[0];
  layer.input = input;
  layer.master_bits = 16;
  std::fill(layer.codes.begin(), layer.codes.end(), largest ? 65535 : 0);
  for (LayerWidth& width : layer.widths) {
    width.range = {0.5F};  // below what the brightest pixel means: the largest code
    width.low.clear();
    if (input == InputKind::Offset) width.low = {-0.1F};
  }
  return model;
}

TEST(Plan, HoldsSumsAtTheirBounds) {
  for (const Kernels* kernels : kernel_sets())
    for (const int64_t channels : {1, 7, 64, 300})
      for (const int bits : {8, 12, 16})
        for (const bool largest : {true, false})
          for (const InputKind input :
               {InputKind::Unsigned, InputKind::Signed, InputKind::Offset}) {
            const Lattice lattice = input == InputKind::Offset ? Lattice::Sbm : Lattice::Nested;
            const IntModel model = at_its_bound(channels, lattice, input, largest);
            StepByStep run(model, {bits, bits}, *kernels);
            for (const int pixel : {0, 255})
              run.compare(std::vector<uint8_t>(channels * 25, static_cast<uint8_t>(pixel)));
          }
}

TEST(Plan, WidensSumsThatDoNotFit32Bits) {
  const auto problem = [](int bits) {
    const Source source(at_its_bound(300, Lattice::Nested, InputKind::Unsigned, true));
    return prepare(source, {{bits, bits}}).layers[0];
  };
  EXPECT_FALSE(problem(8).problem.wide);
  EXPECT_TRUE(problem(12).problem.wide);
  EXPECT_EQ(problem(12).most_sum, int64_t{2700} * 4095 * 4095);
  EXPECT_EQ(problem(16).most_sum, int64_t{2700} * 65535 * 65535);
}

TEST(Plan, JoinsAdditionsToTheConvolutionBefore) {
  const NetworkSpec spec = [] {
    NetworkSpec net;
    net.name = "residual";
    net.height = net.width = 4;
    net.classes = 8;
    const auto conv = [&](const std::string& name, const std::string& from) {
      net.nodes.push_back({.name = name, .op = Op::Conv, .inputs = {from}, .channels = 8});
    };
    conv("a", "input");
    conv("b", "a");
    conv("c", "b");
    net.nodes.push_back({.name = "sum", .op = Op::Add, .inputs = {"a", "c"}});
    net.nodes.push_back({.name = "pool", .op = Op::GlobalAvgPool, .inputs = {"sum"}});
    return net;
  }();
  const Source source(random_model(spec, 1));
  const auto plan = make_plan(source, expand(source.model(), {{8, 8}}), *kernel_sets().back());
  EXPECT_EQ(plan->steps.size(), 5U);  // image, a, b, c with the sum, pool
  EXPECT_TRUE(std::get<ConvStep>(plan->steps[3].what).call.epilogue.has_addend);
}

}  // namespace
}  // namespace instantnet::runtime
