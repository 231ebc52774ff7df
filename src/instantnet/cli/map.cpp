// `instantnet map`: the best mapping for every layer of a network at every bit-width.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/cli/mapping_report.h"
#include "instantnet/cli/plan_report.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/config.h"
#include "instantnet/core/error.h"
#include "instantnet/core/progress.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"
#include "instantnet/interop/onnx_import.h"
#include "instantnet/mapper/bits_file.h"
#include "instantnet/mapper/plan.h"
#include "instantnet/net/zoo.h"

namespace instantnet::cli {
namespace {

using mapper::Accelerator;
using mapper::Constraints;
using mapper::Found;
using mapper::LayerPlan;
using mapper::MapOptions;
using mapper::MappingPlan;
using mapper::NetworkLayers;
using mapper::Workload;

constexpr size_t kColumns = 80;

/// A front is no objective of a search: it is the trade-off between two.
constexpr const char* kFront = "front";
constexpr const char* kZoo = "zoo:";
constexpr const char* kTemplate = "template:";

struct MapVerbOptions {
  std::string network, accelerator;
  std::string objective, search;  // as given; empty: the default
  /// Of the options that are fields of MapOptions: key and value as given.
  std::vector<std::pair<std::string, std::string>> fields;
  std::string constraints, bits_file, out, show;
  bool batch_given = false, json = false;
};

// ---- Options that are fields of MapOptions: sentence and default come from there

struct FieldOption {
  const char* flag;
  const char* key;  // of MapOptions
};
constexpr FieldOption kFieldOptions[] = {{"--bits", "bits"},
                                         {"--factors", "search.factors"},
                                         {"--mode", "mode"},
                                         {"--batch", "batch"},
                                         {"--time-limit", "search.time_limit_s"},
                                         {"--budget", "search.budget"},
                                         {"--threads", "search.threads"},
                                         {"--seed", "search.seed"}};

const Fields::Field& find_field(const Fields& all, const std::string& key) {
  const size_t dot = key.find('.');
  for (const Fields::Field& field : all.all())
    if (field.name == key.substr(0, dot))
      return dot == std::string::npos ? field : find_field(*field.group, key.substr(dot + 1));
  bug(fmt::format("MapOptions has no field '{}'.", key));
}

/// "4, 8, 16" of [4, 8, 16]; "0" of 0.
std::string default_text(const Fields::Field& field) {
  std::string text = print_yaml(field.write());
  while (!text.empty() && (text.back() == '\n' || text.back() == ']')) text.pop_back();
  if (text.starts_with('[')) text.erase(0, 1);
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  return text;
}

std::string sentence_of(const Fields::Field& field) {
  std::string text = field.help;
  while (text.ends_with('.')) text.pop_back();
  if (field.kind.find('|') != std::string::npos) text = field.kind + ": " + text;
  return text;
}

void add_field_options(CLI::App& verb, const std::shared_ptr<MapVerbOptions>& options) {
  MapOptions defaults;
  const Fields all = fields(defaults);
  for (const FieldOption& one : kFieldOptions) {
    const Fields::Field& field = find_field(all, one.key);
    const std::string key = one.key;
    verb.add_option_function<std::string>(
            one.flag,
            [options, key](const std::string& value) { options->fields.emplace_back(key, value); },
            sentence_of(field))
        ->default_str(default_text(field));
  }
}

/// The flag that fills a field, for messages.
std::string flag_of(const std::string& key) {
  for (const FieldOption& one : kFieldOptions)
    if (key == one.key) return one.flag;
  return "--search";
}

/// Error with the flag in front: "map --threads: is 0; give an integer >= 1 (threads)."
void set(MapOptions& options, const std::string& key, const std::string& value) {
  try {
    const Tree tree = parse_yaml(value.find(',') == std::string::npos ? value : "[" + value + "]");
    const Fields all = fields(options);
    find_field(all, key).read(tree);
  } catch (const Error& error) {
    fail("map " + flag_of(key), error.what());
  }
}

mapper::Objective objective_called(const std::string& text) {
  std::vector<std::string> known;
  for (const auto& [objective, name] : names_of(mapper::Objective{})) {
    if (name == text) return objective;
    known.push_back(name);
  }
  known.push_back(kFront);
  fail("map --objective",
       fmt::format("there is no objective '{}'{}", text, suggestion(text, known)));
}

MapOptions options_of(const MapVerbOptions& verb) {
  MapOptions options;
  for (const auto& [key, value] : verb.fields) set(options, key, value);
  if (!verb.objective.empty() && verb.objective != kFront)
    options.search.objective = objective_called(verb.objective);
  if (verb.search.starts_with(kTemplate)) {
    options.search.engine = mapper::Engine::Template;
    options.search.template_name = verb.search.substr(std::string(kTemplate).size());
    std::vector<std::string> names;
    for (const auto& [name, sentence] : mapper::templates()) names.push_back(name);
    if (std::find(names.begin(), names.end(), options.search.template_name) == names.end())
      fail("map --search", fmt::format("there is no template '{}'{}", options.search.template_name,
                                       suggestion(options.search.template_name, names)));
  } else if (verb.search == "template") {
    fail("map --search", "template needs a name, for example template:row-stationary.");
  } else if (!verb.search.empty()) {
    set(options, "search.engine", verb.search);
  }
  check_bits(options.bits, "map --bits");
  return options;
}

// ---- What is mapped, and onto what

NetworkLayers read_layers(const MapVerbOptions& verb, int64_t batch) {
  const std::string& name = verb.network;
  if (name.ends_with(".onnx"))
    return interop::import_onnx(name, {verb.batch_given ? batch : int64_t{0}});
  if (name.starts_with(kZoo))
    return mapper::network_layers(zoo_network(name.substr(std::string(kZoo).size())), batch);
  const bool file =
      name.ends_with(".yaml") || name.ends_with(".yml") || name.find('/') != std::string::npos;
  if (!file)
    fail("map --network",
         fmt::format(
             "'{}' is not a network; give zoo:NAME (see 'instantnet zoo'), a network.yaml or "
             "a model.onnx.",
             name));
  return mapper::network_layers(read_network(name), batch);
}

/// What was asked, read and checked.
struct Job {
  NetworkLayers network;
  Accelerator device;
  Constraints constraints;
  MapOptions options;
};

Job read(const MapVerbOptions& verb) {
  Job job;
  job.options = options_of(verb);
  job.network = read_layers(verb, job.options.batch);
  job.options.batch = job.network.batch;
  if (!verb.bits_file.empty()) set_bits(job.network, read_yaml(verb.bits_file));
  job.device = mapper::find_accelerator(verb.accelerator);
  if (!verb.constraints.empty())
    job.constraints = mapper::constraints_from_tree(read_yaml(verb.constraints), job.device);
  return job;
}

/// The layer called `name`, though another one of its shape stands for it in the plan.
const Workload& find_layer(const NetworkLayers& network, const std::string& name) {
  std::vector<std::string> names;
  for (const Workload& layer : network.layers) {
    if (layer.name == name) return layer;
    names.push_back(layer.name);
  }
  const std::string near = nearest(name, names);
  fail("map --show", fmt::format("{} has no layer '{}'{}", network.network, name,
                                 near.empty() ? "." : fmt::format(", did you mean '{}'?", near)));
}

// ---- The run

/// A live table: on a terminal a row a layer and bit-width above a bar, otherwise lines now and
/// then.
class LiveTable {
 public:
  explicit LiveTable(const Job& job)
      : progress_(stderr), rows_(isatty(STDERR_FILENO) == 1), job_(job) {
    size_t longest = 5;
    for (const Workload& layer : job.network.layers) longest = std::max(longest, layer.name.size());
    name_columns_ = std::min<size_t>(longest, 28);
  }

