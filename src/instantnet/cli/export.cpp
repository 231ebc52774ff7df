// `instantnet export`: plans and frozen networks in other programs' formats.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/cli/export_hls.h"
#include "instantnet/cli/export_onnx.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/tree.h"
#include "instantnet/interop/hls_export.h"
#include "instantnet/interop/timeloop_export.h"
#include "instantnet/mapper/plan.h"

namespace instantnet::cli {
namespace {

struct ExportVerbOptions {
  std::string input, format, folder;  // or file
  std::string plan;                   // hls
  int bits = 0, images = 0;           // 0: not given
  bool force = false, json = false;
};

/// A format that can be written: what it is read from, and what does it.
struct Format {
  std::string name, sentence;
  std::vector<std::string> (*write)(const std::string& input, const std::string& folder);
};

std::vector<std::string> write_timeloop(const std::string& input, const std::string& folder) {
  return interop::export_timeloop(mapper::read_plan(input), folder);
}

constexpr const char* kHls = "hls";

const std::vector<Format>& formats() {
  static const std::vector<Format> all = {
      {"timeloop", "of a plan.yaml: a folder a layer and bit-width for timeloop-model v3.0",
       write_timeloop}};
  return all;
}

const Format& find_format(const std::string& name) {
  std::vector<std::string> names;
  for (const Format& one : formats()) {
    if (one.name == name) return one;
    names.push_back(one.name);
  }
  for (const std::string& one : onnx_formats()) names.push_back(one);
  names.emplace_back(kHls);
  fail("export --format", fmt::format("there is no format '{}'{}", name, suggestion(name, names)));
}

/// Options that only hls has.
void check_hls_only(const ExportVerbOptions& verb) {
  const auto only = [](const char* option) {
    fail(fmt::format("export {}", option), "is for hls only; leave it out.");
  };
  if (!verb.plan.empty()) only("--plan");
  if (verb.images != 0) only("--images");
  if (verb.force) only("--force");
}

void export_verb(const ExportVerbOptions& verb) {
  if (verb.format == kHls)
    return export_hls(
        {verb.input, verb.plan, verb.folder, verb.bits, verb.images, verb.force, verb.json});
  check_hls_only(verb);
  if (is_onnx_format(verb.format)) {
    export_onnx(verb.input, verb.format, verb.bits, verb.folder);
    if (!verb.json) return print_text(fmt::format("{}: {}", verb.folder, verb.format));
    return print_text(print_json(
        Tree::map().set("format", Tree::of(verb.format)).set("file", Tree::of(verb.folder)), 2));
  }
  if (verb.bits != 0) fail("export --bits", "is for qdq, qonnx and hls only; leave it out.");
  const std::vector<std::string> made = find_format(verb.format).write(verb.input, verb.folder);
  if (!verb.json)
    return print_text(
        fmt::format("{}: {} folders, see {}/README.txt", verb.folder, made.size(), verb.folder));
  Tree folders = Tree::list();
  for (const std::string& one : made) folders.items.push_back(Tree::of(one));
  print_text(print_json(Tree::map()
                            .set("format", Tree::of(verb.format))
                            .set("folder", Tree::of(verb.folder))
                            .set("folders", std::move(folders)),
                        2));
}

std::string help_text() {
  std::string text = "Formats:\n";
  for (const Format& one : formats()) text += fmt::format("  {}: {}\n", one.name, one.sentence);
  text += onnx_formats_help();
  return text +
         "  hls: of a model.spnet and the --plan of an FPGA: C++ for high-level synthesis, with a "
         "test bench\n";
}

}  // namespace

void add_export(CLI::App& app) {
  const auto options = std::make_shared<ExportVerbOptions>();
  CLI::App* verb =
      app.add_subcommand("export", "Write a plan or a model in another program's format");
  verb->add_option("FILE", options->input, "plan.yaml of 'instantnet map -o', or model.spnet")
      ->required();
  verb->add_option("--format", options->format, "Format to write; see below")->required();
  verb->add_option("-o,--out", options->folder, "Folder or file to write")->required();
  verb->add_option("--bits", options->bits, "Bit-width of qdq and qonnx; of hls, if not all");
  verb->add_option("--plan", options->plan, "hls: plan.yaml of 'instantnet map -o'");
  verb->add_option("--images", options->images,
                   fmt::format("hls: random images in the golden vectors (default {})",
                               interop::HlsOptions().images))
      ->check(CLI::Range(1, 1000));
  verb->add_flag("--force", options->force, "hls: replace an older export");
  verb->add_flag("--json", options->json, "Print what was written as JSON");
  verb->footer([] { return help_text(); });
  verb->callback([options] { export_verb(*options); });
}

}  // namespace instantnet::cli
