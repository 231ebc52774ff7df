#include "instantnet/runtime/session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>
#include <thread>

#include "instantnet/net/zoo.h"
#include "instantnet/runtime/reference.h"
#include "net/expect_error.h"
#include "net/random_network.h"
#include "runtime/random_model.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

// Counted, for the tests that nothing is allocated.
void* operator new(size_t size) {
  allocations.fetch_add(1);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(size_t size, std::align_val_t align) {
  allocations.fetch_add(1);
  const auto to = static_cast<size_t>(align);
  if (void* memory = std::aligned_alloc(to, (size + to - 1) / to * to)) return memory;
  throw std::bad_alloc();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1);
  return std::malloc(size);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace instantnet::runtime {
namespace {

std::vector<float> logits_of(const Session& session) {
  return {session.logits().begin(), session.logits().end()};
}

NetworkSpec small_resnet() {
  ZooOptions options;
  options.height = options.width = 16;
  return zoo_network("resnet8", options);
}

TEST(Session, GivesTheReferencesLogitsAtEveryWidthAndBack) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const NetworkSpec spec = random_network(seed);
    const IntModel integers = random_model(spec, seed);
    Session session(std::make_shared<const Model>(integers));
    const std::vector<uint8_t> image = random_image(spec, seed);
    std::vector<int> order = integers.bits;
    order.push_back(integers.bits.front());
    for (const int bits : order) {
      session.set_precision({bits, bits});
      session.run(image);
      const Trace trace = run_reference(integers, {{bits, bits}}, image);
      ASSERT_EQ(logits_of(session), trace.logits) << "seed " << seed << ", " << bits << " bits";
      ASSERT_EQ(session.predicted(), trace.predicted);
    }
  }
}

TEST(Session, GivesTheSameAtOnePrecisionALayerForAnyResidency) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const NetworkSpec spec = random_network(seed);
    const IntModel integers = random_model(spec, seed);
    Rng rng(seed);
    std::vector<Precision> precisions;
    for (size_t i = 0; i < integers.layers.size(); ++i)
      precisions.push_back({integers.bits[rng.below(9)], integers.bits[rng.below(9)]});
    const std::vector<uint8_t> image = random_image(spec, seed);
    const Trace trace = run_reference(integers, precisions, image);
    for (const Residency residency :
         {Residency::Resident, Residency::OnDemand, Residency::FirstUse}) {
      Session session(std::make_shared<const Model>(integers, ModelOptions{"auto", residency}));
      session.set_precisions(precisions);
      session.run(image);
      ASSERT_EQ(logits_of(session), trace.logits) << "seed " << seed;
      session.set_precision({4, 4});
      session.run(image);
      ASSERT_EQ(logits_of(session), run_reference(integers, {{4, 4}}, image).logits);
    }
  }
}

TEST(Session, GivesTheSameBytesForAnyNumberOfThreads) {
  const NetworkSpec spec = small_resnet();
  RandomModelOptions options;
  options.floats = true;
  const auto model = std::make_shared<const Model>(random_model(spec, 1, options));
  const std::vector<uint8_t> image = random_image(spec, 1);
  Session one(model);
  for (const int threads : {2, 3, 5}) {
    Session many(model, {threads});
    for (const int bits : {4, 8, 12, 16, 32}) {
      one.set_precision({bits, bits});
      many.set_precision({bits, bits});
      one.run(image);
      many.run(image);
      EXPECT_EQ(logits_of(one), logits_of(many)) << bits << " bits, " << threads << " threads";
    }
  }
}

