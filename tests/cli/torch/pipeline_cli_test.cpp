// `instantnet pipeline`, as its user meets it: all stages on generated images, in seconds.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "core/helpers.h"
#include "instantnet/core/rng.h"
#include "instantnet/flow/digest.h"

namespace instantnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::slurp;
using test::spill;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const char* const kConfig = R"(bits: [2, 8, 32]
threads: 1
data: {path: 'synthetic:96x4x1x8x8', batch_size: 16, threads: 0}
search:
  space: {preset: small, cells: [1, 2], channels: [4, 8], strides: [1, 2],
          operators: [f3_e1, k3_e2, skip], stem_channels: 4, stem_stride: 1}
  weight_epochs: 1
  epochs: 1
  checkpoint_steps: 1
train: {float_epochs: 1, epochs: 1, checkpoint_steps: 1}
freeze: {calibrate: 32}
map: {accelerators: [simple3, zc706]}
budget: {policy: POLICY, trace: TRACE}
rivals:
  sp:
    train: {network: rival.yaml, loss: {kind: sp}, float_epochs: 1, epochs: 1}
    dataflows: [weight-stationary, chaidnn]
)";

/// A folder with a config and what it names; programs are run in it.
class Place {
 public:
  Place() {
    std::string text = kConfig;
    const auto put = [&](const std::string& word, const std::string& path) {
      text.replace(text.find(word), word.size(), path);
    };
    put("POLICY", folder_ / "policy.yaml");
    put("TRACE", folder_ / "trace.csv");
    put("rival.yaml", folder_ / "rival.yaml");
    spill(folder_ / "pipeline.yaml", text);
    spill(folder_ / "policy.yaml", "budget: energy\nunit: x\n");
    spill(folder_ / "trace.csv", "budget,inferences\n1,20\n100,20\n");
    spill(folder_ / "rival.yaml", rival_network());
  }

  std::vector<std::string> words(const std::string& run,
                                 const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"pipeline", "-c", folder_ / "pipeline.yaml", "-o",
                                    folder_ / run};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  ProgramResult run(const std::string& name, const std::vector<std::string>& more = {}) const {
    return run_program(INSTANTNET_PROGRAM, words(name, more));
  }
  std::string operator/(const std::string& name) const { return folder_ / name; }

 private:
  static std::string rival_network() {
    const ProgramResult yaml = run_program(
        INSTANTNET_PROGRAM, {"zoo", "resnet8-s2", "--yaml", "--classes", "4", "--input", "1x8x8"});
    EXPECT_EQ(yaml.code, 0) << yaml.err;
    return yaml.out;
  }

  TempFolder folder_;
};

/// What a flow makes that is the same in every run: all but measured times.
std::vector<std::string> lasting_parts() {
  return {"search/network.yaml",
          "search/search.json",
          "train/best",
          "model.spnet",
          "accuracy.json",
          "plans/simple3.yaml",
          "plans/zc706.yaml",
          "bundles/simple3",
          "bundles/zc706",
          "budget/simple3.json",
          "budget/zc706.csv",
          "rivals/sp/train/best",
          "rivals/sp/accuracy.json",
          "rivals/sp/plans/simple3.yaml"};
}

std::vector<std::string> stages_that_ran(const std::string& printed) {
  std::vector<std::string> ran;
  const json all = json::parse(printed);
  for (const json& one : all.at("stages"))
    if (one.at("what") == "run" || one.at("what") == "continued")
      ran.push_back(one.at("stage").get<std::string>());
  return ran;
}

