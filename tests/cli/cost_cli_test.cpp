// The verbs accelerators and cost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/program_under_test.h"
#include "own_folder.h"

namespace instantnet {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;

/// A mapping of k=8,c=8,p=8,q=8,r=3,s=3 on simple3 (the golden file's G1).
constexpr const char* kMapping =
    "- {level: DRAM, temporal: [k2]}\n"
    "- {level: GLB, temporal: [c2, q8, p8], spatial_x: [k4], spatial_y: [c4]}\n"
    "- {level: RF, temporal: [s3, r3]}\n";

class CostVerb : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) {
    paths_.push_back(own_folder() + name);
    std::ofstream(paths_.back()) << text;
    return paths_.back();
  }
  void TearDown() override {
    for (const std::string& path : paths_) std::remove(path.c_str());
  }
  std::vector<std::string> words(const std::string& mapping, const std::string& layer = kLayer) {
    return {"cost", "-a", "simple3", "-l", layer, "-m", file("cost_cli_mapping.yaml", mapping)};
  }
  static constexpr const char* kLayer = "k=8,c=8,p=8,q=8,r=3,s=3";

 private:
  std::vector<std::string> paths_;
};

TEST_F(CostVerb, PrintsAccessesEnergyCyclesAndTheLoopNest) {
  const std::string out = output_of(words(kMapping));
  EXPECT_THAT(out, HasSubstr("k=8 c=8 p=8 q=8 r=3 s=3\non simple3 at 16 bits: "));
  EXPECT_THAT(out, ContainsRegex("level +tensor +reads +updates +fills +energy +cycles\n"));
  EXPECT_THAT(out, ContainsRegex("MAC +36\\.86 k +36\\.86 nJ +2\\.304 k compute\n"));
  EXPECT_THAT(out, HasSubstr("for c in 0..3 across rows (y)\n"));
  EXPECT_THAT(out, HasSubstr("multiply-accumulate\n"));
}

TEST_F(CostVerb, PrintsJson) {
  auto arguments = words(kMapping);
  arguments.push_back("--json");
  const json cost = json::parse(output_of(arguments));
  EXPECT_EQ(cost["accelerator"], "simple3");
  EXPECT_EQ(cost["macs"], 8 * 8 * 8 * 8 * 9);
  EXPECT_EQ(cost["compute_cycles"], 2304);
  EXPECT_EQ(cost["shape"]["r"], 3);
  EXPECT_EQ(cost["edp_pj_cycles"].get<double>(),
            cost["energy_pj"].get<double>() * cost["cycles"].get<double>());
  double parts = cost["mac_pj"].get<double>() + cost["static_pj"].get<double>();
  for (const json& level : cost["levels"]) {
    parts += level["network_pj"].get<double>();
    for (const char* tensor : {"weights", "inputs", "outputs"})
      parts += level[tensor]["energy_pj"].get<double>();
  }
  EXPECT_NEAR(parts, cost["energy_pj"].get<double>(), 1e-9 * parts);
  EXPECT_EQ(cost["mapping"][1]["level"], "GLB");
  EXPECT_EQ(cost["mapping"][1]["loops"].dump(),
            R"([{"bound":2,"dim":"c","kind":"temporal"},{"bound":8,"dim":"q","kind":"temporal"},)"
            R"({"bound":8,"dim":"p","kind":"temporal"},{"bound":4,"dim":"c","kind":"spatial-y"},)"
            R"({"bound":4,"dim":"k","kind":"spatial-x"}])");
}

TEST_F(CostVerb, NarrowerDataCostLess) {
  double before = 0;
  for (const char* bits : {"2", "4", "8", "w8a16", "16"}) {
    auto arguments = words(kMapping);
    for (const char* word : {"--bits", bits, "--json"}) arguments.push_back(word);
    const double energy = json::parse(output_of(arguments))["energy_pj"].get<double>();
    EXPECT_GT(energy, before) << bits;
    before = energy;
  }
}

