// `instantnet inspect model.spnet`: what a frozen network holds, and what it weighs.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"
#include "instantnet/net/spec.h"
#include "instantnet/runtime/int_model.h"

namespace instantnet::cli {
namespace {

using runtime::FileSection;
using runtime::InputKind;
using runtime::IntLayer;
using runtime::IntModel;
using runtime::Lattice;

struct InspectVerbOptions {
  std::string path;
  bool json = false;
};

std::string lattice_name(Lattice lattice) { return lattice == Lattice::Nested ? "nested" : "sbm"; }

std::string input_name(InputKind kind) {
  switch (kind) {
    case InputKind::Image:
      return "pixels";
    case InputKind::Unsigned:
      return "unsigned";
    case InputKind::Signed:
      return "signed";
    case InputKind::Offset:
      break;
  }
  return "offset";
}

/// What the layer's weights have at `bits` of the network.
int layer_bits(const Node& node, int bits) { return node.bits == 0 ? bits : node.bits; }

/// Bytes of a model for `bits` alone: packed weights (of 32-bit layers 4 bytes each), and the
/// affine and range that its layers need.
uint64_t separate_bytes(const IntModel& model, int bits) {
  uint64_t total = 0;
  for (const IntLayer& layer : model.layers) {
    const auto node = std::find_if(model.spec.nodes.begin(), model.spec.nodes.end(),
                                   [&](const Node& one) { return one.name == layer.node; });
    const auto width = static_cast<uint64_t>(layer_bits(*node, bits));
    total += (layer.codes.size() * width + 7) / 8;
    const runtime::LayerWidth& any = layer.widths.front();
    const uint64_t lattice = width == 32 ? 0 : layer.low.size() + layer.range.size();
    total +=
        4 * (any.scale.size() + any.shift.size() + lattice + any.low.size() + any.range.size());
  }
  return total;
}

struct Inspection {
  std::string path;
  uint64_t bytes = 0;
  IntModel model;
  std::vector<FileSection> sections;
  std::vector<uint64_t> separate;  // one a bit-width
  uint64_t weights = 0;

