#include "instantnet/train/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "instantnet/train/calibrate.h"
#include "instantnet/train/loss.h"
#include "instantnet/train/start.h"
#include "train/tiny.h"

namespace instantnet::train {
namespace {

using ::testing::HasSubstr;

/// The tiny network and its images.
struct Fixture {
  explicit Fixture(std::vector<int> bits = {2, 4, 8, 32})
      : model(tiny_network(), std::move(bits), {}, 3),
        executor(nn::make_plain_executor(model, 1)),
        sources(data::open_sources(options(), 1)) {}

  static data::DataOptions options() {
    data::DataOptions options;
    options.path = "synthetic:50x4x1x8x8";
    options.batch_size = 16;
    options.threads = 0;
    return options;
  }

  /// Runs one minibatch in training mode, so that ranges and statistics are there.
  void touch() {
    data::Order order;
    const data::Batch batch = sources.train->batch(order, 0);
    executor->begin(batch.images);
    for (const int bits : model.bits()) executor->forward(bits, nn::Mode::Train);
  }

  nn::SwitchableModel model;
  std::unique_ptr<nn::Executor> executor;
  data::Sources sources;
};

TEST(Evaluate, ScoresAreThoseOfTheLogitsItHandsOut) {
  Fixture f;
  f.touch();
  at::Tensor logits;
  EvaluateExtras extras;
  extras.logits = &logits;
  const Evaluation result = evaluate(*f.executor, *f.sources.test, std::vector<int>{2, 32}, extras);
  ASSERT_EQ(logits.sizes(), (std::vector<int64_t>{2, 50, 4}));
  EXPECT_EQ(result.images, 50);
  const at::Tensor labels = at::arange(50).remainder(4);
  for (int64_t i = 0; i < 2; ++i) {
    EXPECT_DOUBLE_EQ(result.scores[i].accuracy,
                     logits[i].argmax(1).eq(labels).to(at::kDouble).mean().item<double>());
    EXPECT_NEAR(result.scores[i].loss, cross_entropy(logits[i], labels).value, 1e-12);
  }
}

TEST(Evaluate, AVectorOfPrecisionsEqualToAWidthScoresLikeIt) {
  Fixture f;
  f.touch();
  const std::vector<std::vector<Precision>> settings = {f.model.uniform(4)};
  EXPECT_EQ(evaluate(*f.executor, *f.sources.test, settings),
            evaluate(*f.executor, *f.sources.test, std::vector<int>{4}));
}

TEST(Evaluate, StopsOnRequest) {
  Fixture f;
  f.touch();
  const std::atomic<bool> stop = true;
  EXPECT_FALSE(
      evaluate(*f.executor, *f.sources.test, std::vector<int>{4}, {nullptr, &stop, nullptr})
          .complete);
}

std::map<std::string, at::Tensor> copies(const nn::SwitchableModel& model) {
  std::map<std::string, at::Tensor> all;
  for (const nn::Named& one : model.tensors()) all[one.name] = one.tensor.detach().clone();
  return all;
}

TEST(Recalibrate, ChangesOnlyTheStatisticsOfItsWidth) {
  Fixture f;
  f.touch();
  const auto before = copies(f.model);
  recalibrate(f.model, *f.executor, *f.sources.train, {4}, 50, 1);
  bool changed = false;
  for (const nn::Named& one : f.model.tensors()) {
    const bool statistic = one.role == nn::Role::NormMean || one.role == nn::Role::NormVariance;
    const bool same = one.tensor.equal(before.at(one.name));
    if (statistic && one.bits == 4)
      changed = changed || !same;
    else
      EXPECT_TRUE(same) << one.name;
  }
  EXPECT_TRUE(changed);
}

TEST(Recalibrate, AveragesBatchesByTheirImages) {
  Fixture f;
  f.touch();
  recalibrate(f.model, *f.executor, *f.sources.train, {4}, 50, 1);
  const at::Tensor mean = f.model.layer("middle").norms[1].mean.clone();
  // The same once more: the old statistics leave no trace.
  recalibrate(f.model, *f.executor, *f.sources.train, {4}, 50, 1);
  EXPECT_TRUE(f.model.layer("middle").norms[1].mean.equal(mean));
}

TEST(Recalibrate, RefusesNoImages) {
  Fixture f;
  EXPECT_THAT(
      test::error_of([&] { recalibrate(f.model, *f.executor, *f.sources.train, {4}, 0, 1); }),
      HasSubstr("0 images is too few"));
}

TEST(StartFrom, EqualWidthsTakeEverything) {
  Fixture from, to;
  from.touch();
  start_from(to.model, from.model, "there");
  const auto expected = copies(from.model);
  for (const nn::Named& one : to.model.tensors())
    EXPECT_TRUE(one.tensor.equal(expected.at(one.name)));
}

TEST(StartFrom, AnotherWidthTakesTheHighestNorms) {
  Fixture from, to({4, 6});
  from.touch();
  start_from(to.model, from.model, "there");
  const nn::Layer& source = from.model.layer("middle");
  const nn::Layer& target = to.model.layer("middle");
  EXPECT_TRUE(target.weight.equal(source.weight));
  EXPECT_TRUE(target.norms[0].mean.equal(source.norms[1].mean));
  EXPECT_TRUE(target.norms[1].mean.equal(source.norms[3].mean));
}

TEST(StartFrom, RefusesAnotherNetwork) {
  Fixture f;
  NetworkSpec other = tiny_network();
  other.nodes[1].channels = 12;
  const nn::SwitchableModel model(other, {4}, {}, 1);
  EXPECT_THAT(test::error_of([&] { start_from(f.model, model, "there"); }),
              HasSubstr("there: holds the network 'tiny'"));
}

}  // namespace
}  // namespace instantnet::train
