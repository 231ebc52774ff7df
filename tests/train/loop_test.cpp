#include "instantnet/train/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "instantnet/core/file.h"
#include "instantnet/train/minibatch.h"
#include "train/tiny.h"

namespace instantnet::train {
namespace {

using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Train, DefaultPresetLearnsAtEveryWidth) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.float_epochs = 8;
  options.epochs = 8;
  const TrainResult result = train_quietly(options, folder / "run");
  EXPECT_EQ(result.bits, options.bits);
  ASSERT_EQ(result.evaluation.scores.size(), 4U);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_GT(result.evaluation.scores[i].accuracy, 0.5) << options.bits[i];
  EXPECT_EQ(result.state.phase, "done");
  EXPECT_EQ(result.state.total_steps, 64);
}

TEST(Train, LeavesTheCheckpointsAndLogsItPromises) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.keep_last = 2;
  train_quietly(options, folder / "run");
  EXPECT_TRUE(std::filesystem::exists(folder / "run/config.yaml"));
  for (const std::string name : {"last", "best", "float", "kept/joint-0002", "kept/joint-0003"})
    EXPECT_NO_THROW(load_checkpoint(folder / "run/" + name)) << name;
  EXPECT_FALSE(std::filesystem::exists(folder / "run/kept/joint-0001"));
  EXPECT_GT(std::filesystem::file_size(folder / ("run/" + std::string(kEventFile))), 0U);
  const std::string log = test::slurp(folder / "run/run.jsonl");
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1 + 2 + 3 + 1);
  EXPECT_THAT(log, AllOf(HasSubstr("\"evaluated_on\""), HasSubstr("\"images_per_second\"")));
}

TEST(Train, CheckpointGivesTheModelThatWasEvaluated) {
  const TempFolder folder;
  const TrainOptions options = tiny_options(folder);
  const TrainResult result = train_quietly(options, folder / "run");
  nn::SwitchableModel model = make_model(load_checkpoint(folder / "run/last"));
  const auto executor = nn::make_executor(model, 1);
  const data::Sources sources = data::open_sources(options.data, options.seed);
  EXPECT_EQ(evaluate(*executor, *sources.test, options.bits), result.evaluation);
}

TEST(Train, EveryPresetAndKindOfLossAndScheduleRuns) {
  const TempFolder folder;
  std::vector<TrainOptions> all;
  for (const std::string& name : preset_names()) all.push_back(tiny_options(folder, name));
  for (const auto& [kind, name] : names_of(LossKind{})) {
    all.push_back(tiny_options(folder));
    all.back().loss.kind = kind;
    all.back().loss.distance = Distance::Kl;
  }
  for (const auto& [schedule, name] : names_of(WidthSchedule{})) {
    all.push_back(tiny_options(folder));
    all.back().schedule.widths = schedule;
    all.back().schedule.curriculum_epochs = 1;
  }
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].epochs = 1.5;
    all[i].float_epochs = all[i].float_epochs > 0 ? 1 : 0;
    const TrainResult result = train_quietly(all[i], folder / ("run" + std::to_string(i)));
    EXPECT_EQ(result.evaluation.scores.size(), 4U) << i;
    EXPECT_FALSE(result.stopped);
  }
}

TEST(Train, CdtWithOnePrecisionIsPlainCrossEntropyByteForByte) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.bits = {4};
  options.loss.weight = 1;
  train_quietly(options, folder / "cdt");
  options.loss.kind = LossKind::Joint;
  train_quietly(options, folder / "joint");
  EXPECT_EQ(bytes_of(folder / "cdt/last").at("weights.safetensors"),
            bytes_of(folder / "joint/last").at("weights.safetensors"));
}

TEST(Train, SameSeedGivesTheSameBytesWithOneAndTwoThreads) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  train_quietly(options, folder / "one");
  options.threads = 2;
  options.data.threads = 2;
  train_quietly(options, folder / "two");
  for (const char* name : {"weights.safetensors", "optimizer.safetensors"})
    EXPECT_EQ(bytes_of(folder / "one/last").at(name), bytes_of(folder / "two/last").at(name))
        << name;
}

TEST(Train, AnotherSeedGivesOtherBytes) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  train_quietly(options, folder / "one");
  options.seed = 2;
  train_quietly(options, folder / "two");
  EXPECT_NE(bytes_of(folder / "one/last").at("weights.safetensors"),
            bytes_of(folder / "two/last").at("weights.safetensors"));
}

