// `instantnet report DIR...`: one page about training, search, mapping and deployment.
#include "instantnet/report/report.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/cli/paths.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"

namespace instantnet::cli {
namespace {

namespace fs = std::filesystem;

struct ReportVerbOptions {
  std::vector<std::string> folders;
  std::string out, title;
  bool json = false;
};

/// Error before the work rather than after it.
void check_out(const ReportVerbOptions& verb) {
  if (verb.out.empty() && !verb.json)
    fail("report", "give the page to write with -o report.html, or --json to print what it shows.");
  if (verb.out.empty()) return;
  const fs::path path = plain_path(verb.out);
  if (fs::is_directory(path))
    fail(verb.out, fmt::format("is a folder; give the path of a file, for example {}.",
                               (fs::path(verb.out) / "report.html").string()));
  if (!fs::is_directory(path.parent_path()))
    fail(verb.out, fmt::format("there is no folder '{}' to write into; make it first.",
                               path.parent_path().string()));
}

std::vector<report::Given> given_of(const std::vector<std::string>& folders) {
  std::vector<std::string> paths;
  for (const std::string& one : folders) paths.push_back(plain_path(one));
  const std::vector<std::string> names = report::folder_names(paths);
  std::vector<report::Given> given;
  for (size_t i = 0; i < folders.size(); ++i) given.push_back({folders[i], names[i]});
  return given;
}

void report_verb(const ReportVerbOptions& verb) {
  check_out(verb);
  const Tree document = report::gather(given_of(verb.folders), {verb.title, version_text()});
  if (!verb.out.empty()) {
    const std::string page = report::page_of(document);
    write_file_atomic(plain_path(verb.out), page);
    if (!verb.json)
      return print_text(
          fmt::format("{}: {}, open it in a browser", verb.out, bytes_text(page.size())));
  }
  print_text(print_json(document, 2));
}

constexpr const char* kHelp =
    "DIR is what 'instantnet pipeline', 'train', 'search' or 'bundle' wrote, or a folder with some "
    "of a pipeline's parts; the page shows what is there. Several folders are compared in one "
    "page.";

}  // namespace

void add_report(CLI::App& app) {
  const auto options = std::make_shared<ReportVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "report", "Write one page that shows training, search, mapping and deployment");
  verb->add_option("DIR", options->folders, "Folders to report on")->required();
  verb->add_option("-o,--out", options->out, "Page to write: one file that works offline");
  verb->add_option("--title", options->title, "Title of the page; default: the network's name");
  verb->add_flag("--json", options->json, "Print what the page shows as JSON");
  verb->footer(kHelp);
  verb->callback([options] { report_verb(*options); });
}

}  // namespace instantnet::cli
