// `instantnet search -c search.yaml`: a network whose accuracy survives the lowest bit-width at a
// given cost.
#include "instantnet/nas/search.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/cli/paths.h"
#include "instantnet/cli/prices.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/torch/scores.h"
#include "instantnet/cli/torch/verbs.h"
#include "instantnet/core/config.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/progress.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"
#include "instantnet/train/checkpoint.h"
#include "instantnet/train/loop.h"

namespace instantnet::cli {
namespace {

namespace fs = std::filesystem;
using nas::CostKind;
using nas::SearchOptions;
using nas::SearchReport;
using nas::SearchResult;

constexpr int kInterrupted = 130;  // 128 + SIGINT, what shells expect
constexpr const char* kPriceFile = "prices.yaml";

struct SearchVerbOptions {
  std::string config, preset, folder, explain;
  std::vector<std::string> sets;
  bool resume = false, force = false, json = false, dry_run = false;
};

// ---- Ctrl-C: the first asks the search to stop, the second kills.

std::atomic<bool> stop_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

extern "C" void on_search_interrupt(int signal_number) {
  constexpr std::string_view kSays =
      "\ninstantnet: stopping after this minibatch; once more to stop at once\n";
  stop_asked.store(true);
  std::signal(signal_number, SIG_DFL);
  [[maybe_unused]] const auto ignored = ::write(STDERR_FILENO, kSays.data(), kSays.size());
}

// ---- Options and folder

std::string folder_of(const SearchVerbOptions& verb) {
  if (!verb.folder.empty()) return plain_path(verb.folder);
  const std::string stem = fs::path(verb.config).stem().string();
  return plain_path("runs/" + (stem.empty() ? "search" : stem));
}

bool is_folder(const std::string& folder) {
  std::error_code ignored;
  return fs::is_directory(folder, ignored);
}

SearchOptions options_of(const SearchVerbOptions& verb, const std::string& folder) {
  std::vector<std::string> sets = verb.sets;
  if (!verb.preset.empty()) sets.insert(sets.begin(), "preset=" + verb.preset);
  const bool as_before = verb.resume && verb.config.empty() && verb.preset.empty();
  if (as_before && is_folder(folder)) recover_folder(folder + "/last");
  if (as_before && fs::exists(folder + "/last/checkpoint.yaml"))
    return nas::load_search_options(train::load_checkpoint(folder + "/last").run_options, sets);
  return nas::load_search_options(verb.config, sets);
}

/// Everything that search() writes, but for prices, which stay true.
std::vector<fs::path> parts_of_search(const std::string& folder) {
  std::vector<fs::path> parts;
  for (const char* name :
       {"last", "run.jsonl", train::kEventFile, nas::kNetworkFile, nas::kReportFile})
    if (fs::exists(fs::path(folder) / name)) parts.push_back(fs::path(folder) / name);
  return parts;
}

void make_room(const std::string& folder, const SearchVerbOptions& verb) {
  if (fs::exists(folder) && !is_folder(folder))
    fail(folder, "is a file; give -o the path of a folder.");
  if (verb.resume || !is_folder(folder)) return;
  const std::vector<fs::path> parts = parts_of_search(folder);
  if (!parts.empty() && !verb.force)
    fail(folder,
         "holds a search already; continue it with --resume, replace it with --force, or give "
         "another folder with -o.");
  for (const fs::path& part : parts) fs::remove_all(part);
}

// ---- Prices

bool is_mapped(CostKind kind) {
  return kind == CostKind::Energy || kind == CostKind::Latency || kind == CostKind::Edp;
}

nas::Price counted(CostKind kind) {
  return [kind](const LayerShape& shape, Precision precision) {
    const auto macs = static_cast<double>(shape.macs());
    if (kind == CostKind::Parameters) return static_cast<double>(shape.weights());
    return kind == CostKind::Macs ? macs : macs * precision.weight * precision.activation;
  };
}

mapper::Objective objective_of(CostKind kind) {
  return kind == CostKind::Energy    ? mapper::Objective::Energy
         : kind == CostKind::Latency ? mapper::Objective::Latency
                                     : mapper::Objective::Edp;
}

/// The price of the options. `mapped` is filled for a device's costs.
nas::Price price_of(const SearchOptions& options, const std::string& file,
                    std::shared_ptr<MappedPrices>& mapped) {
  if (!is_mapped(options.cost.kind)) return counted(options.cost.kind);
  mapped = std::make_shared<MappedPrices>(mapper::find_accelerator(options.cost.accelerator),
                                          objective_of(options.cost.kind), file, /*threads=*/1);
  return [mapped](const LayerShape& shape, Precision precision) {
    return (*mapped)(shape, precision);
  };
}

// ---- What is printed

const char* unit_of(const std::string& kind) {
  if (kind == "energy") return "pJ";
  if (kind == "latency") return "cycles";
  if (kind == "edp") return "pJ x cycles";
  return kind == "macs" ? "MACs" : kind == "bitops" ? "BitOPs" : "weights";
}

std::string explain_text(const SearchReport& report) {
  std::vector<std::vector<std::string>> rows;
  const auto percent = [](double share) { return fmt::format("{:.1f} %", 100 * share); };
  for (size_t i = 0; i < report.cells.size(); ++i) {
    const nas::CellReport& cell = report.cells[i];
    rows.push_back({fmt::format("cells.{}", i), cell.chosen, fmt::format("{:.3f}", cell.weight),
                    cell.runner_up, fmt::format("{:.3f}", cell.runner_up_weight), si(cell.cost),
                    percent(cell.share)});
  }
  rows.push_back({"the rest", "", "", "", "", si(report.fixed_cost),
                  percent(report.cost > 0 ? report.fixed_cost / report.cost : 0)});
  std::string text =
      table_text({"cell", "operator", "weight", "runner-up", "weight", "cost", "share"}, rows);
  text += fmt::format("{} {}: {} {}, {} the window {} to {} (networks of the space: {} to {})\n",
                      report.method, report.finished ? "ended" : "so far", si(report.cost),
                      unit_of(report.cost_kind), report.inside ? "inside" : "outside",
                      si(report.window.least), si(report.window.most), si(report.reach_least),
                      si(report.reach_most));
  if (report.projected)
    text += fmt::format(
        "the likeliest operators cost {}, outside: this is the likeliest network inside{}\n",
        si(report.argmax_cost), report.proven ? "" : " that was found");
  return text;
}

Tree result_tree(const SearchResult& result, const std::string& folder) {
  Tree tree = to_tree(result.report);
  if (!result.evaluation.scores.empty())
    tree.set("shared_weights", scores_tree(width_names(result.bits), result.evaluation));
  return tree.set("network", Tree::of(folder + "/" + nas::kNetworkFile))
      .set("folder", Tree::of(folder))
      .set("seconds", Tree::of(result.seconds));
}

std::string result_text(const SearchResult& result, const std::string& folder) {
  std::string text = explain_text(result.report);
  if (result.early) text += "ended early: the derived network stayed the same\n";
  return text + fmt::format("{} this time; train it with: instantnet train --network {}/{}",
                            duration_text(result.seconds), folder, nas::kNetworkFile);
}

std::string resume_command(const SearchVerbOptions& verb, const std::string& folder) {
  std::string command = "instantnet search";
  if (!verb.config.empty()) command += " -c " + verb.config;
  if (!verb.preset.empty()) command += " --preset " + verb.preset;
  for (const std::string& one : verb.sets) command += " --set '" + one + "'";
  return command + " -o " + folder + " --resume";
}

std::string help_text() {
  SearchOptions options;
  std::string text = "Presets:\n";
  for (const std::string& name : nas::preset_names())
    text += fmt::format("  {}\n{}\n", name, wrap_text(nas::describe_preset(name), 80, 6));
  text += "\nSpaces (space.preset):\n";
  for (const std::string& name : space_preset_names())
    text += fmt::format("  {}\n{}\n", name, wrap_text(describe_space(name), 80, 6));
  return text + "\nKeys of search.yaml and --set, with their defaults:\n" +
         explain(fields(options));
}

void explain_verb(const SearchVerbOptions& verb) {
  const std::string file = verb.explain + "/" + nas::kReportFile;
  const Tree tree = read_yaml(file);
  const SearchReport report = nas::report_from_tree(tree);
  print_text(verb.json ? print_json(to_tree(report), 2) : explain_text(report));
}

/// The options, and what can be found.
void print_setting(SearchOptions& options, const nas::Price& price) {
  const nas::SearchSetting setting = nas::prepare_search(options, price);
  print_text(print_yaml(to_tree(fields(options))) +
             fmt::format("# networks of the space cost {} to {} {}; the window is {} to {}\n",
                         si(setting.table.least()), si(setting.table.most()),
                         unit_of(to_tree(nas::fields(options.cost)).find("kind")->scalar),
                         si(setting.window.least), si(setting.window.most)));
}

void search_verb(const SearchVerbOptions& verb) {
  if (!verb.explain.empty()) return explain_verb(verb);
  const std::string folder = folder_of(verb);
  SearchOptions options = options_of(verb, folder);
  std::shared_ptr<MappedPrices> mapped;
  const std::string prices = verb.dry_run ? "" : folder + "/" + kPriceFile;
  const nas::Price price = price_of(options, prices, mapped);
  if (verb.dry_run) return print_setting(options, price);
  nas::prepare_search(options, price);  // mistakes leave nothing behind
  make_room(folder, verb);
  make_folders(folder);
  if (mapped) mapped->save();
  std::signal(SIGINT, on_search_interrupt);
  std::signal(SIGTERM, on_search_interrupt);
  PrintedProgress progress(stderr);
  const SearchResult result =
      nas::search(options, folder, price, verb.resume, progress, &stop_asked);
  if (result.stopped) {
    std::fprintf(stderr, "instantnet: stopped, saved; continue with: %s\n",
                 resume_command(verb, folder).c_str());
    throw CLI::RuntimeError(kInterrupted);
  }
  print_text(verb.json ? print_json(result_tree(result, folder), 2) : result_text(result, folder));
}

}  // namespace

void add_search(CLI::App& app) {
  const auto options = std::make_shared<SearchVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "search", "Find a network whose accuracy survives the lowest bit-width at a given cost");
  verb->add_option("-c,--config", options->config, "search.yaml; without it, the preset's values");
  verb->add_option(
          "--set", options->sets,
          "key=value on top of the config, for example --set cost.most=5e6; may be repeated")
      ->take_all()
      ->expected(1);
  verb->add_option("--preset", options->preset,
                   "Where keys that are not given come from; see below")
      ->default_str("default");
  verb->add_option("-o,--out", options->folder, "Folder for the network, checkpoints and logs")
      ->default_str("runs/ and the name of the config");
  CLI::Option* resume =
      verb->add_flag("--resume", options->resume,
                     "Continue the search in the folder; with no -c, with the options it had");
  verb->add_flag("--force", options->force, "Replace a search that is in the folder")
      ->excludes(resume);
  verb->add_option("--explain", options->explain,
                   "Print why the network in this folder was chosen, cell by cell, and stop");
  verb->add_flag("--json", options->json, "Print JSON");
  verb->add_flag("--dry-run", options->dry_run,
                 "Print the resolved options and what networks cost, and stop");
  verb->footer([] { return help_text(); });
  verb->callback([options] { search_verb(*options); });
}

}  // namespace instantnet::cli