  void done(const LayerPlan& layer, size_t index, size_t of) {
    if (!started_) start(static_cast<int64_t>(of));
    if (rows_) progress_.say(line(layer_row(layer, job_.options.search.objective)));
    progress_.update(static_cast<int64_t>(index) + 1, layer.name);
  }

  void end() {
    if (started_) progress_.end();
  }

 private:
  void start(int64_t of) {
    started_ = true;
    if (rows_) progress_.say(line(layer_header()));
    progress_.begin("map " + job_.network.network, of, "mappings");
  }

  std::string line(const std::vector<std::string>& cells) const {
    return fmt::format("{:<{}.{}}  {:>4}  {:>5}  {:>9}  {:>9}  {:>9}  {:>7}  {:<12}  {}", cells[0],
                       name_columns_, name_columns_, cells[1], cells[2], cells[3], cells[4],
                       cells[5], cells[6], cells[7], cells[8]);
  }

  PrintedProgress progress_;
  bool rows_, started_ = false;
  size_t name_columns_ = 5;
  const Job& job_;
};

std::string loop_nests(const MappingPlan& plan, const Workload& layer) {
  std::string text;
  for (const LayerPlan& one : plan.layers)
    if (one.shape == layer.shape && one.own_bits == layer.bits)
      text += fmt::format("\n{} at {} bits: {}\n{}", layer.name, to_string(one.precision()),
                          layer_text(one.shape),
                          mapper::loop_nest_text(one.found.mapping, one.shape, plan.accelerator));
  return text;
}

void map_plan(const MapVerbOptions& verb, const Job& job) {
  const Workload* shown = verb.show.empty() ? nullptr : &find_layer(job.network, verb.show);
  LiveTable table(job);
  const MappingPlan plan = mapper::map_network(
      job.network, job.device, job.constraints, job.options,
      [&](const LayerPlan& done, size_t index, size_t of) { table.done(done, index, of); });
  table.end();
  if (!verb.out.empty()) mapper::write_plan(plan, verb.out);
  if (verb.json) return print_text(print_json(plan_json(plan), 2));
  print_text(plan_text(plan) + (shown == nullptr ? "" : loop_nests(plan, *shown)) +
             (verb.out.empty() ? "" : fmt::format("\nplan in {}\n", verb.out)));
}

// ---- Fronts

/// The trade-off of one layer at one bit-width.
struct Front {
  Workload layer;
  Precision precision;
  std::vector<Found> points;
};

std::vector<Front> fronts_of(const Job& job) {
  std::vector<Front> fronts;
  for (const Workload& layer : mapper::merge_equal(job.network.layers))
    for (const int network_bits : job.options.bits) {
      const int bits = layer.bits > 0 ? layer.bits : network_bits;
      const Precision precision{bits, bits};
      if (const auto misfit = mapper::smallest_misfit(layer.shape, precision, job.device))
        fail(fmt::format("layer '{}' at {} bits", layer.name, bits), misfit->why);
      fronts.push_back({layer, precision,
                        mapper::energy_latency_front(layer.shape, precision, job.device,
                                                     job.constraints, job.options.search)});
    }
  return fronts;
}

std::string fronts_text(const Job& job, const std::vector<Front>& fronts) {
  std::vector<std::vector<std::string>> rows;
  for (const Front& front : fronts)
    for (const Found& point : front.points) {
      const mapper::Cost& cost = point.cost;
      rows.push_back({front.layer.name, to_string(front.precision), energy_text(cost.energy_pj),
                      si(cost.cycles), edp_text(cost.edp()), percent_text(cost.utilization),
                      cost.bound_by, point.certified ? "optimal" : "-"});
    }
  return fmt::format(
      "{} on {}, energy against latency\n\n{}", job.network.network, job.device.name,
      table_text({"layer", "bits", "energy", "cycles", "EDP", "util", "bound by", "point"}, rows));
}

Tree front_json(const Job& job, const Front& front) {
  Tree points = Tree::list();
  for (const Found& point : front.points)
    points.items.push_back(cost_tree(point.cost)
                               .set("certified", Tree::of(point.certified))
                               .set("mapping", loops_tree(point.mapping, job.device)));
  return Tree::map()
      .set("name", Tree::of(front.layer.name))
      .set("bits", Tree::of(to_string(front.precision)))
      .set("count", Tree::of(front.layer.count))
      .set("shape", layer_tree(front.layer.shape))
      .set("front", std::move(points));
}

Tree fronts_json(const Job& job, const std::vector<Front>& fronts) {
  Tree layers = Tree::list();
  for (const Front& front : fronts) layers.items.push_back(front_json(job, front));
  return Tree::map()
      .set("accelerator", Tree::of(job.device.name))
      .set("objective", Tree::of(kFront))
      .set("layers", std::move(layers));
}

void map_fronts(const MapVerbOptions& verb, const Job& job) {
  if (!verb.out.empty() || !verb.show.empty())
    fail("map",
         "--objective front has several mappings a layer: no plan (-o) and no --show; with "
         "--json all loops are printed.");
  const std::vector<Front> fronts = fronts_of(job);
  print_text(verb.json ? print_json(fronts_json(job, fronts), 2) : fronts_text(job, fronts));
}

void map_verb(const MapVerbOptions& verb) {
  const Job job = read(verb);
  if (verb.objective == kFront) return map_fronts(verb, job);
  map_plan(verb, job);
}

// ---- Help

std::string help_text() {
  std::string text = "Templates (--search template:NAME):\n";
  for (const auto& [name, sentence] : mapper::templates())
    text += fmt::format("  {}\n{}\n", name, wrap_text(sentence, kColumns, 6));
  return text;
}

}  // namespace

void add_map(CLI::App& app) {
  const auto options = std::make_shared<MapVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "map", "Find the best mapping of every layer of a network at every bit-width");
  verb->add_option("-n,--network", options->network, "zoo:NAME, a network.yaml, or a model.onnx")
      ->required();
  verb->add_option("-a,--accelerator", options->accelerator,
                   "Preset (see 'instantnet accelerators') or path of an accelerator.yaml")
      ->required();
  verb->add_option(
          "--objective", options->objective,
          "edp|energy|latency|throughput|front: what is minimised; front is the exact trade-off "
          "of energy and latency of each layer")
      ->default_str("edp");
  verb->add_option("--search", options->search,
                   "exact|evolution|random|exhaustive|template:NAME: how mappings are found; see "
                   "below")
      ->default_str("exact");
  add_field_options(*verb, options);
  verb->add_option("--constraints", options->constraints,
                   "YAML that fixes orders, factors or dataflows of some levels");
  verb->add_option("--bits-file", options->bits_file,
                   "YAML 'layer: bits' that holds layers at bit-widths of their own");
  verb->add_option("--show", options->show, "Print the loop nests of this layer, too");
  verb->add_option("-o,--out", options->out, "Write the plan to this file (plan.yaml)");
  verb->add_flag("--json", options->json, "Print JSON");
  verb->footer([] { return help_text(); });
  verb->callback([options, verb] {
    options->batch_given = verb->count("--batch") > 0;
    map_verb(*options);
  });
}

}  // namespace instantnet::cli
