#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/run_program.h"
#include "core/helpers.h"

namespace instantnet {
namespace {

using test::spill;
using test::TempFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ProgramResult data_check(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"data", "check"});
  return run_program(INSTANTNET_PROGRAM, arguments);
}

/// IDX files of 2x2 images: four for training, two for testing, two classes.
void write_data(const TempFolder& folder) {
  const auto images = [](char count) {
    return std::string("\0\0\10\3\0\0\0", 7) + count + std::string("\0\0\0\2\0\0\0\2", 8) +
           std::string(4 * static_cast<size_t>(count), '\x33');
  };
  const auto labels = [](const std::string& values) {
    return std::string("\0\0\10\1\0\0\0", 7) + static_cast<char>(values.size()) + values;
  };
  spill(folder / "train-images-idx3-ubyte", images(4));
  spill(folder / "train-labels-idx1-ubyte", labels({"\0\1\1\1", 4}));
  spill(folder / "t10k-images-idx3-ubyte", images(2));
  spill(folder / "t10k-labels-idx1-ubyte", labels({"\0\1", 2}));
}

TEST(DataCheckVerb, PrintsATable) {
  const TempFolder folder;
  write_data(folder);
  const ProgramResult result = data_check({folder.path()});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("format idx, 2 classes"), HasSubstr("1 to 3"),
                                HasSubstr("0.2000"), HasSubstr("test")));
}

TEST(DataCheckVerb, PrintsJson) {
  const TempFolder folder;
  write_data(folder);
  const ProgramResult result = data_check({folder.path(), "--format", "idx", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["format"], "idx");
  EXPECT_EQ(json["classes"], 2);
  EXPECT_EQ(json["parts"]["train"]["images"], 4);
  EXPECT_THAT(json["parts"]["train"]["per_class"], ElementsAre(1, 3));
  EXPECT_THAT(json["parts"]["test"]["height"], ElementsAre(2, 2));
  EXPECT_DOUBLE_EQ(json["parts"]["test"]["mean"][0], 0.2);
}

TEST(DataCheckVerb, EndsWithTwoAndTheSentenceOfTheFirstDefect) {
  const TempFolder folder;
  write_data(folder);
  spill(folder / "t10k-labels-idx1-ubyte", std::string("\0\0\10\1\0\0\0\2\0\7", 10));
  const ProgramResult result = data_check({folder.path()});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_THAT(result.err, HasSubstr("t10k-labels-idx1-ubyte: offset 9: label 7 is out of range"));
}

TEST(DataCheckVerb, NamesAMissingPathAndAWrongFormat) {
  EXPECT_THAT(data_check({"/no/such/place"}).err, HasSubstr("/no/such/place: there is no such"));
  const TempFolder folder;
  const ProgramResult result = data_check({folder.path(), "--format", "indx"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("did you mean 'idx'?"));
}

TEST(DataCheckVerb, HelpShowsItsDefaults) {
  const ProgramResult result = data_check({"--help"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, AllOf(HasSubstr("--format"), HasSubstr("auto"), HasSubstr("--json")));
}

}  // namespace
}  // namespace instantnet
