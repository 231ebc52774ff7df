#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "instantnet/core/error.h"
#include "instantnet/report/pick.h"
#include "instantnet/report/report.h"
#include "instantnet/report/sections.h"

namespace instantnet::report {
namespace {

namespace fs = std::filesystem;

bool repeats(const std::vector<std::string>& names, size_t at) {
  return std::count(names.begin(), names.end(), names[at]) > 1;
}

/// What a pipeline's configuration says; else "resnet20, mobilenetv2": each network once.
std::string title_of(const std::vector<Run>& runs) {
  if (runs.size() == 1 && !runs.front().title.empty()) return runs.front().title;
  std::vector<std::string> names;
  for (const Run& run : runs) {
    const std::string& name = run.network.empty() ? run.name : run.network;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::vector<std::string> folder_names(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  for (const std::string& path : paths) names.push_back(fs::path(path).filename().string());
  std::vector<std::string> longer = names;
  for (size_t i = 0; i < paths.size(); ++i)
    if (repeats(names, i))
      longer[i] = (fs::path(paths[i]).parent_path().filename() / names[i]).string();
  std::vector<std::string> numbered = longer;
  for (size_t i = 0; i < paths.size(); ++i)
    if (repeats(longer, i)) numbered[i] = fmt::format("{} ({})", longer[i], i + 1);
  return numbered;
}

Tree gather(const std::vector<Given>& folders, const ReportOptions& options) {
  if (folders.empty()) fail("report", "no folder is given; give at least one.");
  std::vector<Run> runs;
  for (const Given& one : folders) runs.push_back(read_run(one.path, one.name));
  check_together(runs);
  Tree list = Tree::list();
  for (Run& run : runs) list.items.push_back(std::move(run.tree));
  return Tree::map()
      .set("version", Tree::of(1))
      .set("title", Tree::of(options.title.empty() ? title_of(runs) : options.title))
      .set("program", Tree::of(options.program))
      .set("runs", std::move(list));
}

}  // namespace instantnet::report