/// Runs in pieces, each stopped after `updates` reports of progress; returns how many there were.
int run_in_pieces(const TrainOptions& options, const std::string& folder, int updates) {
  for (int pieces = 1;; ++pieces) {
    std::atomic<bool> stop = false;
    StopAfter progress(stop, updates);
    if (!train(options, folder, pieces > 1, progress, &stop).stopped) return pieces;
    if (pieces == 100) throw std::runtime_error("the pieces make no progress");
  }
}

TEST(Train, StoppedAnywhereAndResumedGivesTheSameCheckpoints) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.optimizer.kind = OptimizerKind::Adam;
  options.optimizer.lr = options.optimizer.float_lr = 0.01;
  train_quietly(options, folder / "whole");
  for (const int updates : {5, 7, 13}) {
    const std::string pieces = folder / ("pieces" + std::to_string(updates));
    EXPECT_GT(run_in_pieces(options, pieces, updates), 3);
    for (const std::string name : {"/last", "/best", "/float"})
      EXPECT_EQ(bytes_of(pieces + name), bytes_of(folder / "whole" + name)) << updates << name;
  }
}

TEST(Train, StoppedWhileItEvaluatesRecalibratedNormsGivesTheSameCheckpoint) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.recalibrate_images = 64;
  train_quietly(options, folder / "whole");
  EXPECT_GT(run_in_pieces(options, folder / "pieces", 15), 2);
  EXPECT_EQ(bytes_of(folder / "pieces/last"), bytes_of(folder / "whole/last"));
}

TEST(Train, ResumedFromAnOlderCheckpointAsAfterAKillGivesTheSameBytes) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.checkpoint_steps = 3;
  options.keep_last = 100;
  train_quietly(options, folder / "run");
  const auto expected = bytes_of(folder / "run/last");
  for (const std::string kept : {"float-0001", "float-0002", "joint-0001", "joint-0003"}) {
    std::filesystem::remove_all(folder / "run/last");
    std::filesystem::copy(folder / "run/kept/" + kept, folder / "run/last",
                          std::filesystem::copy_options::recursive);
    train_quietly(options, folder / "run", /*resume=*/true);
    EXPECT_EQ(bytes_of(folder / "run/last"), expected) << kept;
  }
}

TEST(Train, ResumingAFinishedRunChangesNothing) {
  const TempFolder folder;
  const TrainOptions options = tiny_options(folder);
  const TrainResult first = train_quietly(options, folder / "run");
  const auto expected = bytes_of(folder / "run/last");
  EXPECT_EQ(train_quietly(options, folder / "run", /*resume=*/true).evaluation, first.evaluation);
  EXPECT_EQ(bytes_of(folder / "run/last"), expected);
}

TEST(Train, RefusesAFolderThatHoldsARun) {
  const TempFolder folder;
  const TrainOptions options = tiny_options(folder);
  train_quietly(options, folder / "run");
  EXPECT_THAT(test::error_of([&] { train_quietly(options, folder / "run"); }),
              HasSubstr("holds a run already; continue it with --resume"));
}

TEST(Train, ABadStartLeavesNothingBehind) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.start_from = folder / "nowhere";
  EXPECT_THAT(test::error_of([&] { train_quietly(options, folder / "run"); }),
              HasSubstr("nowhere: there is no such checkpoint folder"));
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(Train, RefusesToStartFromAnotherNetworkAndLeavesNothingBehind) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  train_quietly(options, folder / "first");
  options.start_from = folder / "first/best";
  options.network = "resnet8";
  EXPECT_THAT(
      test::error_of([&] { train_quietly(options, folder / "run"); }),
      AllOf(HasSubstr("first/best: holds the network 'tiny' (3 layers, 4 classes), which is "
                      "not the one to train, 'resnet8'"),
            HasSubstr("give a checkpoint of the same network")));
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(Train, ItsConfigRunsItAgain) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.loss.weight = 0.25;
  train_quietly(options, folder / "run");
  const TrainOptions again = load_train_options(folder / ("run/" + std::string(kConfigFile)));
  EXPECT_EQ(again.loss.weight, 0.25);
  train_quietly(again, folder / "again");
  EXPECT_EQ(bytes_of(folder / "again/last"), bytes_of(folder / "run/last"));
}