TEST_F(CostVerb, SaysWhyAMappingDoesNotFit) {
  EXPECT_THAT(complaint_of(words("- {level: DRAM, temporal: [c8, p8, q8]}\n"
                                 "- {level: GLB, spatial_x: [k8, r3, s3]}\n"
                                 "- {level: RF}\n")),
              testing::StartsWith("instantnet: " + own_folder() + "cost_cli_mapping.yaml"));
  const std::string told =
      complaint_of(words("- {level: DRAM}\n- {level: GLB}\n"
                         "- {level: RF, temporal: [k8, c8, p8, q8, r3, s3]}\n"));
  EXPECT_THAT(told, HasSubstr("RF"));
  EXPECT_THAT(told, HasSubstr("64"));
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 1);
}

TEST_F(CostVerb, NamesTheMistakeInALayer) {
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"k=8,m=4",
       "'m' is no size of a layer; known are n, k, c, p, q, r, s, stride, dilation, groups."},
      {"k=8,strides=2", "'strides' is no size of a layer, did you mean 'stride'?"},
      {"k=8,k=8", "k is given twice; give each size once."},
      {"k=0", "'k=0' is not a size; give a name and a whole number from 1 on, for example k=64."},
      {"k=8x", "'k=8x' is not a size; give a name and a whole number from 1 on, for example k=64."},
      {"k", "'k' is not a size; give a name and a whole number from 1 on, for example k=64."},
      {"", "'' is no size of a layer; known are n, k, c, p, q, r, s, stride, dilation, groups."},
      {"k=6,groups=4", "k is 6 and groups 4; k must be a multiple of groups."},
      {"k=999999999999999999999",
       "'k=999999999999999999999' is not a size; give a name and a whole number from 1 on, for "
       "example "
       "k=64."}};
  for (const auto& [layer, sentence] : mistakes)
    EXPECT_EQ(complaint_of(words(kMapping, layer)), "instantnet: cost --layer: " + sentence + "\n");
}

TEST_F(CostVerb, NamesFileAndLineOfAMistakeInAMapping) {
  EXPECT_THAT(complaint_of(words("- {level: DRAM}\n- {level: GBL}\n- {level: RF}\n")),
              AllOf(HasSubstr("cost_cli_mapping.yaml:2"), HasSubstr("did you mean 'GLB'?")));
  EXPECT_THAT(complaint_of({"cost", "-a", "simpel3", "-l", kLayer, "-m", "x"}),
              HasSubstr("did you mean 'simple3'?"));
  EXPECT_THAT(complaint_of({"cost", "-a", "simple3", "-l", kLayer}),
              HasSubstr("--mapping is required"));
  auto arguments = words(kMapping);
  for (const char* word : {"--bits", "17"}) arguments.push_back(word);
  EXPECT_THAT(complaint_of(arguments), HasSubstr("cost --bits: "));
}

TEST(AcceleratorsVerb, ListsThePresetsWithTheirSizes) {
  const std::string out = output_of({"accelerators"});
  EXPECT_THAT(out, ContainsRegex("name +levels +multipliers +on chip +MHz\n"));
  EXPECT_THAT(out, ContainsRegex("simple3 +DRAM > GLB > RF +256 +160\\.0 KiB +"));
}

TEST(AcceleratorsVerb, PrintsEveryPresetWithSources) {
  for (const json& device : json::parse(output_of({"accelerators", "--json"}))) {
    const std::string name = device["name"];
    EXPECT_THAT(output_of({"accelerators", name}),
                AllOf(HasSubstr(name + ": "), HasSubstr("Sources:\n")));
    EXPECT_EQ(json::parse(output_of({"accelerators", name, "--json"})), device);
  }
}

TEST(AcceleratorsVerb, ReadsTheFileItPrints) {
  const std::string path = own_folder() + "accelerators_cli.yaml";
  const std::string yaml = output_of({"accelerators", "simple3", "--yaml"});
  std::ofstream(path) << yaml;
  EXPECT_EQ(output_of({"accelerators", path, "--yaml"}), yaml);
  std::remove(path.c_str());
}

TEST(AcceleratorsVerb, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(complaint_of({"accelerators", "eyeris"}), HasSubstr("did you mean 'eyeriss'?"));
  EXPECT_THAT(complaint_of({"accelerators", "--yaml"}),
              HasSubstr("--yaml is for one device; name it"));
}

}  // namespace
}  // namespace instantnet
