// `instantnet data check PATH`: recognises a data set, counts it and verifies every file of it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/progress.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"
#include "instantnet/images/dataset.h"

namespace instantnet::cli {
namespace {

using images::CheckReport;

struct DataCheckOptions {
  images::OpenOptions open;
  bool json = false;
};

std::string range_text(int64_t least, int64_t most) {
  return least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most);
}

std::string numbers_text(const std::vector<double>& numbers) {
  std::vector<std::string> texts;
  for (const double number : numbers) texts.push_back(fmt::format("{:.4f}", number));
  return fmt::format("{}", fmt::join(texts, " "));
}

std::vector<std::string> part_row(const CheckReport::PartReport& part) {
  const auto [least, most] = std::minmax_element(part.per_class.begin(), part.per_class.end());
  return {part.name,
          fmt::format("{}", part.images),
          range_text(*least, *most),
          fmt::format("{}", part.channels),
          range_text(part.least_height, part.most_height),
          range_text(part.least_width, part.most_width),
          numbers_text(part.mean),
          numbers_text(part.deviation)};
}

/// A line for each part in which grey images stand among those of three channels.
std::string grey_text(const CheckReport& report) {
  std::string text;
  for (const CheckReport::PartReport& part : report.parts)
    if (part.grey > 0)
      text += fmt::format("{}: {} images are grey and are read as RGB\n", part.name, part.grey);
  return text;
}

std::string report_text(const CheckReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const CheckReport::PartReport& part : report.parts) rows.push_back(part_row(part));
  return fmt::format("format {}, {} classes, nothing wrong\n\n", report.format, report.classes) +
         table_text(
             {"part", "images", "per class", "channels", "height", "width", "mean", "deviation"},
             rows) +
         grey_text(report);
}

template <class T>
Tree list_tree(const std::vector<T>& values) {
  Tree list = Tree::list();
  for (const T& value : values) list.items.push_back(Tree::of(value));
  return list;
}

/// Names stay text in JSON, also when they read as numbers (the digits of MNIST).
Tree names_tree(const std::vector<std::string>& names) {
  Tree list = list_tree(names);
  for (Tree& name : list.items) name.quoted = true;
  return list;
}

Tree part_tree(const CheckReport::PartReport& part) {
  return Tree::map()
      .set("images", Tree::of(part.images))
      .set("per_class", list_tree(part.per_class))
      .set("channels", Tree::of(part.channels))
      .set("height", list_tree<int64_t>({part.least_height, part.most_height}))
      .set("width", list_tree<int64_t>({part.least_width, part.most_width}))
      .set("grey", Tree::of(part.grey))
      .set("mean", list_tree(part.mean))
      .set("deviation", list_tree(part.deviation));
}

Tree report_tree(const CheckReport& report) {
  Tree parts = Tree::map();
  for (const CheckReport::PartReport& part : report.parts) parts.set(part.name, part_tree(part));
  return Tree::map()
      .set("format", Tree::of(report.format))
      .set("classes", Tree::of(report.classes))
      .set("class_names", names_tree(report.class_names))
      .set("parts", std::move(parts));
}

/// Checks with a bar on standard error. The bar ends its line also when the check fails.
CheckReport check(const images::OpenOptions& options) {
  PrintedProgress progress(stderr);
  bool begun = false;
  const auto tell = [&](int64_t done, int64_t total) {
    if (!begun) progress.begin("data check", total, "images");
    begun = true;
    progress.update(done);
  };
  try {
    CheckReport report = images::check_dataset(options, tell);
    progress.end();
    return report;
  } catch (...) {
    if (begun) progress.end();
    throw;
  }
}

}  // namespace

void add_data(CLI::App& app) {
  const auto options = std::make_shared<DataCheckOptions>();
  CLI::App* verb = app.add_subcommand("data", "Look at data sets");
  verb->require_subcommand(1);
  CLI::App* check_verb = verb->add_subcommand(
      "check", "Recognise a data set, count it, and read every image of it once");
  check_verb
      ->add_option("PATH", options->open.path,
                   "Folder of the data set (or one file of it), or "
                   "synthetic:COUNTxCLASSESxCHANNELSxHEIGHTxWIDTH")
      ->required();
  check_verb
      ->add_option("--format", options->open.format,
                   fmt::format("One of {}", fmt::join(images::format_names(), ", ")))
      ->capture_default_str();
  check_verb->add_flag("--json", options->json, "Print JSON");
  check_verb->callback([options] {
    const CheckReport report = check(options->open);
    print_text(options->json ? print_json(report_tree(report), 2) : report_text(report));
  });
}

}  // namespace instantnet::cli
