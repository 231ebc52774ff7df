// export --format hls.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
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
using testing::Contains;
using testing::HasSubstr;

const std::string& model() {
  static const std::string path = [] {
    runtime::RandomModelOptions options;
    options.bits = {4, 8};
    options.floats = true;
    const std::string file = own_folder() + "m.spnet";
    write_model(runtime::random_model(zoo_network("resnet8"), 1, options), file);
    return file;
  }();
  return path;
}

std::string plan_for(const std::string& device, const std::string& bits,
                     const std::string& network = "zoo:resnet8") {
  const std::string path = own_folder() + device + bits + network.substr(4) + ".yaml";
  if (!std::filesystem::exists(path)) {
    const ProgramResult mapped =
        instantnet_program({"map", "-n", network, "-a", device, "--bits", bits, "-o", path});
    EXPECT_EQ(mapped.code, 0) << mapped.err;
  }
  return path;
}

std::vector<std::string> words(const std::string& plan, const std::string& folder) {
  return {"export", model(), "--format", "hls", "--plan", plan, "-o", own_folder() + folder};
}

TEST(ExportHls, WritesAFolderAndSaysWhatIsInIt) {
  std::vector<std::string> all = words(plan_for("zc706", "4,8"), "json");
  all.insert(all.end(), {"--json", "--images", "2"});
  const json result = json::parse(output_of(all));
  EXPECT_EQ(result["bits"], json({4, 8}));
  EXPECT_EQ(result["pipeline"], false);
  EXPECT_EQ(result["float_left_out"], true);
  EXPECT_THAT(result["files"], Contains("golden/image_1_bits_8.txt"));
  for (const std::string file : result["files"])
    EXPECT_TRUE(std::filesystem::exists(own_folder() + "json/" + file)) << file;
  const std::string text = output_of(words(plan_for("zc706", "4,8"), "text"));
  EXPECT_THAT(text, AllOf(HasSubstr("resnet8 on zc706 at 4, 8 bits, multi-cycle"),
                          HasSubstr("The 32-bit width is left out")));
}

TEST(ExportHls, LeavesAFolderThatIsThereAlone) {
  std::vector<std::string> all = words(plan_for("zc706", "4,8"), "twice");
  output_of(all);
  EXPECT_THAT(complaint_of(all), AllOf(HasSubstr("it exists"), HasSubstr("--force")));
  all.emplace_back("--force");
  all.insert(all.end(), {"--bits", "8"});
  EXPECT_THAT(output_of(all), HasSubstr("at 8 bits"));
}

TEST(ExportHls, NamesWhatIsWrong) {
  EXPECT_THAT(complaint_of({"export", model(), "--format", "hls", "-o", own_folder() + "none"}),
              AllOf(HasSubstr("export --plan"), HasSubstr("give it")));
  EXPECT_THAT(complaint_of(words(plan_for("eyeriss", "4,8"), "none")),
              HasSubstr("'eyeriss', which is not an FPGA"));
  EXPECT_THAT(complaint_of(words(plan_for("zc706", "8"), "none")),
              HasSubstr("no mappings at 4 bits"));
  EXPECT_THAT(complaint_of(words(plan_for("zc706", "4,8", "zoo:resnet20"), "none")),
              HasSubstr("not of the network 'resnet8'"));
  EXPECT_THAT(complaint_of({"export", model(), "--format", "qdq", "--bits", "8", "--force", "-o",
                            own_folder() + "none"}),
              AllOf(HasSubstr("--force"), HasSubstr("hls only")));
  EXPECT_FALSE(std::filesystem::exists(own_folder() + "none"));
}

}  // namespace
}  // namespace instantnet
