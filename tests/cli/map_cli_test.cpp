// The verbs map and export.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/program_under_test.h"
#include "interop/onnx_model.h"
#include "own_folder.h"

namespace instantnet {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;

/// Standard output of a run that must succeed; progress goes to standard error.
std::string mapped(std::vector<std::string> more) {
  std::vector<std::string> words = {"map", "-n", "zoo:resnet8", "-a", "simple3"};
  words.insert(words.end(), more.begin(), more.end());
  const ProgramResult result = instantnet_program(words);
  EXPECT_EQ(result.code, 0) << result.err;
  return result.out;
}

json mapped_json(std::vector<std::string> more) {
  more.push_back("--json");
  return json::parse(mapped(std::move(more)));
}

/// Without what the clock decides.
json timeless(json plan) {
  for (json& layer : plan["layers"]) layer.erase("seconds");
  return plan;
}

std::string complaint(std::vector<std::string> more) {
  std::vector<std::string> words = {"map", "-n", "zoo:resnet8", "-a", "simple3"};
  words.insert(words.end(), more.begin(), more.end());
  return complaint_of(words);
}

std::string temporary(const std::string& name, const std::string& text) {
  const std::string path = own_folder() + name;
  std::ofstream(path) << text;
  return path;
}

TEST(MapVerb, PrintsJsonAsPromised) {
  const json plan = mapped_json({"--bits", "4,8"});
  EXPECT_EQ(plan["accelerator"], "simple3");
  EXPECT_EQ(plan["objective"], "edp");
  const json& layer = plan["layers"][2];
  for (const char* key :
       {"name", "bits", "count", "shape", "energy_pj", "cycles", "edp_pj_cycles", "utilization",
        "bound_by", "lower_bound", "certified", "evaluations", "seconds", "mapping"})
    EXPECT_TRUE(layer.contains(key)) << key;
  for (const char* key : {"n", "k", "c", "p", "q", "r", "s", "stride", "groups"})
    EXPECT_TRUE(layer["shape"].contains(key)) << key;
  EXPECT_EQ(layer["certified"], true);
  for (const char* bits : {"4", "8"}) {
    double energy = 0;
    for (const json& one : plan["layers"])
      if (std::to_string(one["bits"].get<int>()) == bits)
        energy += one["count"].get<double>() * one["energy_pj"].get<double>();
    const json& total = plan["totals"][bits];
    EXPECT_EQ(total["mode"], "multi-cycle");
    EXPECT_NEAR(total["energy_pj"].get<double>(), energy, 1e-9 * energy);
    EXPECT_TRUE(total.contains("cycles") && total.contains("edp_pj_cycles"));
  }
  EXPECT_THAT(plan["unmapped"].dump(), HasSubstr("pool (global_avg_pool)"));
}

TEST(MapVerb, LoopsInJsonCoverTheLayerOutermostFirst) {
  for (const json& layer : mapped_json({"--bits", "8", "--factors", "perfect"})["layers"]) {
    std::map<std::string, int64_t> made;
    std::vector<std::string> levels;
    for (const json& level : layer["mapping"]) {
      levels.push_back(level["level"]);
      for (const json& loop : level["loops"]) {
        const std::string dim = loop["dim"];
        made[dim] = std::max<int64_t>(made[dim], 1) * loop["bound"].get<int64_t>();
        EXPECT_THAT(loop["kind"].get<std::string>(),
                    testing::AnyOf("temporal", "spatial-x", "spatial-y"));
      }
    }
    EXPECT_THAT(levels, ElementsAre("DRAM", "GLB", "RF"));
    for (const auto& [dim, bound] : made)
      EXPECT_EQ(bound, layer["shape"][dim].get<int64_t>()) << dim;
  }
}

TEST(MapVerb, GivesTheSameBytesForAnyNumberOfThreads) {
  for (const char* search : {"exact", "evolution"}) {
    const std::vector<std::string> words = {"--bits", "8", "--search", search, "--budget", "20000"};
    std::vector<std::string> two = words;
    for (const char* word : {"--threads", "2"}) two.push_back(word);
    EXPECT_EQ(timeless(mapped_json(words)), timeless(mapped_json(two))) << search;
  }
}

TEST(MapVerb, ExactIsNeverWorseThanTheRivals) {
  const json best = mapped_json({"--bits", "8"});
  for (const char* search :
       {"template:weight-stationary", "template:output-stationary", "random"}) {
    const json rival = mapped_json({"--bits", "8", "--search", search, "--budget", "2000"});
    for (size_t i = 0; i < best["layers"].size(); ++i)
      EXPECT_LE(best["layers"][i]["edp_pj_cycles"].get<double>(),
                rival["layers"][i]["edp_pj_cycles"].get<double>() * (1 + 1e-9))
          << search;
  }
}

TEST(MapVerb, PrintsLayersTotalsAndWhy) {
  const std::string out = mapped({"--bits", "4,8"});
  EXPECT_THAT(out, HasSubstr("resnet8 on simple3, objective edp, search exact, any factors\n"));
  EXPECT_THAT(out, ContainsRegex("layer +bits +count +energy +cycles +EDP +util +bound by +gap\n"));
  EXPECT_THAT(out, ContainsRegex("stem +4 .own 32. +1 .*optimal\n"));
  EXPECT_THAT(out, ContainsRegex("bits +mode +energy +cycles +interval +images/s +EDP +optimum\n"));
  EXPECT_THAT(out, HasSubstr("Multi-cycle: "));
  EXPECT_THAT(out, HasSubstr("One mapping a layer for all bit-widths"));
  EXPECT_THAT(out, HasSubstr("Not mapped: stage1.block0.add (add)"));
}

TEST(MapVerb, ShowsTheLoopNestOfAnyLayerThoughAnotherStandsForIt) {
  const std::string out = mapped({"--bits", "8", "--show", "stage1.block0.conv2"});
  EXPECT_THAT(out,
              HasSubstr("\nstage1.block0.conv2 at 8 bits: k=16 c=16 p=32 q=32 r=3 s=3\n[DRAM: "));
  EXPECT_THAT(out, HasSubstr("multiply-accumulate\n"));
  EXPECT_EQ(complaint({"--show", "stage1.block0.conv3"}),
            "instantnet: map --show: resnet8 has no layer 'stage1.block0.conv3', did you mean "
            "'stage1.block0.conv1'?\n");
}

TEST(MapVerb, PrintsTheFrontOfEnergyAndLatency) {
  const json fronts = mapped_json({"--bits", "8", "--objective", "front"});
  EXPECT_EQ(fronts["objective"], "front");
  for (const json& layer : fronts["layers"]) {
    ASSERT_GE(layer["front"].size(), 1u);
    for (size_t i = 1; i < layer["front"].size(); ++i) {
      EXPECT_LT(layer["front"][i]["cycles"], layer["front"][i - 1]["cycles"]);
      EXPECT_GT(layer["front"][i]["energy_pj"], layer["front"][i - 1]["energy_pj"]);
    }
  }
  EXPECT_THAT(mapped({"--bits", "8", "--objective", "front"}), HasSubstr("energy against latency"));
  EXPECT_THAT(complaint({"--objective", "front", "-o", "x.yaml"}), HasSubstr("no plan (-o)"));
}

TEST(MapVerb, TakesBitsAndConstraintsFromFiles) {
  const std::string bits = temporary("map_cli_bits.yaml", "stem: 8\n");
  const json plan = mapped_json({"--bits", "4", "--bits-file", bits});
  const json whole = mapped_json({"--bits", "8", "--bits-file", bits});
  EXPECT_EQ(plan["layers"][0]["energy_pj"], whole["layers"][0]["energy_pj"]);
  std::remove(bits.c_str());
  const std::string fixed =
      temporary("map_cli_constraints.yaml", "- {level: GLB, spatial_dims: [k, c]}\n");
  const ProgramResult result =
      instantnet_program({"map", "-n", "zoo:resnet8", "-a", "simple3", "--bits", "8",
                          "--constraints", fixed, "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  for (const json& layer : json::parse(result.out)["layers"])
    for (const json& loop : layer["mapping"][1]["loops"]) {
      if (loop["kind"] == "temporal") continue;
      EXPECT_THAT(loop["dim"].get<std::string>(), testing::AnyOf("k", "c"));
    }
  std::remove(fixed.c_str());
}

TEST(MapVerb, MapsAnOnnxModel) {
  interop::OnnxModel model;
  interop::set(
      model.node("Conv", "a", {model.input("x", {0, 3, 16, 16}), model.weights("w", {8, 3, 3, 3})}),
      "bits", 8);
  model.node("Relu", "relu", {"a_out"});
  model.node("Conv", "b", {"relu_out", model.weights("v", {8, 1, 3, 3})});
  interop::set(*model.graph().mutable_node(2), "group", 8);
  const interop::TemporaryFile file("map_cli.onnx", model.proto.SerializeAsString());
  const auto plan_at = [&](const std::string& batch) {
    return json::parse(instantnet_program({"map", "-n", file.path(), "-a", "simple3", "--bits", "4",
                                           "--batch", batch, "--json"})
                           .out);
  };
  const json plan = plan_at("2");
  EXPECT_EQ(plan["network"], "map_cli");
  EXPECT_EQ(plan["unmapped"], json({"relu (Relu)"}));
  ASSERT_EQ(plan["layers"].size(), 2u);
  EXPECT_EQ(plan["layers"][0]["shape"]["n"], 2);
  EXPECT_EQ(plan["layers"][1]["shape"]["groups"], 8);
  EXPECT_LE(plan["totals"]["4"]["energy_pj"],
            plan_at("1")["totals"]["4"]["energy_pj"]);  // of one image
}

TEST(MapVerb, MapsAPipeline) {
  const json plan = mapped_json({"--bits", "8", "--mode", "pipeline", "--objective", "throughput",
                                 "--factors", "perfect", "--search", "template:weight-stationary"});
  EXPECT_EQ(plan["totals"]["8"]["mode"], "pipeline");
}

TEST(MapVerb, NamesEachMistake) {
  EXPECT_THAT(complaint({"--search", "exat"}),
              HasSubstr("map --search: is 'exat', did you mean 'exact'?"));
  EXPECT_THAT(complaint({"--search", "template:row"}), HasSubstr("there is no template 'row'"));
  EXPECT_THAT(complaint({"--search", "template"}), HasSubstr("template needs a name"));
  EXPECT_THAT(complaint({"--objective", "fornt"}),
              HasSubstr("there is no objective 'fornt', did you mean 'front'?"));
  EXPECT_EQ(complaint({"--threads", "0"}),
            "instantnet: map --threads: is 0; give an integer from 1 to 1024 (threads).\n");
  EXPECT_THAT(complaint({"--bits", "8,4"}), HasSubstr("map --bits: "));
  EXPECT_THAT(complaint({"--bits", "17"}), HasSubstr("map --bits: "));
  EXPECT_THAT(complaint({"--mode", "both"}), HasSubstr("map --mode: is 'both'"));
  EXPECT_THAT(complaint_of({"map", "-n", "resnet8", "-a", "simple3"}),
              HasSubstr("'resnet8' is not a network; give zoo:NAME"));
  EXPECT_THAT(complaint_of({"map", "-n", "zoo:resnet9", "-a", "simple3"}),
              HasSubstr("did you mean 'resnet8'?"));
  EXPECT_THAT(complaint_of({"map", "-n", "/nonexistent.onnx", "-a", "simple3"}),
              HasSubstr("/nonexistent.onnx"));
  EXPECT_THAT(complaint_of({"map", "-n", "zoo:resnet8", "-a", "simple33"}),
              HasSubstr("did you mean 'simple3'?"));
}

TEST(MapVerb, ShowsDefaultsInItsHelp) {
  EXPECT_THAT(output_of({"map", "--help"}),
              AllOf(HasSubstr("(default: edp)"), HasSubstr("4,8,12,16,32)"),
                    HasSubstr("row-stationary"), HasSubstr("(default: auto)")));
}

TEST(ExportVerb, WritesTimeloopFilesOfAPlan) {
  const std::string plan = own_folder() + "map_cli_plan.yaml";
  const std::string folder = own_folder() + "map_cli_timeloop";
  EXPECT_THAT(mapped({"--bits", "8", "-o", plan}), HasSubstr("plan in " + plan));
  const std::string out = output_of({"export", plan, "--format", "timeloop", "-o", folder});
  EXPECT_EQ(out, folder + ": 9 folders, see " + folder + "/README.txt\n");
  for (const char* name : {"problem", "architecture", "ert", "mapping", "expected"})
    EXPECT_TRUE(std::filesystem::exists(folder + "/fc-8bit/" + name + ".yaml")) << name;
  EXPECT_EQ(json::parse(output_of(
                {"export", plan, "--format", "timeloop", "-o", folder, "--json"}))["folders"]
                .size(),
            9u);
  EXPECT_THAT(complaint_of({"export", plan, "--format", "timelop", "-o", folder}),
              HasSubstr("did you mean 'timeloop'?"));
  EXPECT_THAT(complaint_of({"export", "/nonexistent.yaml", "--format", "timeloop", "-o", folder}),
              HasSubstr("/nonexistent.yaml"));
  std::remove(plan.c_str());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace instantnet
