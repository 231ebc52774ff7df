// `instantnet report` as its users meet it: the page, --json, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "cli/program_under_test.h"
#include "own_folder.h"

namespace instantnet {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

/// A training of one epoch, as its log.
const std::string& training() {
  static const std::string folder = [] {
    const std::string made = own_folder() + "training";
    fs::create_directories(made);
    std::ofstream(made + "/run.jsonl")
        << R"({"event": "start", "network": "resnet8", "images": 10, "options": {"loss": {"kind": "cdt"}}})"
        << "\n"
        << R"({"event": "epoch", "phase": "joint", "epoch": 1, "total_steps": 1, "lr": 0.1, "loss": {"4": 2}})"
        << "\n";
    return made;
  }();
  return folder;
}

bool has_charts() {
  const ProgramResult result =
      instantnet_program({"report", training(), "-o", own_folder() + "try.html"});
  return result.err.find("without the chart library") == std::string::npos;
}

TEST(ReportVerb, WritesAPage) {
  if (!has_charts()) GTEST_SKIP() << "this program was built without the chart library";
  const std::string page = own_folder() + "report.html";
  EXPECT_THAT(output_of({"report", training(), "-o", page, "--title", "A title"}),
              StartsWith(page + ": "));
  std::ifstream file(page);
  std::string first;
  std::getline(file, first);
  EXPECT_EQ(first, "<!DOCTYPE html>");
}

TEST(ReportVerb, PrintsWhatThePageShowsAsJson) {
  EXPECT_THAT(output_of({"report", training(), "--json", "--title", "A title"}),
              AllOf(HasSubstr("\"title\": \"A title\""), HasSubstr("\"network\": \"resnet8\""),
                    HasSubstr("\"name\": \"training\"")));
}

TEST(ReportVerb, RefusesAPlaceThatItCannotWriteTo) {
  EXPECT_EQ(complaint_of({"report", training(), "-o", training()}),
            "instantnet: " + training() + ": is a folder; give the path of a file, for example " +
                training() + "/report.html.\n");
  const std::string nowhere = own_folder() + "nowhere";
  EXPECT_EQ(complaint_of({"report", training(), "-o", nowhere + "/x.html"}),
            "instantnet: " + nowhere + "/x.html: there is no folder '" + nowhere +
                "' to write into; make it first.\n");
  EXPECT_EQ(complaint_of({"report", training()}),
            "instantnet: report: give the page to write with -o report.html, or --json to print "
            "what it shows.\n");
}

TEST(ReportVerb, WritesNothingWhenAFileIsDamaged) {
  const std::string folder = own_folder() + "damaged", page = own_folder() + "damaged.html";
  fs::create_directories(folder);
  std::ofstream(folder + "/run.jsonl") << "garbage\n";
  EXPECT_EQ(complaint_of({"report", folder, "-o", page}),
            "instantnet: " + folder +
                "/run.jsonl:1: is no record of a run (one JSON map a line); the file is damaged "
                "here.\n");
  EXPECT_FALSE(fs::exists(page));
}

TEST(ReportVerb, RefusesAFolderWithNothingToReport) {
  const std::string folder = own_folder() + "empty";
  fs::create_directories(folder);
  EXPECT_THAT(complaint_of({"report", folder, "--json"}),
              HasSubstr(folder + ": holds nothing to report; give a folder that"));
}

}  // namespace
}  // namespace instantnet