TEST(Train, LeavesAConfigThatIsTheUsersAlone) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "run");
  test::spill(folder / "run/config.yaml", "epochs: 3\n");
  EXPECT_THAT(test::error_of([&] { train_quietly(tiny_options(folder), folder / "run"); }),
              HasSubstr("run/config.yaml: is not of a run, and training would write its own"));
  EXPECT_EQ(test::slurp(folder / "run/config.yaml"), "epochs: 3\n");
  EXPECT_FALSE(std::filesystem::exists(folder / "run/run.jsonl"));
}

TEST(Train, RefusesToResumeWithOtherOptions) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  train_quietly(options, folder / "run");
  options.optimizer.lr = 0.01;
  EXPECT_THAT(test::error_of([&] { train_quietly(options, folder / "run", true); }),
              HasSubstr("optimizer.lr = 0.05, now it is 0.01"));
}

TEST(Train, StopsAtALossThatIsNotFiniteAndKeepsTheLastCheckpoint) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.checkpoint_steps = 1;
  options.optimizer.lr = 1e30;
  options.optimizer.clip_norm = 0;
  const std::string message = test::error_of([&] { train_quietly(options, folder / "run"); });
  EXPECT_THAT(message,
              testing::ContainsRegex(
                  "is not finite in the joint phase, step [0-9]+ "
                  "\\(epoch [0-9]+\\), at [0-9]+ bits; give a smaller "
                  "optimizer.lr.*The checkpoint after minibatch [0-9]+ is kept in .*/run/last"));
  for (const auto& [name, tensor] : load_checkpoint(folder / "run/last").weights)
    EXPECT_TRUE(!tensor.is_floating_point() || tensor.isfinite().all().item<bool>()) << name;
}

TEST(Train, RefusesMinibatchesThatNeverFill) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.drop_last = true;
  options.data.batch_size = 1000;
  EXPECT_THAT(test::error_of([&] { train_quietly(options, folder / "run"); }),
              HasSubstr("data.batch_size: is 1000 with drop_last, but there are 128"));
}

TEST(Train, EvaluatesEpochsOnValidationWhenThereIsOne) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.data.validation = 0.25;
  train_quietly(options, folder / "run");
  EXPECT_THAT(test::slurp(folder / "run/run.jsonl"), HasSubstr("\"validation\""));
}

TEST(Train, StartsFromACheckpointOfOtherWidths) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  train_quietly(options, folder / "first");
  options.start_from = folder / "first/best";
  options.bits = {3, 8};
  options.float_epochs = 0;
  EXPECT_EQ(train_quietly(options, folder / "second").evaluation.scores.size(), 2U);
}

TEST(Train, WidthsMayLack32) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.bits = {2, 4};
  EXPECT_EQ(train_quietly(options, folder / "run").evaluation.scores.size(), 2U);
}

TEST(Independent, NetworksShareTheFloatPhaseOfTheSwitchableOne) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.bits = {2, 8};
  options.independent_too = true;
  const TrainResult both = train_quietly(options, folder / "both");
  ASSERT_EQ(both.independent.scores.size(), 2U);
  options.independent_too = false;
  options.loss.kind = LossKind::Independent;
  const TrainResult alone = train_quietly(options, folder / "alone");
  EXPECT_EQ(alone.evaluation, both.independent);
  for (const std::string name : {"/bits-2/last", "/bits-8/last"})
    EXPECT_EQ(bytes_of(folder / "alone" + name), bytes_of(folder / "both" + name)) << name;
}

TEST(Independent, StoppedAnywhereAndResumedGivesTheSameBytes) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.bits = {2, 8};
  options.loss.kind = LossKind::Independent;
  train_quietly(options, folder / "whole");
  EXPECT_GT(run_in_pieces(options, folder / "pieces", 17), 3);
  EXPECT_EQ(bytes_of(folder / "pieces/bits-8/last"), bytes_of(folder / "whole/bits-8/last"));
}