  uint64_t separate_total() const {
    uint64_t total = 0;
    for (const uint64_t one : separate) total += one;
    return total;
  }
};

Inspection inspect(const std::string& path) {
  Inspection result{path, 0, runtime::read_model(path), runtime::sections(path), {}, 0};
  result.bytes = std::filesystem::file_size(path);
  for (const int bits : result.model.bits)
    result.separate.push_back(separate_bytes(result.model, bits));
  for (const IntLayer& layer : result.model.layers) result.weights += layer.codes.size();
  return result;
}

// ---- Text

std::string layers_text(const IntModel& model) {
  std::vector<std::vector<std::string>> rows;
  const std::vector<NamedLayer> shapes = layers(model.spec);
  for (size_t i = 0; i < shapes.size(); ++i) {
    const LayerShape& shape = shapes[i].shape;
    const IntLayer& layer = model.layers[i];
    rows.push_back({layer.node, fmt::format("{}", shape.k),
                    fmt::format("{}x{}x{}", shape.c, shape.r, shape.s),
                    fmt::format("{}", shape.groups), si(static_cast<double>(shape.weights())),
                    shapes[i].bits == 0 ? "any" : fmt::format("{}", shapes[i].bits),
                    lattice_name(layer.lattice), fmt::format("{}", layer.master_bits),
                    input_name(layer.input)});
  }
  return table_text(
      {"layer", "outputs", "kernel", "groups", "weights", "bits", "lattice", "stored", "input"},
      rows);
}

std::string sections_text(const std::vector<FileSection>& sections) {
  std::vector<std::vector<std::string>> rows;
  for (const FileSection& one : sections)
    rows.push_back({one.name, fmt::format("{}", one.offset), fmt::format("{}", one.bytes),
                    one.sha256.substr(0, 16)});
  return table_text({"section", "offset", "bytes", "sha256 (first 16)"}, rows);
}

std::string text_of(const Inspection& made) {
  const IntModel& model = made.model;
  std::string text = fmt::format("{}: {}, image {}x{}x{}, {} classes, bit-widths {}\n", made.path,
                                 model.spec.name, model.spec.channels, model.spec.height,
                                 model.spec.width, model.spec.classes, fmt::join(model.bits, ", "));
  if (!model.origin.empty()) text += model.origin + "\n";
  text += "\n" + layers_text(model) + "\n" + sections_text(made.sections) + "\n";
  std::vector<std::string> each;
  for (size_t i = 0; i < model.bits.size(); ++i)
    each.push_back(fmt::format("{}: {}", model.bits[i], bytes_text(made.separate[i])));
  return text +
         fmt::format(
             "{} weights in {}, {:.2f} bytes a weight; one file for each bit-width would be {} "
             "({}), {:.2f} bytes a weight\n",
             si(static_cast<double>(made.weights)), bytes_text(made.bytes),
             static_cast<double>(made.bytes) / static_cast<double>(made.weights),
             bytes_text(made.separate_total()), fmt::join(each, ", "),
             static_cast<double>(made.separate_total()) / static_cast<double>(made.weights));
}

// ---- JSON

template <class T>
Tree list_tree(const std::vector<T>& values) {
  Tree list = Tree::list();
  for (const T& value : values) list.items.push_back(Tree::of(value));
  return list;
}

Tree layers_tree(const IntModel& model) {
  Tree list = Tree::list();
  const std::vector<NamedLayer> shapes = layers(model.spec);
  for (size_t i = 0; i < shapes.size(); ++i)
    list.items.push_back(Tree::map()
                             .set("name", Tree::of(model.layers[i].node))
                             .set("weights", Tree::of(shapes[i].shape.weights()))
                             .set("bits", Tree::of(shapes[i].bits))
                             .set("lattice", Tree::of(lattice_name(model.layers[i].lattice)))
                             .set("stored_bits", Tree::of(model.layers[i].master_bits))
                             .set("input", Tree::of(input_name(model.layers[i].input))));
  return list;
}

Tree sections_tree(const std::vector<FileSection>& sections) {
  Tree list = Tree::list();
  for (const FileSection& one : sections)
    list.items.push_back(Tree::map()
                             .set("name", Tree::of(one.name))
                             .set("offset", Tree::of(one.offset))
                             .set("bytes", Tree::of(one.bytes))
                             .set("sha256", Tree::of(one.sha256)));
  return list;
}

Tree tree_of(const Inspection& made) {
  const IntModel& model = made.model;
  Tree separate = Tree::map();
  for (size_t i = 0; i < model.bits.size(); ++i)
    separate.set(fmt::format("{}", model.bits[i]), Tree::of(made.separate[i]));
  return Tree::map()
      .set("network", Tree::of(model.spec.name))
      .set("input", list_tree<int64_t>({model.spec.channels, model.spec.height, model.spec.width}))
      .set("classes", Tree::of(model.spec.classes))
      .set("bits", list_tree(model.bits))
      .set("origin", Tree::of(model.origin))
      .set("weights", Tree::of(made.weights))
      .set("bytes", Tree::of(made.bytes))
      .set("bytes_of_separate_files", std::move(separate))
      .set("layers", layers_tree(model))
      .set("sections", sections_tree(made.sections));
}

}  // namespace

void add_inspect(CLI::App& app) {
  const auto options = std::make_shared<InspectVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "inspect", "Show what a frozen network holds: layers, bit-widths, sizes, digests");
  verb->add_option("MODEL", options->path, "File written by 'instantnet freeze'")->required();
  verb->add_flag("--json", options->json, "Print JSON");
  verb->callback([options] {
    const Inspection made = inspect(options->path);
    print_text(options->json ? print_json(tree_of(made), 2) : text_of(made));
  });
}

}  // namespace instantnet::cli
