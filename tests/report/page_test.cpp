#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <sstream>

#include "instantnet/core/file.h"
#include "instantnet/report/assets.h"
#include "instantnet/report/report.h"
#include "net/expect_error.h"
#include "own_folder.h"
#include "report/small_pipeline.h"

namespace instantnet::report {
namespace {

using testing::HasSubstr;
using testing::Not;

Tree small_document(const std::string& title = {}) {
  static const std::string folder = [] {
    write_training(own_folder() + "page");
    return own_folder() + "page";
  }();
  return gather({{folder, "page"}}, {title, "instantnet test"});
}

/// What the page holds between these two texts.
std::string between(const std::string& page, const std::string& from, const std::string& to) {
  const size_t at = page.find(from) + from.size();
  return page.substr(at, page.find(to, at) - at);
}

std::string document_in(const std::string& page) {
  return between(page, "<script type=\"application/json\" id=\"document\">", "</script>");
}

TEST(Page, HoldsTheDocumentAsJson) {
  const Tree document = small_document();
  EXPECT_EQ(parse_yaml(document_in(page_of(document, "charts"))), document);
}

TEST(Page, IsTheSameBytesForTheSameFolder) {
  EXPECT_EQ(page_of(small_document(), "x"), page_of(small_document(), "x"));
}

TEST(Page, LetsNoTextOfTheDocumentEndItsPlace) {
  const std::string evil = "</script><script>alert(1)</script> & <b>";
  const std::string page = page_of(small_document(evil), "charts");
  EXPECT_THAT(document_in(page), Not(HasSubstr("<")));
  EXPECT_EQ(parse_yaml(document_in(page)).find("title")->scalar, evil);
  EXPECT_EQ(between(page, "<title>", "</title>"),
            "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;");
}

/// Attributes, style rules and calls that would make a browser ask for something.
TEST(Page, AsksForNothingElse) {
  const std::string page = page_of(small_document(), "");
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  const std::regex asks(
      R"((src|href)\s*=\s*["'](?!#|data:)|url\(|@import|fetch\(|XMLHttpRequest|WebSocket|https?://)");
  std::smatch found;
  EXPECT_FALSE(std::regex_search(page, found, asks)) << found.str();
}

TEST(Page, HasNoPlaceLeftUnfilled) {
  EXPECT_THAT(page_of(small_document(), "charts"), Not(HasSubstr("{{")));
}

TEST(Page, HoldsItsFilesAsTheyAre) {
  const std::string folder = std::string(INSTANTNET_SOURCE_DIR) + "/src/instantnet/report/page/";
  EXPECT_EQ(kPageHtml, read_file(folder + "page.html"));
  EXPECT_THAT(std::string(kPageScript), HasSubstr(read_file(folder + "chart.js")));
  EXPECT_THAT(std::string(kPageStyle), HasSubstr(read_file(folder + "print.css")));
}

TEST(Page, WithoutTheChartLibrarySaysWhatToInstall) {
  if (has_charts()) GTEST_SKIP() << "this program was built with the chart library";
  EXPECT_EQ(error_of([] { page_of(small_document()); }),
            "report: this program was built without the chart library; run tools/setup.sh, which "
            "installs the npm package echarts, and build again (docs/report.md), or use --json.");
}

TEST(Page, WithTheChartLibraryHoldsItOnce) {
  if (!has_charts()) GTEST_SKIP() << "this program was built without the chart library";
  const std::string page = page_of(small_document());
  EXPECT_GT(page.size(), kCharts.size());
  EXPECT_THAT(kCharts, Not(HasSubstr("</script")));
}

}  // namespace
}  // namespace instantnet::report
