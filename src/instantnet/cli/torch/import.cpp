// `instantnet import`: a checkpoint of the InstantNet authors' PyTorch code becomes one of ours.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/cli/arguments.h"
#include "instantnet/cli/paths.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/torch/scores.h"
#include "instantnet/cli/torch/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/units.h"
#include "instantnet/net/zoo.h"
#include "instantnet/nn/authors.h"
#include "instantnet/train/checkpoint.h"

namespace instantnet::cli {
namespace {

namespace fs = std::filesystem;

struct ImportVerbOptions {
  std::string arch, weights, folder;
  std::vector<int> bits;  // empty: by the number of batch norms
  int64_t classes = 0;    // 0: whatever the weights have
  std::string image = "32x32";
  SpaceOptions structure;
  bool force = false;
};

/// "32x32"
void parse_image(const std::string& text, SpaceOptions& structure) {
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data(), end, structure.height);
  const bool two = error == std::errc() && after != end && *after == 'x';
  const auto [last, second] =
      two ? std::from_chars(after + 1, end, structure.width) : std::from_chars_result{after, error};
  if (!two || second != std::errc() || last != end || structure.height < 1 || structure.width < 1)
    fail("--image",
         fmt::format("'{}' is no image size; give height x width, for example 32x32.", text));
}

/// Only an empty folder, or with --force a checkpoint, is replaced.
void check_room(const ImportVerbOptions& verb, const std::string& folder) {
  if (!fs::exists(folder)) return;
  if (!fs::is_directory(folder)) fail(folder, "is a file; give -o the path of a folder.");
  if (fs::is_empty(folder)) return;
  const bool checkpoint = fs::exists(folder + "/digests.txt");
  if (checkpoint && !verb.force)
    fail(folder, "holds a checkpoint already; replace it with --force, or give another folder.");
  if (!checkpoint) fail(folder, "is not empty; give -o a new folder.");
}

std::vector<std::string> read_operators(const std::string& path) {
  if (path.empty()) return {};
  const nn::NamedTensors tensors = nn::read_pytorch(path);
  const auto alpha = tensors.find("alpha");
  if (alpha == tensors.end())
    fail(path, "has no tensor 'alpha'; give the arch.pt that the authors' train_search.py wrote.");
  return nn::operators_from_alpha(alpha->second, path);
}

train::Checkpoint checkpoint_of(const nn::SwitchableModel& model) {
  train::Checkpoint checkpoint;
  checkpoint.spec = model.spec();
  checkpoint.bits = model.bits();
  checkpoint.model_options = model.options();
  checkpoint.run_options = Tree::map();  // it was not trained here
  for (const nn::Named& one : model.tensors()) checkpoint.weights[one.name] = one.tensor;
  checkpoint.state.phase = "done";
  return checkpoint;
}

/// Operator of each cell, from its convolutions.
std::vector<std::string> operators_in(const NetworkSpec& spec, const SpaceOptions& structure) {
  std::map<std::string, const Node*> nodes;
  for (const Node& node : spec.nodes) nodes[node.name] = &node;
  int64_t cells = 0;
  for (const int64_t layers : structure.layers_per_stage) cells += layers;
  std::vector<std::string> operators;
  int64_t channels = nodes.at("stem")->channels;
  for (int64_t cell = 0; cell < cells; ++cell) {
    const std::string prefix = fmt::format("cells.{}.", cell);
    const auto first = nodes.find(prefix + "conv1");
    if (first == nodes.end()) {
      operators.emplace_back("skip");
      if (const auto skip = nodes.find(prefix + "skip"); skip != nodes.end())
        channels = skip->second->channels;
      continue;
    }
    operators.push_back(fmt::format(
        "k{}_e{}{}", nodes.at(prefix + "conv2")->kernel, first->second->channels / channels,
        first->second->groups > 1 ? fmt::format("_g{}", first->second->groups) : ""));
    channels = nodes.at(prefix + "conv3")->channels;
  }
  return operators;
}

std::string report(const nn::SwitchableModel& model, const ImportVerbOptions& verb, size_t tensors,
                   const std::vector<std::string>& ignored, const std::string& folder) {
  const NetworkSpec& spec = model.spec();
  return fmt::format(
      "read {} tensors, {} of them without use ({})\n"
      "network: {}x{}x{} images, {} classes, {} MACs, {} parameters\n"
      "operators: {}\n"
      "bit-widths: {}\n"
      "checkpoint in {}",
      tensors, ignored.size(),
      ignored.empty() ? "none" : fmt::format("such as '{}'", ignored.front()), spec.channels,
      spec.height, spec.width, spec.classes, si(static_cast<double>(count_macs(spec))),
      si(static_cast<double>(count_parameters(spec))),
      fmt::join(operators_in(spec, verb.structure), " "), fmt::join(model.bits(), ", "), folder);
}

void import_verb(ImportVerbOptions verb) {
  const std::string folder = plain_path(verb.folder);
  check_room(verb, folder);
  parse_image(verb.image, verb.structure);
  const std::vector<std::string> operators = read_operators(verb.arch);
  const nn::NamedTensors state = nn::read_pytorch(verb.weights);
  const NetworkSpec spec = nn::authors_spec(state, operators, verb.structure, verb.weights);
  if (verb.classes != 0 && verb.classes != spec.classes)
    fail(verb.weights,
         fmt::format("tells {} classes apart, but --classes is {}.", spec.classes, verb.classes));
  const std::vector<int> bits =
      verb.bits.empty() ? nn::authors_bits(state, verb.weights) : verb.bits;
  std::vector<std::string> ignored;
  const nn::SwitchableModel model =
      nn::model_from_authors(state, spec, bits, verb.weights, &ignored);
  train::save_checkpoint(checkpoint_of(model), folder);
  print_text(report(model, verb, state.size(), ignored, folder));
}

}  // namespace

void add_import(CLI::App& app) {
  const auto options = std::make_shared<ImportVerbOptions>();
  CLI::App* verb =
      app.add_subcommand("import", "Read a checkpoint of the InstantNet authors' PyTorch code");
  verb->add_option("--arch", options->arch,
                   "arch.pt of the search; without it, operators are read from the weights");
  verb->add_option("--weights", options->weights, "weights.pt of the authors' train.py")
      ->required();
  verb->add_option("-o,--out", options->folder, "Folder of the checkpoint to write")->required();
  verb->add_option("--bits", options->bits, "Bit-widths it was trained for, ascending: 4,8,32")
      ->delimiter(',')
      ->default_str("4,8,12,16,32 for five batch norms a layer, 4,5,6,8 for four");
  verb->add_option("--classes", options->classes, "Check that it tells so many classes apart")
      ->check(whole_number(1));
  verb->add_option("--image", options->image, "Image size HxW it was trained for")
      ->capture_default_str();
  verb->add_option("--layers-per-stage", options->structure.layers_per_stage,
                   "Cells in each stage, as in the authors' config")
      ->delimiter(',')
      ->capture_default_str();
  verb->add_option("--strides", options->structure.strides,
                   "Stride of the first cell of each stage, as in the authors' config")
      ->delimiter(',')
      ->capture_default_str();
  verb->add_flag("--force", options->force, "Replace a checkpoint that is in the folder");
  verb->callback([options] { import_verb(*options); });
}

}  // namespace instantnet::cli