TEST(Minibatch, MaxLossTrainsTheWidthWithTheLargestLoss) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  nn::SwitchableModel model(tiny_network(), {2, 8, 32}, {}, 1);
  const auto executor = nn::make_plain_executor(model, 1);
  const auto optimizer = make_optimizer(options.optimizer, model.parameters());
  GradientExchange alone;
  MinibatchTrainer trainer(*executor, *optimizer, alone, options.loss);
  StepPlan plan;
  plan.widths = {32, 8, 2};
  plan.weights = {1, 1, 1};
  plan.kind = LossKind::MaxLoss;
  plan.beta = 1;
  const data::Sources sources = data::open_sources(options.data, 1);
  const std::vector<WidthRecord> records = trainer.run(sources.train->batch({}, 0), plan);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].distill > 0, records[0].bits != 32);
}

/// Gives back what it was told to: the mean gradient that all workers together have.
class GivenMean : public GradientExchange {
 public:
  explicit GivenMean(std::vector<at::Tensor> mean) : mean_(std::move(mean)) {}
  void exchange(std::vector<at::Tensor>& gradients) override {
    for (size_t i = 0; i < gradients.size(); ++i)
      if (gradients[i].defined()) gradients[i].copy_(mean_[i]);
  }

 private:
  std::vector<at::Tensor> mean_;
};

/// Keeps a copy of the gradients it sees.
class Recorder : public GradientExchange {
 public:
  void exchange(std::vector<at::Tensor>& gradients) override {
    seen.clear();
    for (const at::Tensor& one : gradients) seen.push_back(one.defined() ? one.clone() : one);
  }
  std::vector<at::Tensor> seen;
};

/// The second of two workers, without the first.
class SecondWorker : public GradientExchange {
 public:
  int64_t rank() const override { return 1; }
  int64_t ranks() const override { return 2; }
  void wait() override { ++waits; }
  int waits = 0;
};

TEST(GradientExchangeOfTwoWorkers, OnlyTheFirstWrites) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  options.keep_last = 1;
  options.checkpoint_steps = 1;
  Progress quiet;
  SecondWorker second;
  EXPECT_FALSE(train(options, folder / "run", false, quiet, nullptr, &second).stopped);
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
  EXPECT_GT(second.waits, 5);
}

/// A network without batch norm, whose gradient over a batch is the mean of those over its halves.
NetworkSpec network_without_norms() {
  NetworkSpec spec = tiny_network();
  for (Node& node : spec.nodes)
    if (node.op == Op::Conv) {
      node.batch_norm = false;
      node.bias = true;
    }
  return spec;
}

/// One step at 32 bits from the same weights, with the gradients passed through `exchange`; returns
/// the weights after it.
std::vector<at::Tensor> one_step(const data::Batch& batch, GradientExchange& exchange) {
  nn::SwitchableModel model(network_without_norms(), {32}, {}, 1);
  const auto executor = nn::make_plain_executor(model, 1);
  OptimizerOptions options;
  const auto optimizer = make_optimizer(options, model.parameters());
  StepPlan plan;
  plan.widths = {32};
  plan.weights = {1};
  plan.lr = 0.1;
  const LossOptions loss;
  MinibatchTrainer(*executor, *optimizer, exchange, loss).run(batch, plan);
  std::vector<at::Tensor> weights;
  for (const nn::Named& one : model.parameters()) weights.push_back(one.tensor.detach().clone());
  return weights;
}

// Each of two workers reads every second image of the same order; with mean gradients both step as
// one worker with the whole batch does. Batch norms would differ: each worker's see its half only.
TEST(GradientExchangeOfTwoWorkers, GivesTheStepOfTheWholeBatch) {
  const TempFolder folder;
  TrainOptions options = tiny_options(folder);
  const data::Sources whole = data::open_sources(options.data, 1);
  options.data.batch_size /= 2;
  const data::Sources half = data::open_sources(options.data, 1);
  Recorder first, second, all;
  data::Order order;
  order.ranks = 2;
  const data::Batch first_batch = half.train->batch(order, 0);
  one_step(first_batch, first);
  order.rank = 1;
  one_step(half.train->batch(order, 0), second);
  std::vector<at::Tensor> mean;
  for (size_t i = 0; i < first.seen.size(); ++i)
    mean.push_back(first.seen[i].defined() ? (first.seen[i] + second.seen[i]) / 2 : first.seen[i]);
  GivenMean averaging(mean);
  const auto together = one_step(first_batch, averaging);
  const auto alone = one_step(whole.train->batch({}, 0), all);
  for (size_t i = 0; i < alone.size(); ++i) EXPECT_TRUE(together[i].allclose(alone[i], 1e-4, 1e-6));
}

}  // namespace
}  // namespace instantnet::train
