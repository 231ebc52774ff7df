// `instantnet bundle` and `instantnet verify`: the deploy folder.
#include "instantnet/bundle/bundle.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/cli/mapping_report.h"
#include "instantnet/cli/paths.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"

namespace instantnet::cli {
namespace {

struct BundleVerbOptions {
  std::string model, plan, out, accuracy;
};

std::string manifest_text(const bundle::Manifest& manifest, const std::string& folder) {
  std::vector<std::vector<std::string>> rows;
  for (const bundle::Width& one : manifest.widths)
    rows.push_back({std::to_string(one.bits), energy_text(one.energy_pj), si(one.cycles),
                    fmt::format("{:.4g}", one.latency_ms), edp_text(one.edp_pj_cycles),
                    one.accuracy ? fmt::format("{:.2f}", 100 * *one.accuracy) : "-"});
  return fmt::format("{}: {} on {}\n", folder, manifest.network, manifest.device) +
         table_text({"bits", "energy", "cycles", "latency ms", "EDP", "accuracy %"}, rows);
}

void bundle_verb(const BundleVerbOptions& verb) {
  bundle::Accuracies accuracies;
  if (!verb.accuracy.empty()) accuracies = bundle::read_accuracies(verb.accuracy);
  const bundle::Manifest made =
      bundle::make_bundle(verb.model, verb.plan, plain_path(verb.out), version_text(), accuracies);
  print_text(manifest_text(made, verb.out));
}

struct VerifyVerbOptions {
  std::string folder;
  bool json = false;
};

void verify_verb(const VerifyVerbOptions& verb) {
  const std::vector<std::string> problems = bundle::problems_of(plain_path(verb.folder));
  if (verb.json) {
    Tree list = Tree::list();
    for (const std::string& one : problems) list.items.push_back(Tree::of(one));
    print_text(print_json(Tree::map()
                              .set("bundle", Tree::of(verb.folder))
                              .set("sound", Tree::of(problems.empty()))
                              .set("problems", std::move(list)),
                          2));
    if (!problems.empty()) throw CLI::RuntimeError(2);
    return;
  }
  if (!problems.empty()) throw Error(fmt::format("{}", fmt::join(problems, "\ninstantnet: ")));
  print_text(fmt::format("{}: every digest, mapping and number is right", verb.folder));
}

}  // namespace

void add_bundle(CLI::App& app) {
  const auto options = std::make_shared<BundleVerbOptions>();
  CLI::App* verb =
      app.add_subcommand("bundle", "Put a frozen network and its plan into a folder to deploy");
  verb->add_option("MODEL", options->model, "File written by 'instantnet freeze'")->required();
  verb->add_option("PLAN", options->plan, "File written by 'instantnet map -o'")->required();
  verb->add_option("-o,--out", options->out, "Folder to write; an older bundle is replaced")
      ->required();
  verb->add_option("--accuracy", options->accuracy,
                   "What 'instantnet infer --data DIR --json' printed: accuracy by bit-width");
  verb->callback([options] { bundle_verb(*options); });
}

void add_verify(CLI::App& app) {
  const auto options = std::make_shared<VerifyVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "verify", "Check a bundle: digests, whether plan and model agree, the cost of each mapping");
  verb->add_option("BUNDLE", options->folder, "Folder written by 'instantnet bundle'")->required();
  verb->add_flag("--json", options->json, "Print JSON");
  verb->callback([options] { verify_verb(*options); });
}

}  // namespace instantnet::cli
