// The verbs bundle, verify and run.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/program_under_test.h"
#include "instantnet/core/file.h"
#include "instantnet/net/zoo.h"
#include "own_folder.h"
#include "runtime/random_model.h"

namespace instantnet {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

const std::string kImages = "synthetic:20x10x3x32x32";

std::string text_file(const std::string& name, const std::string& text) {
  const std::string path = own_folder() + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

const std::string& model() {
  static const std::string path = [] {
    const std::string file = own_folder() + "m.spnet";
    write_model(runtime::random_model(zoo_network("resnet8"), 1, {{2, 4, 8}}), file);
    return file;
  }();
  return path;
}

/// A bundle with accuracies that `infer` measured.
const std::string& bundle() {
  static const std::string path = [] {
    const std::string plan = own_folder() + "plan.yaml", folder = own_folder() + "bundle";
    const ProgramResult mapped = instantnet_program(
        {"map", "-n", "zoo:resnet8", "-a", "simple3", "--bits", "2,4,8", "-o", plan});
    EXPECT_EQ(mapped.code, 0) << mapped.err;
    const ProgramResult scores =
        instantnet_program({"infer", model(), "--data", kImages, "--json"});
    EXPECT_EQ(scores.code, 0) << scores.err;
    const std::string accuracy = text_file("accuracy.json", scores.out);
    output_of({"bundle", model(), plan, "--accuracy", accuracy, "-o", folder});
    return folder;
  }();
  return path;
}

json result_of(std::vector<std::string> words) {
  words.push_back("--json");
  const ProgramResult result = instantnet_program(words);
  EXPECT_EQ(result.code, 0) << result.err;
  return json::parse(result.out);
}

double energy_pj(const std::string& bits) {
  return result_of({"run", bundle(), "--data", kImages, "--limit", "1", "--precision",
                    bits})["costs"][bits]["energy_pj"];
}

TEST(VerifyVerb, AcceptsABundleAndNamesWhatIsWrong) {
  EXPECT_THAT(output_of({"verify", bundle()}), HasSubstr("is right"));
  EXPECT_EQ(result_of({"verify", bundle()})["sound"], true);
  const std::string broken = own_folder() + "broken";
  std::filesystem::copy(bundle(), broken);
  std::ofstream(broken + "/plan.yaml", std::ios::app) << "#";
  EXPECT_THAT(complaint_of({"verify", broken}), HasSubstr("plan.yaml: has "));
  const ProgramResult said = instantnet_program({"verify", broken, "--json"});
  EXPECT_EQ(said.code, 2);
  EXPECT_EQ(json::parse(said.out)["problems"].size(), 1U);
  EXPECT_THAT(complaint_of({"run", broken, "--data", kImages}), HasSubstr("plan.yaml: has "));
  EXPECT_THAT(complaint_of({"verify", own_folder() + "none"}), HasSubstr("is no folder"));
}

TEST(RunVerb, GivesWhatInferGivesAndWhatItCosts) {
  const json run = result_of({"run", bundle(), "--data", kImages});
  const json infer = result_of({"infer", model(), "--data", kImages});
  EXPECT_EQ(run["accuracy"], infer["accuracy"]);
  EXPECT_EQ(run["loss"], infer["loss"]);
  EXPECT_FALSE(infer.contains("costs"));
  for (const char* bits : {"2", "4", "8"}) {
    EXPECT_GT(run["costs"][bits]["energy_pj"], 0);
    EXPECT_GT(run["costs"][bits]["latency_ms"], 0);
  }
  const ProgramResult mixed = instantnet_program(
      {"run", bundle(), "--data", kImages, "--precisions", "stage1.block0.conv1=4"});
  EXPECT_EQ(mixed.code, 0) << mixed.err;
  EXPECT_THAT(mixed.out, AllOf(HasSubstr("mixed"), Not(HasSubstr("energy"))));
}

TEST(RunVerb, FollowsABudgetTheSameWayForAnyNumberOfThreads) {
  const double low = energy_pj("2"), high = energy_pj("8");
  const std::string policy = text_file("policy.yaml", "budget: energy\nunit: pJ\nhold: 2\n");
  const std::string trace = text_file(
      "trace.csv",
      fmt::format("budget,inferences\n{},3\n{},4\n{},5\n{},30\n", high, low, low / 2, 2 * high));
  const std::string csv = own_folder() + "out.csv";
  const auto run = [&](const std::string& threads) {
    return result_of({"run", bundle(), "--policy", policy, "--trace", trace, "--data", kImages,
                      "--threads", threads, "-o", csv});
  };
  const json one = run("1");
  const std::string lines = read_file(csv);
  EXPECT_EQ(run("3"), one);
  EXPECT_EQ(read_file(csv), lines);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 43);
  const json& outcome = one["policy"];
  EXPECT_EQ(outcome["inferences"], 42);
  EXPECT_EQ(outcome["violations"], 5);
  EXPECT_EQ(one["fixed"]["2"]["violations"], 5);
  EXPECT_EQ(one["fixed"]["8"]["violations"], 9);
  double energy = 0;
  for (const char* bits : {"2", "4", "8"})
    energy += outcome["inferences_by_bits"][bits].get<double>() * energy_pj(bits);
  EXPECT_NEAR(outcome["energy_pj"].get<double>(), energy, 1e-9 * energy);
  EXPECT_TRUE(outcome.contains("accuracy") && outcome.contains("expected_accuracy"));
  const json unlabelled = result_of({"run", bundle(), "--policy", policy, "--trace", trace});
  EXPECT_FALSE(unlabelled["policy"].contains("accuracy"));
  EXPECT_EQ(unlabelled["policy"]["energy_pj"], outcome["energy_pj"]);
}

TEST(RunVerb, RefusesWhatDoesNotGoTogether) {
  const std::string policy = text_file("p.yaml", "budget: energy\nunit: pJ\n");
  const std::string trace = text_file("small.csv", "budget\n1\n");
  EXPECT_THAT(complaint_of({"run", bundle()}), HasSubstr("give one of --image FILE and --data"));
  EXPECT_THAT(complaint_of({"run", bundle(), "--policy", policy}),
              HasSubstr("give --policy and --trace together"));
  EXPECT_THAT(
      complaint_of({"run", bundle(), "--policy", policy, "--trace", trace, "--precision", "4"}),
      HasSubstr("--policy chooses the bit-widths itself"));
  EXPECT_THAT(complaint_of({"run", bundle(), "--policy", policy, "--trace", trace}),
              AllOf(HasSubstr("no bit-width ever fits"), HasSubstr("(2 bits) needs")));
  EXPECT_THAT(complaint_of({"run", bundle(), "--data", kImages, "--precision", "16"}),
              HasSubstr("it has 2, 4, 8"));
  EXPECT_THAT(complaint_of({"run", bundle(), "--image", policy}), HasSubstr("p.yaml"));
  EXPECT_THAT(complaint_of({"run", bundle(), "--data", "synthetic:20x7x3x32x32"}),
              HasSubstr("has 7 classes"));
}

}  // namespace
}  // namespace instantnet
