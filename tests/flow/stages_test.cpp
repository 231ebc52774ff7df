#include "instantnet/flow/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/helpers.h"
#include "instantnet/core/file.h"
#include "instantnet/flow/options.h"

namespace instantnet::flow {
namespace {

using test::error_of;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;

PipelineOptions options_of(const std::string& text) {
  const TempFolder folder;
  write_file_atomic(folder / "pipeline.yaml", text);
  return load_pipeline_options(folder / "pipeline.yaml");
}

const char* const kSmall = R"(
bits: [2, 8]
data: {path: images, batch_size: 32}
search: {epochs: 3, data: {limit: 100}}
train: {epochs: 1}
map: {accelerators: [eyeriss, boards/mine.yaml]}
)";

const char* const kWhole = R"(
bits: [2, 8]
data: {path: images}
map: {accelerators: [eyeriss]}
budget: {policy: p.yaml, trace: t.csv}
rivals:
  sp: {train: {network: resnet8, loss: {kind: sp}}, dataflows: [eyeriss]}
)";

std::vector<std::string> names_of(const std::vector<Stage>& stages) {
  std::vector<std::string> names;
  for (const Stage& one : stages) names.push_back(one.name);
  return names;
}

TEST(Stages, AreTheFlow) {
  EXPECT_THAT(names_of(stages_of(options_of(kSmall), 2)),
              ElementsAre("search", "train", "freeze", "evaluate.accuracy", "evaluate.layers",
                          "evaluate.latency", "map.eyeriss", "map.mine", "bundle.eyeriss",
                          "bundle.mine", "report"));
}

TEST(Stages, HaveBudgetsAndRivalsWhereAskedFor) {
  EXPECT_THAT(
      names_of(stages_of(options_of(kWhole), 2)),
      ElementsAre("search", "train", "freeze", "evaluate.accuracy", "evaluate.layers",
                  "evaluate.latency", "map.eyeriss", "bundle.eyeriss", "run.eyeriss",
                  "rivals.sp.train", "rivals.sp.accuracy", "rivals.sp.map.eyeriss", "report"));
}

/// Whether `path` is one of `made`, or lies in one.
bool is_made(const std::set<std::string>& made, const std::string& path) {
  return std::any_of(made.begin(), made.end(), [&](const std::string& one) {
    return path == one || path.starts_with(one + "/");
  });
}

TEST(Stages, ReadOnlyWhatIsGivenOrMadeBefore) {
  for (const char* text : {kSmall, kWhole}) {
    std::set<std::string> made;
    for (const Stage& stage : stages_of(options_of(text), 2)) {
      for (const std::string& one : stage.inputs) {
        const bool ours = one.starts_with(kFolderMark) && !one.ends_with("run.jsonl");
        EXPECT_TRUE(!ours || is_made(made, one)) << stage.name << " " << one;
      }
      made.insert(stage.outputs.begin(), stage.outputs.end());
    }
  }
}

TEST(Stages, ANetworkTakesTheSearchsPlace) {
  const auto stages = stages_of(options_of("data: {path: images}\nnetwork: resnet8\n"), 1);
  EXPECT_EQ(stages[0].name, "train");
  EXPECT_THAT(stages[0].configs.at(0).second, HasSubstr("network: resnet8"));
}

TEST(Stages, ThreadsAreNoPartOfTheCommand) {
  const PipelineOptions options = options_of(kWhole);
  const auto one = stages_of(options, 1), two = stages_of(options, 2);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_EQ(one[i].command, two[i].command);
  EXPECT_NE(one[0].speed, two[0].speed);
}

TEST(PipelineOptions, MergeSharedKeysIntoEveryTraining) {
  const PipelineOptions options = options_of(kSmall);
  EXPECT_EQ(print_json(search_config(options)),
            R"({"bits": [2, 8], "data": {"path": "images", "batch_size": 32, "limit": 100}, )"
            R"("seed": 1, "epochs": 3})");
  EXPECT_EQ(
      print_json(train_config(options)),
      R"({"bits": [2, 8], "data": {"path": "images", "batch_size": 32}, "seed": 1, "epochs": 1})");
  EXPECT_EQ(evaluation_data(options), "images");
}

TEST(PipelineOptions, SetReachesIntoAStagesKeys) {
  const TempFolder folder;
  write_file_atomic(folder / "pipeline.yaml", kSmall);
  const PipelineOptions options =
      load_pipeline_options(folder / "pipeline.yaml",
                            {"train.epochs=5", "train.loss.kind=sp", "data.path=more", "seed=3"});
  EXPECT_EQ(
      print_json(train_config(options)),
      R"({"bits": [2, 8], "data": {"path": "more", "batch_size": 32}, "seed": 3, "epochs": 5, )"
      R"("loss": {"kind": "sp"}})");
}

TEST(PipelineOptions, SayWhatIsWrong) {
  const auto says = [](const std::string& text) {
    return error_of([&] { stages_of(options_of("data: {path: images}\n" + text), 1); });
  };
  EXPECT_THAT(says("bits: [8, 4]"), HasSubstr("bits: are [8, 4]; give them ascending"));
  EXPECT_THAT(says("serach: {}"), HasSubstr("did you mean 'search'"));
  EXPECT_THAT(says("train: {bits: [2]}"),
              HasSubstr("pipeline.yaml:2: train has a key 'bits'; it holds for all stages"));
  EXPECT_THAT(says("train: 3"), HasSubstr("train is 3; give a map with keys of train.yaml"));
  EXPECT_THAT(says("budget: {policy: p.yaml}"), HasSubstr("has a policy and no trace"));
  EXPECT_THAT(says("map: {accelerators: []}"), HasSubstr("map.accelerators: is empty"));
  EXPECT_THAT(says("map: {accelerators: [a, b/a.yaml]}"), HasSubstr("'a' is there twice"));
  EXPECT_THAT(says("rivals: {sp: {dataflows: [x, y, z]}}"),
              HasSubstr("rivals.sp has 3 dataflows for 2 accelerators"));
  EXPECT_THAT(says("rivals: {sp: {flow: [x]}}"), HasSubstr("unknown key 'flow'"));
  EXPECT_THAT(says("rivals: {'a/b': {}}"), HasSubstr("the rival's name 'a/b'"));
  EXPECT_THAT(error_of([] { options_of("seed: 1"); }), HasSubstr("data: has no path"));
}

}  // namespace
}  // namespace instantnet::flow
