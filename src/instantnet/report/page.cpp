// The page: template, style, script, chart library and document in one file.
#include <fmt/format.h>

#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/report/assets.h"
#include "instantnet/report/pick.h"
#include "instantnet/report/report.h"

namespace instantnet::report {
namespace {

/// Text of an element.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

/// JSON that no text in it can end early: '<' is only ever part of a text there.
std::string embedded(const Tree& document) {
  std::string out;
  for (const char c : print_json(document)) {
    if (c == '<')
      out += "\\u003c";
    else
      out += c;
  }
  return out;
}

/// `html` with each "{{name}}" replaced; Bug for one that is not there.
std::string filled(std::string_view html,
                   const std::vector<std::pair<std::string, std::string_view>>& values) {
  std::string out;
  size_t at = 0;
  for (size_t open = html.find("{{"); open != std::string_view::npos; open = html.find("{{", at)) {
    const size_t close = html.find("}}", open);
    if (close == std::string_view::npos) break;
    const std::string_view name = html.substr(open + 2, close - open - 2);
    out += html.substr(at, open - at);
    bool found = false;
    for (const auto& [key, value] : values)
      if (key == name) out += value, found = true;
    if (!found) bug(fmt::format("page.html has a place '{}' that nothing fills.", name));
    at = close + 2;
  }
  return out + std::string(html.substr(at));
}

}  // namespace

bool has_charts() { return !kCharts.empty(); }

std::string page_of(const Tree& document, std::string_view charts) {
  const std::string title = escaped(text_at(document, {"title"}));
  const std::string program = escaped(text_at(document, {"program"}));
  const std::string json = embedded(document);
  return filled(kPageHtml, {{"title", title},
                            {"program", program},
                            {"style", kPageStyle},
                            {"charts", charts},
                            {"document", json},
                            {"script", kPageScript}});
}

std::string page_of(const Tree& document) {
  if (!has_charts())
    fail("report",
         "this program was built without the chart library; run tools/setup.sh, which installs the "
         "npm package echarts, and build again (docs/report.md), or use --json.");
  return page_of(document, kCharts);
}

}  // namespace instantnet::report