TEST(Session, SharesOneModelAmongThreadsThatSwitch) {
  const NetworkSpec spec = small_resnet();
  const IntModel integers = random_model(spec, 2);
  const std::vector<uint8_t> image = random_image(spec, 2);
  std::vector<std::vector<float>> wanted;
  for (const int bits : integers.bits)
    wanted.push_back(run_reference(integers, {{bits, bits}}, image).logits);
  std::atomic<int> wrong{0};
  const auto switch_and_run = [&](const std::shared_ptr<const Model>& model, size_t t) {
    Session session(model);
    for (size_t i = 0; i < 12; ++i) {
      const size_t width = (i + t) % wanted.size();
      if (i % 4 == 3)  // a mix, prepared by whoever comes first
        session.set_precisions(std::vector<Precision>(integers.layers.size(), {4, 8}));
      session.set_precision({integers.bits[width], integers.bits[width]});
      session.run(image);
      if (logits_of(session) != wanted[width]) ++wrong;
    }
  };
  for (const Residency residency :
       {Residency::Resident, Residency::OnDemand, Residency::FirstUse}) {
    const auto model = std::make_shared<const Model>(integers, ModelOptions{"auto", residency});
    std::vector<std::thread> threads;
    for (size_t t = 0; t < 3; ++t) threads.emplace_back(switch_and_run, model, t / 2);
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Session, StartsAtTheHighestWidthAndPreparesNoOtherOnFirstUse) {
  const NetworkSpec spec = small_resnet();
  const IntModel integers = random_model(spec, 4, {{4, 8}});
  const std::vector<uint8_t> image = random_image(spec, 4);
  const auto model =
      std::make_shared<const Model>(integers, ModelOptions{"auto", Residency::FirstUse});
  Session session(model);
  EXPECT_EQ(session.precisions(), std::vector<Precision>(integers.layers.size(), {8, 8}));
  EXPECT_EQ(model->packed_bytes(), 0);
  session.run(image);
  EXPECT_EQ(logits_of(session), run_reference(integers, {{8, 8}}, image).logits);
  const int64_t one_width = model->packed_bytes();
  EXPECT_GT(one_width, 0);
  session.set_precision({4, 4});
  EXPECT_GT(model->packed_bytes(), one_width);
  const int64_t before = allocations;
  for (const int bits : {8, 4, 8}) {
    session.set_precision({bits, bits});
    session.run(image);
  }
  EXPECT_EQ(allocations, before);
}

/// A model whose values at 8 bits are far larger than its readers' ranges.
IntModel too_large_at_8_bits(const NetworkSpec& spec) {
  IntModel integers = random_model(spec, 5, {{4, 8}});
  for (IntLayer& layer : integers.layers)
    for (LayerWidth& width : layer.widths)
      if (width.bits == 8) {
        std::fill(width.scale.begin(), width.scale.end(), 1e29F);
        std::fill(width.range.begin(), width.range.end(), 1e-29F);
      }
  return integers;
}

TEST(Session, RefusesAWidthThatCannotBePreparedWhenItIsAskedForAndStaysAsItWas) {
  const NetworkSpec spec = small_resnet();
  const IntModel integers = too_large_at_8_bits(spec);
  EXPECT_NE(error_of([&] { Model model(integers); }), "");
  const std::vector<uint8_t> image = random_image(spec, 5);
  for (const Residency residency : {Residency::OnDemand, Residency::FirstUse}) {
    Session session(std::make_shared<const Model>(integers, ModelOptions{"auto", residency}));
    for (int i = 0; i < 2; ++i) {
      EXPECT_NE(error_of([&] { session.run(image); }), "");
      EXPECT_NE(error_of([&] { session.set_precision({8, 8}); }), "");
    }
    session.set_precision({4, 4});
    EXPECT_NE(error_of([&] { session.set_precision({8, 8}); }), "");
    session.run(image);
    EXPECT_EQ(logits_of(session), run_reference(integers, {{4, 4}}, image).logits);
  }
}

TEST(Session, AllocatesNothingWhileItRunsOrSwitches) {
  const NetworkSpec spec = small_resnet();
  RandomModelOptions options;
  options.floats = true;
  const auto model = std::make_shared<const Model>(random_model(spec, 3, options));
  const std::vector<uint8_t> image = random_image(spec, 3);
  const std::vector<float> floats(image.size(), 0.5F);
  Session session(model), threaded(model, {2});
  const int64_t before = allocations;
  for (const int bits : {2, 8, 12, 16, 32, 4}) {
    for (Session* one : {&session, &threaded}) {
      one->set_precision({bits, bits});
      one->run(image);
      one->run(floats);
    }
  }
  EXPECT_EQ(allocations, before);
}

/// The network in doubles, straight from the spec.
class Doubles {
 public:
  explicit Doubles(const IntModel& model) : model_(model), graph_(model.spec) {}

  std::vector<double> run(const std::vector<uint8_t>& image) {
    const size_t channels = model_.spec.channels;
    std::vector<double> x;
    for (size_t i = 0; i < image.size(); ++i)
      x.push_back((image[i] / 255.0 - model_.normalisation.mean[i % channels]) /
                  model_.normalisation.deviation[i % channels]);
    values_ = {x};
    for (int node = 0; node <= graph_.output(); ++node) values_.push_back(compute(node));
    return values_.back();
  }

 private:
  double at(int value, int64_t y, int64_t x, int64_t c) const {
    const TensorShape& shape = graph_.shape(value);
    if (y < 0 || y >= shape.height || x < 0 || x >= shape.width) return NAN;
    return values_[value + 1][(y * shape.width + x) * shape.channels + c];
  }

  std::vector<double> compute(int n) const {
    const TensorShape& shape = graph_.shape(n);
    std::vector<double> out;
    for (int64_t y = 0; y < shape.height; ++y)
      for (int64_t x = 0; x < shape.width; ++x)
        for (int64_t c = 0; c < shape.channels; ++c) out.push_back(one(n, y, x, c));
    for (double& value : out) {
      if (graph_.node(n).activation != Activation::None) value = std::max(value, 0.0);
      if (graph_.node(n).activation == Activation::Relu6) value = std::min(value, 6.0);
    }
    return out;
  }

  double one(int n, int64_t y, int64_t x, int64_t c) const {
    const Node& node = graph_.node(n);
    const int from = graph_.inputs[n][0];
    const TensorShape& in = graph_.shape(from);
    double result = 0;
    switch (node.op) {
      case Op::Conv:
      case Op::Linear:
        return layer(n, y, x, c);
      case Op::Add:
        for (const int input : graph_.inputs[n]) result += at(input, y, x, c);
        return result;
      case Op::MaxPool:
      case Op::AvgPool:
        return pool(node, from, y, x, c);
      case Op::GlobalAvgPool:
        for (int64_t i = 0; i < in.height * in.width; ++i)
          result += at(from, i / in.width, i % in.width, c);
        return result / static_cast<double>(in.height * in.width);
      case Op::Flatten:
        return at(from, c / in.width % in.height, c % in.width, c / in.width / in.height);
      case Op::ChannelShuffle:
        return at(from, y, x, graph_.shuffled_from(n, c));
      case Op::Dropout:
        return at(from, y, x, c);
    }
    return NAN;
  }

  double pool(const Node& node, int from, int64_t y, int64_t x, int64_t c) const {
    double sum = 0, most = -INFINITY;
    for (int64_t r = 0; r < node.kernel; ++r)
      for (int64_t s = 0; s < node.kernel; ++s) {
        const double tap =
            at(from, y * node.stride + r - node.padding, x * node.stride + s - node.padding, c);
        if (std::isnan(tap)) continue;
        sum += tap;
        most = std::max(most, tap);
      }
    return node.op == Op::MaxPool ? most : sum / static_cast<double>(node.kernel * node.kernel);
  }

  double layer(int n, int64_t y, int64_t x, int64_t k) const {
    const int number = graph_.layer_of[n];
    const FloatLayer& floats = model_.floats[number];
    const LayerShape& loops = graph_.layers[number].loops;
    const Node& node = graph_.node(n);
    const int from = graph_.inputs[n][0];
    size_t i = k * loops.c * loops.r * loops.s;
    double sum = 0;
    for (int64_t r = 0; r < loops.r; ++r)
      for (int64_t s = 0; s < loops.s; ++s)
        for (int64_t c = 0; c < loops.c; ++c, ++i) {
          const double tap =
              at(from, y * node.stride + r * node.dilation - node.padding,
                 x * node.stride + s * node.dilation - node.padding,
                 node.op == Op::Linear ? c : k / (loops.k / loops.groups) * loops.c + c);
          if (!std::isnan(tap)) sum += floats.weights[i] * tap;
        }
    return sum * floats.scale[k] + floats.shift[k];
  }

  const IntModel& model_;
  const Graph graph_;
  std::vector<std::vector<double>> values_;
};

TEST(Session, ComputesIn32BitsWhatDoublesGive) {
  RandomModelOptions options;
  options.floats = true;
  for (const Kernels* kernels : kernel_sets())
    for (uint64_t seed = 0; seed < 200; ++seed) {
      const NetworkSpec spec = random_network(seed);
      const IntModel integers = random_model(spec, seed, options);
      Session session(
          std::make_shared<const Model>(integers, ModelOptions{std::string(kernels->name())}));
      session.set_precision({32, 32});
      const std::vector<uint8_t> image = random_image(spec, seed);
      session.run(image);
      const std::vector<double> wanted = Doubles(integers).run(image);
      for (size_t i = 0; i < wanted.size(); ++i)
        ASSERT_NEAR(session.logits()[i], wanted[i], 1e-4 * (1 + std::fabs(wanted[i])))
            << kernels->name() << ", seed " << seed;
      std::vector<float> floats;
      for (const uint8_t pixel : image) floats.push_back(static_cast<float>(pixel) / 255.0F);
      const std::vector<float> first = logits_of(session);
      session.run(floats);
      ASSERT_EQ(logits_of(session), first);
    }
}

TEST(Session, RoundsFloatImagesToPixels) {
  const NetworkSpec spec = random_network(4);
  Session session(std::make_shared<const Model>(random_model(spec, 4)));
  const std::vector<uint8_t> image = random_image(spec, 4);
  std::vector<float> floats;
  for (const uint8_t pixel : image) floats.push_back((static_cast<float>(pixel) + 0.3F) / 255.0F);
  session.run(image);
  const std::vector<float> wanted = logits_of(session);
  session.run(floats);
  EXPECT_EQ(logits_of(session), wanted);
  std::fill(floats.begin(), floats.end(), NAN);
  session.run(floats);
  const std::vector<float> black = logits_of(session);
  session.run(std::vector<uint8_t>(image.size(), 0));
  EXPECT_EQ(logits_of(session), black);
}

TEST(Session, ListsTheWidthsThereAreAndStaysAsItWas) {
  const NetworkSpec spec = random_network(5);
  RandomModelOptions options;
  options.bits = {4, 8};
  Session session(std::make_shared<const Model>(random_model(spec, 5, options)));
  EXPECT_EQ(error_of([&] {
              session.set_precision({6, 6});
            }),
            "set precision: the model was not made for 6 bits; it has 4, 8.");
  EXPECT_EQ(error_of([&] {
              session.set_precision({32, 32});
            }),
            "set precision: the model was not made for 32 bits; it has 4, 8.");
  EXPECT_EQ(error_of([&] {
              session.set_precisions(
                  {{4, 4}, {4, 4}, {4, 4}, {4, 4}, {4, 4}, {4, 4}, {4, 4}, {4, 4}, {4, 4}, {4, 4}});
            }).substr(0, 39),
            "set precision: 10 precisions are given;");
  EXPECT_EQ(session.precisions()[0], (Precision{8, 8}));
  session.run(random_image(spec, 5));
}

TEST(Session, RefusesImagesOfAnotherSizeAndNoThreads) {
  NetworkSpec spec = small_resnet();
  const auto model = std::make_shared<const Model>(random_model(spec, 6));
  Session session(model);
  EXPECT_EQ(error_of([&] { session.run(std::vector<uint8_t>(5)); }),
            "image: it has 5 values; the network takes 16 x 16 pixels of 3 channels, 768 values.");
  EXPECT_EQ(error_of([&] { Session none(model, {0}); }),
            "session: 0 threads are asked for; give 1 .. 256.");
  session.run(random_image(spec, 6));
}

TEST(Model, RefusesKernelsThatAreNotThere) {
  const IntModel integers = random_model(random_network(7), 7);
  EXPECT_EQ(error_of([&] { Model model(integers, {"portabel"}); }),
            "kernels: there are none called 'portabel' for this processor, did you mean "
            "'portable'?");
}

}  // namespace
}  // namespace instantnet::runtime
