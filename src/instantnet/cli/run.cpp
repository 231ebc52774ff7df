// `instantnet run BUNDLE`: a bundle on an image or a data set, at given bit-widths or as a budget
// allows.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/bundle/budget.h"
#include "instantnet/bundle/bundle.h"
#include "instantnet/cli/frozen_model.h"
#include "instantnet/cli/frozen_run.h"
#include "instantnet/cli/mapping_report.h"
#include "instantnet/cli/paths.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/progress.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"

namespace instantnet::cli {
namespace {

struct RunVerbOptions {
  std::string folder;
  FrozenRunOptions run;
  std::string policy, trace, out;
};

SettingCosts costs_of(const bundle::Manifest& manifest) {
  SettingCosts costs;
  for (const bundle::Width& one : manifest.widths)
    costs[std::to_string(one.bits)] = {one.energy_pj, one.latency_ms};
  return costs;
}

// ---- Along a trace of budgets

/// Whether the images of a data set are told right, by bit-width. Inference i takes image i, and
/// starts again behind the last.
bundle::IsRight measure(const RunVerbOptions& verb, const bundle::Bundle& opened,
                        const std::vector<runtime::PolicyWidth>& widths, int64_t inferences) {
  if (verb.run.data.empty()) return {};
  const auto model = open_frozen(opened.model_path, verb.run.kernels);
  OpenImages images = open_images(verb.run, model->integers().spec);
  const int64_t count = std::min(images.images.count, inferences);
  images.images.count = count;
  std::vector<FrozenSetting> settings;
  for (const runtime::PolicyWidth& one : widths)
    settings.push_back({std::to_string(one.bits), {{one.bits, one.bits}}});
  PrintedProgress progress(stderr);
  progress.begin("images", count, "images");
  const auto scores = std::make_shared<const FrozenScores>(score_frozen(
      model, images.images, settings, threads_or_all(verb.run.threads), false, progress));
  progress.end();
  return [scores, widths, count](int bits, int64_t index) {
    size_t way = 0;
    while (widths[way].bits != bits) ++way;
    return scores->right[way * static_cast<size_t>(count) + static_cast<size_t>(index % count)] !=
           0;
  };
}

/// The policy first, then each fixed width.
using Outcomes = std::vector<std::pair<std::string, bundle::Outcome>>;

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.2f}", 100 * *share) : "-";
}

std::string outcomes_text(const Outcomes& all) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, one] : all)
    rows.push_back({name, percent(one.accuracy), percent(one.expected_accuracy),
                    energy_text(one.energy_pj), std::to_string(one.violations),
                    std::to_string(one.skipped), std::to_string(one.switches),
                    energy_text(one.switch_energy_pj)});
  return table_text({"runs", "accuracy %", "expected %", "energy", "violations", "skipped",
                     "switches", "switch energy"},
                    rows) +
         fmt::format("{} inferences", all.front().second.inferences);
}

Tree outcome_tree(const bundle::Outcome& one) {
  Tree by_bits = Tree::map();
  for (const auto& [bits, count] : one.inferences_by_bits)
    by_bits.set(std::to_string(bits), Tree::of(count));
  Tree tree = Tree::map()
                  .set("inferences", Tree::of(one.inferences))
                  .set("energy_pj", Tree::of(one.energy_pj))
                  .set("switch_energy_pj", Tree::of(one.switch_energy_pj))
                  .set("violations", Tree::of(one.violations))
                  .set("skipped", Tree::of(one.skipped))
                  .set("switches", Tree::of(one.switches))
                  .set("inferences_by_bits", std::move(by_bits));
  if (one.accuracy) tree.set("accuracy", Tree::of(*one.accuracy));
  if (one.expected_accuracy) tree.set("expected_accuracy", Tree::of(*one.expected_accuracy));
  return tree;
}

std::string kind_of(const bundle::BudgetOptions& options) {
  for (const auto& [kind, name] : bundle::names_of(bundle::BudgetKind{}))
    if (kind == options.budget) return name;
  return {};
}

Tree outcomes_tree(const bundle::BudgetOptions& options, const Outcomes& all) {
  Tree fixed = Tree::map();
  for (size_t i = 1; i < all.size(); ++i) fixed.set(all[i].first, outcome_tree(all[i].second));
  return Tree::map()
      .set("budget", Tree::of(kind_of(options)))
      .set("unit", Tree::of(bundle::unit_of(options)))
      .set("policy", outcome_tree(all.front().second))
      .set("fixed", std::move(fixed));
}

void run_policy(const RunVerbOptions& verb, const bundle::Bundle& opened) {
  const bundle::BudgetOptions options = bundle::read_policy(verb.policy);
  const std::vector<bundle::TraceLine> trace =
      bundle::parse_trace(read_file(verb.trace, uint64_t{1} << 28), verb.trace);
  const auto widths = bundle::policy_widths(opened.manifest, options, verb.policy);
  const auto decisions = bundle::decide(widths, options, trace, verb.policy);
  const bundle::IsRight is_right =
      measure(verb, opened, widths, static_cast<int64_t>(decisions.size()));
  Outcomes all = {{"policy", bundle::outcome_of(opened, decisions, is_right)}};
  for (const runtime::PolicyWidth& one : widths)
    all.emplace_back(std::to_string(one.bits),
                     bundle::outcome_of(opened, bundle::decide_fixed(one, trace), is_right));
  if (!verb.out.empty())
    write_file_atomic(plain_path(verb.out), bundle::decisions_csv(opened, decisions, is_right));
  print_text(verb.run.json ? print_json(outcomes_tree(options, all), 2) : outcomes_text(all));
}

void check_words(const RunVerbOptions& verb) {
  if (verb.policy.empty() != verb.trace.empty()) fail("run", "give --policy and --trace together.");
  if (verb.policy.empty()) {
    if (verb.run.image.empty() == verb.run.data.empty())
      fail("run", "give one of --image FILE and --data DIR, or --policy and --trace.");
    if (!verb.out.empty()) fail("run", "-o is for --policy: a CSV with a line an inference.");
    return;
  }
  if (!verb.run.image.empty()) fail("run", "--policy takes --data, not --image.");
  if (verb.run.bits != "all" || !verb.run.precisions.empty())
    fail("run", "--policy chooses the bit-widths itself; name those it may use in the policy.");
  if (verb.run.check != 0) fail("run", "--check is not for --policy.");
}

void run_verb(const RunVerbOptions& verb) {
  check_words(verb);
  const bundle::Bundle opened = bundle::open_bundle(plain_path(verb.folder));
  if (!verb.policy.empty()) return run_policy(verb, opened);
  run_frozen(verb.run, open_frozen(opened.model_path, verb.run.kernels), costs_of(opened.manifest));
}

}  // namespace

void add_run(CLI::App& app) {
  const auto options = std::make_shared<RunVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "run", "Run a bundle on an image or a data set, or along a trace of budgets");
  verb->add_option("BUNDLE", options->folder, "Folder written by 'instantnet bundle'")->required();
  add_frozen_run_options(*verb, options->run, "--precision,--bits");
  verb->add_option("--policy", options->policy,
                   "policy.yaml: choose the bit-width of each inference by its budget");
  verb->add_option("--trace", options->trace, "CSV with the budgets: budget,inferences");
  verb->add_option("-o,--out", options->out, "With --policy: CSV to write, a line an inference");
  verb->callback([options] { run_verb(*options); });
}

}  // namespace instantnet::cli
