// Files of every version that the program reads (tests/formats), and of one that it does not know.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "cli/program_under_test.h"
#include "instantnet/core/file.h"
#include "own_folder.h"

namespace instantnet {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string kept(const std::string& name) { return INSTANTNET_SOURCE_DIR "/tests/formats/" + name; }

std::string written(const std::string& name, const std::string& bytes) {
  write_file_atomic(own_folder() + name, bytes);
  return own_folder() + name;
}

/// The bytes of a file of hexadecimal digits.
std::string from_hex(const std::string& text) {
  std::string digits, bytes;
  for (const char c : text)
    if (std::isxdigit(static_cast<unsigned char>(c)) != 0) digits += c;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

std::string model_bytes() { return from_hex(read_file(kept("model-3.hex"))); }

/// The text with another version: as `version: 1` is there, or in front.
std::string of_version(const std::string& text, int version) {
  const std::string line = "version: 1\n";
  const size_t at = text.find(line);
  return fmt::format("version: {}\n", version) +
         (at == std::string::npos ? text : text.substr(0, at) + text.substr(at + line.size()));
}

TEST(Versions, ANetworkAndADeviceOfVersion1AreReadWithTheNumberAndWithout) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"zoo", "network-1.yaml"}, {"accelerators", "accelerator-1.yaml"}};
  for (const auto& [verb, name] : files) {
    const std::string text = read_file(kept(name));
    EXPECT_EQ(output_of({verb, kept(name), "--yaml"}),
              output_of({verb, written(name, of_version(text, 1)), "--yaml"}));
    EXPECT_THAT(complaint_of({verb, written(name, of_version(text, 2))}),
                HasSubstr(fmt::format("{}:1: is of version 2 of {}.yaml; this program reads "
                                      "versions up to 1. Use a newer InstantNet",
                                      own_folder() + name, name.substr(0, name.find('-')))));
  }
}

TEST(Versions, APlanOfVersion1IsReadWithTheNumberAndWithout) {
  const std::string text = read_file(kept("plan-1.yaml")), out = own_folder() + "kept-timeloop";
  ASSERT_TRUE(text.starts_with("version: 1\n"));
  for (const std::string& path : {kept("plan-1.yaml"), written("plan.yaml", text.substr(11))})
    EXPECT_EQ(instantnet_program({"export", path, "--format", "timeloop", "-o", out}).code, 0);
  EXPECT_THAT(
      complaint_of(
          {"export", written("plan.yaml", of_version(text, 7)), "--format", "timeloop", "-o", out}),
      HasSubstr("plan.yaml:1: is of version 7 of plan.yaml; this program reads versions up to 1. "
                "Use a newer InstantNet, or map the network again.\n"));
}

TEST(Versions, AModelOfVersion3IsReadAndOlderAndNewerOnesAreTold) {
  std::string bytes = model_bytes();
  const std::string path = written("model.spnet", bytes);
  EXPECT_THAT(output_of({"inspect", path}), HasSubstr("kept, image 2x6x6, 3 classes"));
  bytes[8] = 2;
  EXPECT_EQ(complaint_of({"inspect", written("model.spnet", bytes)}),
            "instantnet: " + path +
                ": is of version 2 of model.spnet; this program reads versions from 3 on. Use the "
                "InstantNet that wrote it, or freeze the network again.\n");
  bytes[8] = 4;
  EXPECT_EQ(complaint_of({"inspect", written("model.spnet", bytes)}),
            "instantnet: " + path +
                ": is of version 4 of model.spnet; this program reads versions up to 3. Use a "
                "newer InstantNet, or freeze the network again.\n");
}

TEST(Versions, ABundleOfVersion1IsVerified) {
  const std::string folder = own_folder() + "kept-bundle/";
  fs::create_directories(folder);
  write_file_atomic(folder + "model.spnet", model_bytes());
  fs::copy_file(kept("plan-1.yaml"), folder + "plan.yaml");
  fs::copy_file(kept("manifest-1.yaml"), folder + "manifest.yaml");
  EXPECT_EQ(instantnet_program({"verify", folder}).code, 0);
}

}  // namespace
}  // namespace instantnet
