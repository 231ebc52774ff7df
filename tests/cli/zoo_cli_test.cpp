#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/program_under_test.h"
#include "instantnet/core/file.h"
#include "own_folder.h"

namespace instantnet {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(RunProgram, HandsOverInputAndBothOutputs) {
  const ProgramResult result =
      run_program("/bin/sh", {"-c", "cat; echo \"$0\" >&2; exit 3", "a b"}, "hello");
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.out, "hello");
  EXPECT_EQ(result.err, "a b\n");
}

TEST(RunProgram, TellsASignalAndAMissingProgram) {
  EXPECT_EQ(run_program("/bin/sh", {"-c", "kill -9 $$"}).code, 128 + 9);
  EXPECT_EQ(run_program("/nonexistent", {}).code, 127);
}

TEST(Program, PrintsItsVersion) {
  EXPECT_THAT(output_of({"--version"}), ContainsRegex("^instantnet [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(Program, ListsItsVerbsInTheHelp) {
  EXPECT_THAT(output_of({"--help"}), AllOf(HasSubstr("zoo"), HasSubstr("train"), HasSubstr("eval"),
                                           HasSubstr("data"), HasSubstr("import")));
}

TEST(Program, NamesTheNearestVerbOrAllOfThem) {
  EXPECT_EQ(complaint_of({"zo"}), "instantnet: unknown verb 'zo', did you mean 'zoo'?\n");
  EXPECT_EQ(complaint_of({"tarin", "--help"}),
            "instantnet: unknown verb 'tarin', did you mean 'train'?\n");
  const std::string known =
      "zoo, map, cost, accelerators, export, inspect, infer, bench, bundle, verify, run, data, "
      "report, completion, pipeline, search, "
      "train, eval, freeze, import";
  EXPECT_EQ(complaint_of({"serve"}),
            "instantnet: unknown verb 'serve'; known are " + known + ".\n");
  EXPECT_EQ(complaint_of({}),
            "instantnet: no verb is given; known are " + known + " (see 'instantnet --help').\n");
}

TEST(Program, WithoutLibtorchSaysHowToGetTheVerbsThatNeedIt) {
  if (output_of({"--help"}).find("needs a program built with libtorch") == std::string::npos)
    GTEST_SKIP() << "this program was built with libtorch";
  for (const char* verb : {"train", "eval", "freeze", "import"})
    EXPECT_EQ(complaint_of({verb, "x", "-c", "y", "--set", "a=b"}),
              std::string("instantnet: ") + verb +
                  ": this program was built without libtorch; install libtorch-dev, then build "
                  "with 'cmake --preset "
                  "release' and 'cmake --build --preset release'.\n");
}

TEST(ZooVerb, ListsEveryNetworkWithItsCosts) {
  const std::string out = output_of({"zoo"});
  EXPECT_THAT(out, ContainsRegex("name +input +classes +layers +MACs +parameters\n"));
  EXPECT_THAT(out, ContainsRegex("resnet50 +3x224x224 +1000 +54 +4\\.089 G +25\\.56 M\n"));
  EXPECT_THAT(out, HasSubstr("resnet8, resnet20, resnet38, resnet74\n    ResNet for small"));
  EXPECT_THAT(out, ContainsRegex("space:skip +3x32x32 +100 +"));
}

TEST(ZooVerb, ListsEveryNetworkAsJson) {
  const auto json = nlohmann::json::parse(output_of({"zoo", "--json"}));
  ASSERT_EQ(json.size(), 21u);
  EXPECT_EQ(json[0]["name"], "resnet8");
  EXPECT_EQ(json[0]["input"], nlohmann::json({3, 32, 32}));
  EXPECT_EQ(json[0]["layers"], 10);
}

TEST(ZooVerb, PrintsTheLayersOfOneNetwork) {
  const std::string out = output_of({"zoo", "resnet8"});
  EXPECT_THAT(out, ContainsRegex("stem +conv +16x32x32 +3x3 +442\\.4 k +464 +32\n"));
  EXPECT_THAT(
      out, ContainsRegex("stage2.block0.shortcut +conv +32x16x16 +1x1/2 +131\\.1 k +576 +any\n"));
  EXPECT_THAT(out, ContainsRegex("pool +global_avg_pool +64 +- +- +- +-\n"));
  EXPECT_THAT(out, HasSubstr("resnet8: input 3x32x32, 10 classes, 10 layers with weights\n"));
  EXPECT_THAT(out, HasSubstr("12.50 M MACs (12501632), 78.04 k parameters (78042)\n"));
}

TEST(ZooVerb, ShowsGroups) {
  EXPECT_THAT(output_of({"zoo", "mobilenetv2-cifar"}), ContainsRegex("conv +96x32x32 +3x3 g96 "));
}

TEST(Program, FitsATerminalOfEightyColumns) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--help"},
                                             {"zoo", "--help"},
                                             {"map", "--help"},
                                             {"cost", "--help"},
                                             {"train", "--help"},
                                             {"zoo"},
                                             {"zoo", "resnet20"}}) {
    std::istringstream lines(instantnet_program(words).out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(ZooVerb, PrintsTheLayersOfOneNetworkAsJson) {
  const auto json = nlohmann::json::parse(output_of({"zoo", "resnet18", "--json"}));
  EXPECT_EQ(json["parameters"], 11689512);
  EXPECT_EQ(json["macs"], 1814073344);
  EXPECT_EQ(json["nodes"][0]["name"], "stem");
  EXPECT_EQ(json["nodes"][0]["output"], nlohmann::json({64, 112, 112}));
  EXPECT_EQ(json["nodes"][0]["bits"], 32);
}

TEST(ZooVerb, ResizesANetwork) {
  const auto json = nlohmann::json::parse(
      output_of({"zoo", "resnet20", "--classes", "100", "--input", "1x28x24", "--json"}));
  EXPECT_EQ(json["classes"], 100);
  EXPECT_EQ(json["input"], nlohmann::json({1, 28, 24}));
}

TEST(ZooVerb, ReadsTheFileItPrints) {
  const std::string path = own_folder() + "zoo_cli_test.yaml";
  const std::string yaml = output_of({"zoo", "mobilenetv2-cifar", "--yaml"});
  write_file_atomic(path, yaml);
  EXPECT_EQ(output_of({"zoo", path, "--yaml"}), yaml);
  EXPECT_EQ(output_of({"zoo", path}), output_of({"zoo", "mobilenetv2-cifar"}));
  std::remove(path.c_str());
}

TEST(ZooVerb, NamesTheNearestNetwork) {
  EXPECT_EQ(complaint_of({"zoo", "resnet21"}),
            "instantnet: zoo: there is no network 'resnet21', did you mean 'resnet20'?\n");
}

TEST(ZooVerb, NamesFileAndLineOfAMistake) {
  const std::string path = own_folder() + "zoo_cli_broken.yaml";
  write_file_atomic(path,
                    "name: x\ninput: [3, 8, 8]\nclasses: 2\nnodes:\n  - {name: fc, op: linaer}\n");
  EXPECT_EQ(complaint_of({"zoo", path}),
            "instantnet: " + path + ":5: unknown op 'linaer', did you mean 'linear'?\n");
  std::remove(path.c_str());
}

TEST(ZooVerb, NamesAFileThatIsMissing) {
  EXPECT_THAT(complaint_of({"zoo", "/nonexistent/network.yaml"}),
              HasSubstr("/nonexistent/network.yaml"));
}

TEST(ZooVerb, RefusesAnImageSizeThatIsNone) {
  for (const char* text : {"3x32", "3x32x32x1", "axbxc", "3x32x0", "-1x2x3", "3x32x32 ", "x",
                           "3x32x99999999999999999999"})
    EXPECT_EQ(complaint_of({"zoo", "resnet8", std::string("--input=") + text}),
              std::string("instantnet: zoo --input: '") + text +
                  "' is not an image size; give channels x height x width, for example 3x32x32.\n");
}

TEST(ZooVerb, RefusesSizesForFilesAndForTheList) {
  const std::string path = own_folder() + "zoo_cli_sizes.yaml";
  write_file_atomic(path, output_of({"zoo", "resnet8", "--yaml"}));
  EXPECT_THAT(complaint_of({"zoo", path, "--classes", "3"}),
              HasSubstr("change networks of the zoo, not files"));
  std::remove(path.c_str());
  EXPECT_THAT(complaint_of({"zoo", "--classes", "3"}), HasSubstr("are for one network; name it"));
}

TEST(ZooVerb, RefusesOptionsItDoesNotKnowOrThatExcludeEachOther) {
  EXPECT_EQ(complaint_of({"zoo", "--yml"}),
            "instantnet: zoo: unknown option '--yml', did you mean '--yaml'?\n");
  EXPECT_EQ(complaint_of({"zoo", "--calsses=3", "--nonsense"}),
            "instantnet: zoo: unknown option '--calsses', did you mean '--classes'?\n");
  EXPECT_EQ(complaint_of({"zoo", "resnet8", "vgg16"}),
            "instantnet: zoo: 'vgg16' is a word too many; see 'instantnet zoo --help'.\n");
  EXPECT_EQ(complaint_of({"zoo", "resnet8", "--yaml", "--json"}),
            "instantnet: zoo: --yaml excludes --json; see 'instantnet zoo --help'.\n");
  EXPECT_EQ(complaint_of({"--halp"}),
            "instantnet: unknown option '--halp', did you mean '--help'?\n");
}

TEST(ZooVerb, RefusesNumbersThatAreNone) {
  for (const char* text : {"0", "x", "3.5", "-1"})
    EXPECT_EQ(complaint_of({"zoo", "resnet8", std::string("--classes=") + text}),
              std::string("instantnet: zoo: --classes: '") + text +
                  "' is not a whole number, 1 or more; see 'instantnet zoo --help'.\n");
  EXPECT_EQ(complaint_of({"zoo", "resnet8", "--classes"}),
            "instantnet: zoo: --classes takes one value; see 'instantnet zoo --help'.\n");
}

TEST(ZooVerb, ShowsDefaultsInItsHelp) {
  EXPECT_THAT(output_of({"zoo", "--help"}),
              AllOf(HasSubstr("--classes"), HasSubstr("the network's own")));
}

}  // namespace
}  // namespace instantnet
