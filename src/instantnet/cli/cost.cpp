// `instantnet cost`: what a given mapping of one layer costs.
#include "instantnet/mapper/cost.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <variant>

#include "instantnet/cli/mapping_report.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"

namespace instantnet::cli {
namespace {

using mapper::Accelerator;
using mapper::Cost;
using mapper::Mapping;
using mapper::Misfit;

struct CostVerbOptions {
  std::string accelerator, layer, mapping;
  std::string bits = "16";  // of weights and activations, or "w4a8"
  bool json = false;
};

/// What was asked, read and checked.
struct Question {
  Accelerator device;
  LayerShape layer;
  Precision precision;
  Mapping mapping;
};

Question read(const CostVerbOptions& verb) {
  Question asked;
  asked.device = mapper::find_accelerator(verb.accelerator);
  asked.layer = parse_layer(verb.layer, "cost --layer");
  asked.precision = parse_precision(verb.bits, "cost --bits");
  asked.mapping = mapper::mapping_from_tree(read_yaml(verb.mapping), asked.device);
  return asked;
}

Cost answer(const Question& asked, const std::string& where) {
  const auto result = mapper::evaluate(asked.layer, asked.precision, asked.device, asked.mapping);
  if (const Misfit* misfit = std::get_if<Misfit>(&result)) fail(where, misfit->why);
  return std::get<Cost>(result);
}

std::string text_of(const Question& asked, const Cost& cost) {
  return fmt::format("{}\non {} at {} bits: {}\n\n{}\n{}", layer_text(asked.layer),
                     asked.device.name, to_string(asked.precision), cost_line(cost),
                     cost_table(cost, asked.mapping, asked.device),
                     mapper::loop_nest_text(asked.mapping, asked.layer, asked.device));
}

Tree tree_of(const Question& asked, const Cost& cost) {
  Tree tree = Tree::map()
                  .set("accelerator", Tree::of(asked.device.name))
                  .set("bits", Tree::of(to_string(asked.precision)))
                  .set("shape", layer_tree(asked.layer));
  for (const auto& [key, value] : cost_tree(cost).entries) tree.set(key, value);
  return tree.set("compute_cycles", Tree::of(cost.compute_cycles))
      .set("macs", Tree::of(cost.counts.macs))
      .set("mac_pj", Tree::of(cost.mac_pj))
      .set("static_pj", Tree::of(cost.static_pj))
      .set("levels", level_costs_tree(cost, asked.device))
      .set("mapping", loops_tree(asked.mapping, asked.device));
}

void cost_verb(const CostVerbOptions& verb) {
  const Question asked = read(verb);
  const Cost cost = answer(asked, verb.mapping);
  print_text(verb.json ? print_json(tree_of(asked, cost), 2) : text_of(asked, cost));
}

constexpr const char* kHelp =
    "The mapping is YAML, an entry a level of the accelerator, loops outermost first:\n"
    "  - {level: DRAM, temporal: [k2], keep: [weights, inputs, outputs]}\n"
    "  - {level: GLB, temporal: [c2, q8], spatial_x: [k4], spatial_y: [c4]}\n"
    "  - {level: RF, temporal: [s3, r3]}\n"
    "Without keep, a level keeps what it may.";

}  // namespace

void add_cost(CLI::App& app) {
  const auto options = std::make_shared<CostVerbOptions>();
  CLI::App* verb =
      app.add_subcommand("cost", "Evaluate a given mapping of one layer: accesses, energy, cycles");
  verb->add_option("-a,--accelerator", options->accelerator,
                   "Preset (see 'instantnet accelerators') or path of an accelerator.yaml")
      ->required();
  verb->add_option(
          "-l,--layer", options->layer,
          "Loop bounds k=64,c=64,p=56,q=56,r=3,s=3; also n, stride, dilation, groups; c is "
          "per group, what is not given is 1")
      ->required();
  verb->add_option("--bits", options->bits,
                   "Bit-width, 1 to 16 or 32, or w4a8 for weights and activations")
      ->default_str(options->bits);
  verb->add_option("-m,--mapping", options->mapping, "Path of a mapping in YAML; see below")
      ->required();
  verb->add_flag("--json", options->json, "Print JSON");
  verb->footer(kHelp);
  verb->callback([options] { cost_verb(*options); });
}

}  // namespace instantnet::cli
