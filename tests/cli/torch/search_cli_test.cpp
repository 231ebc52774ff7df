// `instantnet search`, as its user meets it: on generated images, for seconds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "core/helpers.h"
#include "instantnet/core/rng.h"

namespace instantnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::slurp;
using test::spill;
using test::TempFolder;
using testing::HasSubstr;

/// A search of 27 networks: 96 images, 3 minibatches an epoch.
std::string config(const TempFolder& folder) {
  spill(folder / "search.yaml", R"(space:
  preset: small
  cells: [1, 2]
  channels: [4, 8]
  strides: [1, 2]
  operators: [f3_e1, k3_e2, skip]
  stem_channels: 4
  stem_stride: 1
bits: [2, 8, 32]
weight_epochs: 1
epochs: 2
threads: 1
data: {path: 'synthetic:96x4x1x8x8', batch_size: 16, threads: 0}
)");
  return folder / "search.yaml";
}

ProgramResult program(const std::vector<std::string>& words) {
  return run_program(INSTANTNET_PROGRAM, words);
}

std::vector<std::string> words(const TempFolder& folder, std::vector<std::string> more = {},
                               const std::string& run = "run") {
  std::vector<std::string> all = {"search", "-c", config(folder), "-o", folder / run};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

TEST(SearchVerb, FindsANetworkThatTrainTakes) {
  TempFolder folder;
  const ProgramResult result = program(words(folder));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("runner-up"));
  EXPECT_THAT(result.out, HasSubstr("inside the window"));
  for (const char* name : {"network.yaml", "search.json", "run.jsonl", "last/digests.txt"})
    EXPECT_TRUE(fs::exists(folder / (std::string("run/") + name))) << name;
  const ProgramResult trained =
      program({"train", "--network", folder / "run/network.yaml", "-o", folder / "trained", "--set",
               "data.path=synthetic:96x4x1x8x8", "--set", "float_epochs=1", "--set", "epochs=1"});
  EXPECT_EQ(trained.code, 0) << trained.err;
}

TEST(SearchVerb, ExplainsWhatItFound) {
  TempFolder folder;
  ASSERT_EQ(program(words(folder)).code, 0);
  const ProgramResult text = program({"search", "--explain", folder / "run"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("cells.2"));
  const json all = json::parse(program({"search", "--explain", folder / "run", "--json"}).out);
  EXPECT_EQ(all.at("cells").size(), 3U);
  double share = all.at("fixed_cost").get<double>() / all.at("cost").get<double>();
  for (const json& cell : all.at("cells")) share += cell.at("cost_share").get<double>();
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_EQ(program({"search", "--explain", folder / "nowhere"}).code, 2);
}

TEST(SearchVerb, SearchesForADevicesCostAndKeepsPrices) {
  TempFolder folder;
  const std::vector<std::string> cost = {"--set", "cost.kind=edp", "--json"};
  const ProgramResult result = program(words(folder, cost));
  ASSERT_EQ(result.code, 0) << result.err;
  const json found = json::parse(result.out);
  EXPECT_TRUE(found.at("inside").get<bool>());
  const std::string prices = slurp(folder / "run/prices.yaml");
  EXPECT_THAT(prices, HasSubstr("device_and_objective"));
  std::vector<std::string> again = words(folder, cost);
  again.push_back("--force");
  EXPECT_EQ(program(again).code, 0);
  EXPECT_EQ(slurp(folder / "run/prices.yaml"), prices);
}

TEST(SearchVerb, DryRunSaysWhatNetworksCost) {
  TempFolder folder;
  const ProgramResult result = program(words(folder, {"--dry-run"}));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("# networks of the space cost "));
  EXPECT_THAT(result.out, HasSubstr("operators: [f3_e1, k3_e2, skip]"));
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST(SearchVerb, MistakesLeaveNothingBehind) {
  TempFolder folder;
  const auto said = [&](const std::string& set) {
    const ProgramResult result = program(words(folder, {"--set", set}));
    EXPECT_EQ(result.code, 2);
    EXPECT_FALSE(fs::exists(folder / "run"));
    return result.err;
  };
  EXPECT_THAT(said("cost.least=1e12"), HasSubstr("least must not be above most"));
  EXPECT_THAT(said("space.operators=[f3_e1,k3_e1_g3]"), HasSubstr("do not divide"));
  EXPECT_THAT(said("space.skip_projection=false"), HasSubstr("needs a projection"));
  EXPECT_THAT(said("space.preset=smal"), HasSubstr("did you mean 'small'?"));
  EXPECT_THAT(said("alpha.rate=1"), HasSubstr("unknown key"));
}

TEST(SearchVerb, KilledAtAnyMomentAndResumedItIsTheSameSearch) {
  TempFolder folder;
  const std::vector<std::string> saves = {"--set", "checkpoint_steps=1", "--set", "epochs=4"};
  ASSERT_EQ(program(words(folder, saves, "whole")).code, 0);
  const uint64_t seed = 29;
  Rng rng(seed);
  std::vector<std::string> all = words(folder, saves, "cut");
  all.push_back("--resume");
  const KilledRuns runs = run_and_kill(INSTANTNET_PROGRAM, all, rng, 5, 900'000);
  ASSERT_EQ(runs.last.code, 0) << runs.last.err;
  for (const char* name :
       {"last/weights.safetensors", "last/optimizer.safetensors", "network.yaml", "search.json"})
    EXPECT_EQ(slurp(folder / (std::string("cut/") + name)),
              slurp(folder / (std::string("whole/") + name)))
        << name << ", seed " << seed << ", killed " << runs.killed << " times";
}

TEST(SearchVerb, InterruptedItSavesAndSaysHowToContinue) {
  TempFolder folder;
  StartedProgram started(INSTANTNET_PROGRAM,
                         words(folder, {"--set", "epochs=100000", "--set", "checkpoint_steps=1"}));
  for (int i = 0; i < 1000 && !fs::exists(folder / "run/last/digests.txt"); ++i) ::usleep(20000);
  started.send(SIGINT);
  const ProgramResult result = started.result();
  EXPECT_EQ(result.code, 130);
  EXPECT_THAT(result.err, HasSubstr("continue with: instantnet search -c"));
}

TEST(SearchVerb, HelpShowsKeysPresetsAndSpaces) {
  const ProgramResult result = program({"search", "--help"});
  EXPECT_EQ(result.code, 0);
  for (const char* key :
       {"cost.least", "alpha.lr", "space.operators", "instantnet32", "  reference\n"})
    EXPECT_THAT(result.out, HasSubstr(key));
}

}  // namespace
}  // namespace instantnet
