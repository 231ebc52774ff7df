// What a report shows, gathered from the folders that other verbs wrote, and the page around it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "instantnet/core/tree.h"

namespace instantnet::report {

/// A folder to report on, and what the page calls it.
struct Given {
  std::string path, name;
};

struct ReportOptions {
  std::string title;    // empty: the network's name
  std::string program;  // that makes the report: "instantnet 0.1.0"
};

/// Names for folders, from absolute paths: the last part, with the one before where two would be
/// alike, with a number where that does not help.
std::vector<std::string> folder_names(const std::vector<std::string>& paths);

/// Everything the page shows, as one document: docs/report.md lists what is read. The same folders
/// give the same document wherever they lie. Error for a folder that holds nothing to report, a
/// damaged file (with its line), and folders that do not belong into one report (which two, and
/// what differs).
Tree gather(const std::vector<Given>& folders, const ReportOptions& options);

/// Whether this program was built with the chart library.
bool has_charts();
/// The page with everything in it: one file of HTML that asks for nothing else. Error, with what to
/// install, when there is no chart library.
std::string page_of(const Tree& document);
/// The same around this text in place of the chart library.
std::string page_of(const Tree& document, std::string_view charts);

}  // namespace instantnet::report
