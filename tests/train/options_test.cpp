#include "instantnet/train/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/helpers.h"
#include "instantnet/nn/authors.h"
#include "instantnet/train/device.h"
#include "train/tiny.h"

namespace instantnet::train {
namespace {

using test::error_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

TrainOptions from_yaml(const std::string& text, const std::vector<std::string>& sets = {}) {
  return load_train_options(parse_yaml(text, "train.yaml"), sets);
}

std::string text_of(TrainOptions options) { return print_yaml(to_tree(fields(options))); }

TEST(TrainOptionsFile, EveryPresetLoadsAndReadsBackAsWritten) {
  for (const std::string& name : preset_names()) {
    const TrainOptions options = preset(name);
    EXPECT_NO_THROW(check(options)) << name;
    EXPECT_EQ(text_of(from_yaml(text_of(options))), text_of(options)) << name;
    EXPECT_FALSE(describe_preset(name).empty());
  }
}

TEST(TrainOptionsFile, EveryKeyHasHelp) {
  TrainOptions options;
  const std::function<void(const Fields&)> visit = [&](const Fields& all) {
    for (const Fields::Field& field : all.all()) {
      EXPECT_FALSE(field.help.empty()) << field.name;
      if (field.group) visit(*field.group);
    }
  };
  visit(fields(options));
}

TEST(TrainOptionsFile, PresetComesFirstThenKeysThenSets) {
  const TrainOptions options = from_yaml("epochs: 7\npreset: paper\nloss: {weight: 0.5}\n",
                                         {"loss.weight=0.25", "bits=2,8"});
  EXPECT_EQ(options.epochs, 7);
  EXPECT_EQ(options.optimizer.lr, 0.025);
  EXPECT_EQ(options.loss.weight, 0.25);
  EXPECT_FALSE(options.loss.per_teacher);
  EXPECT_EQ(options.bits, (std::vector<int>{2, 8}));
}

TEST(TrainOptionsFile, PresetOfSetsBeatsThatOfTheFile) {
  EXPECT_EQ(from_yaml("preset: paper", {"preset=adabits"}).loss.kind, LossKind::Joint);
}

TEST(TrainOptionsFile, DefaultIsTheRecipe) {
  const TrainOptions options = from_yaml("{}");
  EXPECT_EQ(options.loss.kind, LossKind::Cdt);
  EXPECT_EQ(options.loss.weight, 0.1);
  EXPECT_TRUE(options.loss.per_teacher);
  EXPECT_EQ(options.schedule.update, Update::Each);
  EXPECT_EQ(options.model.quant.kind, quant::Kind::Nested);
  EXPECT_GT(options.float_epochs, 0);
}

TEST(TrainOptionsFile, ReferenceHasTheAuthorsQuirks) {
  const TrainOptions options = preset("reference");
  EXPECT_EQ(options.model.quant.range_scope, quant::RangeScope::Shared);
  EXPECT_EQ(options.model.quant.range_momentum, 0.9);
  EXPECT_FALSE(options.model.quant.range_starts_at_first_batch);
  EXPECT_EQ(options.model.norm_scope, nn::NormScope::QuantizedOnly);
  EXPECT_FALSE(options.loss.mean);
  EXPECT_EQ(options.optimizer.clip_norm, 0);
  EXPECT_EQ(options.optimizer.single_width_clip_norm, 5);
}

TEST(TrainOptionsFile, ReferenceHasTheModelThatAuthorsCheckpointsAreReadInto) {
  TrainOptions options = preset("reference");
  nn::ModelOptions authors = nn::authors_model_options();
  EXPECT_EQ(print_yaml(to_tree(nn::fields(options.model))),
            print_yaml(to_tree(nn::fields(authors))));
}

TEST(TrainOptionsFile, NamesTheNearestPresetAndKey) {
  EXPECT_THAT(error_of([] { from_yaml("preset: papr"); }),
              AllOf(HasSubstr("papr"), HasSubstr("paper")));
  EXPECT_THAT(error_of([] { from_yaml("los: {kind: sp}"); }),
              AllOf(HasSubstr("los"), HasSubstr("loss")));
  EXPECT_THAT(error_of([] { from_yaml("{}", {"loss.knd=sp"}); }), HasSubstr("kind"));
}

struct Mistake {
  std::string set, sentence;
};

TEST(TrainOptionsFile, EachMistakeHasItsSentence) {
  const std::vector<Mistake> mistakes = {
      {"bits=8,4", "must ascend"},
      {"bits=4,17", "17"},
      {"loss.width_weights=1,2", "loss.width_weights has 2 numbers for 5 bit-widths"},
      {"schedule.order=low_first", "schedule.order is low_first"},
      {"optimizer.betas=0.9", "optimizer.betas has 1 numbers"},
      {"optimizer.betas=0.9,1", "optimizer.betas holds 1"},
      {"lr.milestones=80,20", "lr.milestones [80, 20] is not ascending"},
      {"lr.final=1", "lr.final is 1, above the highest learning rate 0.05"},
      {"loss.label_smoothing=2", "from 0 to 1"},
      {"epochs=-1", ">= 0"},
      {"loss.kind=best", "cdt"},
      {"data.batch_size=0", "batch_size"},
  };
  for (const Mistake& one : mistakes)
    EXPECT_THAT(error_of([&] { from_yaml("{}", {one.set}); }), HasSubstr(one.sentence)) << one.set;
}

TEST(TrainOptionsFile, NamesTheFileInWhichSomethingDoesNotFit) {
  EXPECT_THAT(error_of([] { from_yaml("bits: [8, 4]"); }),
              HasSubstr("train.yaml: bits: bit-widths [8, 4] must ascend without repeats"));
  EXPECT_THAT(error_of([] { from_yaml("{}", {"lr.final=1"}); }),
              HasSubstr("train.yaml with --set: lr.final is 1, above"));
}

TEST(CheckDevice, NamesOneThatIsUnknownOrNotThere) {
  EXPECT_NO_THROW(check_device("cpu", "device"));
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:-1", ""})
    EXPECT_EQ(error_of([&] { check_device(name, "device"); }),
              std::string("device: there is no device '") + name + "'; give cpu, cuda, or cuda:N.");
  EXPECT_THAT(error_of([] { check_device("cuda:4096", "device"); }),
              HasSubstr("device: 'cuda:4096' is asked for, but "));
}

TEST(TrainOptionsFile, ContradictionsHaveTheirSentences) {
  EXPECT_THAT(error_of([] { from_yaml("{epochs: 0, float_epochs: 0}"); }), HasSubstr("both 0"));
  EXPECT_THAT(error_of([] { from_yaml("optimizer: {nesterov: true, momentum: 0}"); }),
              HasSubstr("optimizer.nesterov is true with momentum 0"));
  EXPECT_THAT(error_of([] { from_yaml("{independent_too: true, loss: {kind: independent}}"); }),
              HasSubstr("independent_too"));
}

TEST(TrainOptionsFile, ChecksRangesOfOptionsMadeByAProgram) {
  TrainOptions options;
  options.evaluate_every = 0;
  EXPECT_THAT(error_of([&] { check(options); }), HasSubstr("evaluate_every"));
}

TEST(ResolveNetwork, MakesZooNetworksForTheData) {
  TrainOptions options;
  options.network = "resnet8";
  options.first_bits = 8;
  const NetworkSpec spec = resolve_network(options, 7, {1, 28, 28});
  EXPECT_EQ(spec.classes, 7);
  EXPECT_EQ(spec.channels, 1);
  EXPECT_EQ(spec.nodes.front().bits, 8);
  options.network = "space:k3_e1";
  EXPECT_EQ(resolve_network(options, 10, {3, 32, 32}).classes, 10);
}

TEST(ResolveNetwork, RefusesAFileThatDoesNotFitTheData) {
  const test::TempFolder folder;
  const TrainOptions options = tiny_options(folder);
  EXPECT_EQ(resolve_network(options, 4, {1, 8, 8}), tiny_network());
  EXPECT_THAT(
      error_of([&] {
        resolve_network(options, 10, {1, 8, 8});
      }),
      HasSubstr("the network has 4 classes, but the data set 'synthetic:128x4x1x8x8' has 10"));
  EXPECT_THAT(
      error_of([&] {
        resolve_network(options, 4, {1, 28, 28});
      }),
      HasSubstr("takes images of 1x8x8, but the data set 'synthetic:128x4x1x8x8' gives 1x28x28"));
}

TEST(SameRun, NamesTheFirstKeyThatDiffers) {
  TrainOptions before, now;
  now.threads = 7;
  const auto tree = [](TrainOptions& options) { return to_tree(fields(options)); };
  EXPECT_NO_THROW(check_same_run(tree(before), tree(now), "run"));
  now.loss.weight = 0.5;
  EXPECT_THAT(error_of([&] { check_same_run(tree(before), tree(now), "run"); }),
              HasSubstr("loss.weight = 0.1, now it is 0.5"));
}

}  // namespace
}  // namespace instantnet::train