TEST(PipelineVerb, GoesFromImagesToAReportAndRunsNothingTwice) {
  const Place place;
  const ProgramResult first = place.run("flow");
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("report: "));
  EXPECT_TRUE(fs::exists(place / "flow/report.html"));
  for (const std::string& one : lasting_parts()) EXPECT_TRUE(fs::exists(place / ("flow/" + one)));
  EXPECT_EQ(run_program(INSTANTNET_PROGRAM, {"verify", place / "flow/bundles/zc706"}).code, 0);

  const ProgramResult second = place.run("flow", {"--json"});
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_THAT(stages_that_ran(second.out), ElementsAre());
  // A change of the trace concerns what is run by it, and the report.
  spill(place / "trace.csv", "budget,inferences\n1,20\n2,20\n");
  const ProgramResult dry = place.run("flow", {"--dry-run"});
  EXPECT_THAT(dry.out, HasSubstr("trace.csv changed"));
  EXPECT_THAT(stages_that_ran(place.run("flow", {"--json"}).out),
              ElementsAre("run.simple3", "run.zc706", "report"));
}

TEST(PipelineVerb, KilledAtAnyMomentAndResumedItEndsWithTheSameBytes) {
  const Place place;
  const std::vector<std::string> most = {"--to", "rivals", "--resume"};
  const ProgramResult whole = place.run("flow", most);
  ASSERT_EQ(whole.code, 0) << whole.err;
  std::map<std::string, std::string> expected;
  for (const std::string& one : lasting_parts())
    expected[one] = flow::digest_of(place / ("flow/" + one));
  fs::rename(place / "flow", place / "whole");
  const uint64_t seed = 31;
  Rng rng(seed);
  const KilledRuns runs =
      run_and_kill(INSTANTNET_PROGRAM, place.words("flow", most), rng, 5, 3'000'000);
  ASSERT_EQ(runs.last.code, 0) << runs.last.err;
  for (const std::string& one : lasting_parts())
    EXPECT_EQ(flow::digest_of(place / ("flow/" + one)), expected[one])
        << one << ", seed " << seed << ", killed " << runs.killed << " times";
}

TEST(PipelineVerb, SaysWhatIsWrongBeforeAnythingRuns) {
  const Place place;
  const auto said = [&](const std::string& set) {
    const ProgramResult result = place.run("flow", {"--set", set});
    EXPECT_EQ(result.code, 2) << set;
    EXPECT_FALSE(fs::exists(place / "flow")) << set;
    return result.err;
  };
  EXPECT_THAT(said("train.epoch=3"), HasSubstr("unknown key 'epoch', did you mean 'epochs'?"));
  EXPECT_THAT(said("search.space.preset=smal"), HasSubstr("did you mean 'small'?"));
  EXPECT_THAT(said("map.accelerators=[eyris, zc706]"), HasSubstr("eyris"));
  EXPECT_THAT(said("rivals.sp.dataflows=[eyeriss, chaidnn]"),
              HasSubstr("there is no dataflow 'eyeriss'"));
  EXPECT_THAT(said("data.path=/nowhere"), HasSubstr("data.path: '/nowhere' is not there"));
  EXPECT_THAT(said("budget.trace=/nowhere"), HasSubstr("/nowhere"));
}

TEST(PipelineVerb, AStageThatFailsSaysHowToGoOn) {
  const Place place;
  spill(place / "policy.yaml", "budget: energy\nunit: pJ\n");
  const ProgramResult result = place.run("flow", {"--to", "run"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("no bit-width ever fits"));
  EXPECT_THAT(result.err, HasSubstr("the flow ends in stage 'run.simple3'; go on with: instantnet "
                                    "pipeline -c"));
  EXPECT_FALSE(fs::exists(place / "flow/budget/simple3.json"));
}

TEST(PipelineVerb, AFullDiskInAnyStageIsSaidAndLeavesNothingHalfWritten) {
  const Place place;
  const std::string limited =
      fmt::format("ulimit -f 8; exec '{}' pipeline -c '{}' -o '{}'", INSTANTNET_PROGRAM,
                  place / "pipeline.yaml", place / "flow");
  const ProgramResult result = run_program("/bin/bash", {"-c", limited});
  EXPECT_EQ(result.code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("File too large"));
  EXPECT_THAT(result.err, HasSubstr("go on with: instantnet pipeline"));
  EXPECT_EQ(place.run("flow", {"--to", "freeze", "--resume"}).code, 0);
}

}  // namespace
}  // namespace instantnet
