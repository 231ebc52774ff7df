// `instantnet zoo [NAME]`: lists the networks, or the layers of one.
#include "instantnet/net/zoo.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "instantnet/cli/arguments.h"
#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"
#include "instantnet/net/spec.h"

namespace instantnet::cli {
namespace {

constexpr size_t kColumns = 80;

struct ZooVerbOptions {
  std::string name;     // of a zoo entry, or path of a network.yaml; empty: list all
  int64_t classes = 0;  // 0 = the network's own
  std::string input;    // "3x32x32"; empty = the network's own
  bool yaml = false, json = false;
};

std::string image_text(int64_t channels, int64_t height, int64_t width) {
  return fmt::format("{}x{}x{}", channels, height, width);
}

std::string shape_text(const TensorShape& shape) {
  return shape.flat ? fmt::format("{}", shape.channels)
                    : image_text(shape.channels, shape.height, shape.width);
}

Tree image_tree(const NetworkSpec& spec) {
  return Tree::list({Tree::of(spec.channels), Tree::of(spec.height), Tree::of(spec.width)});
}

Tree shape_tree(const TensorShape& shape) {
  if (shape.flat) return Tree::list({Tree::of(shape.channels)});
  return Tree::list({Tree::of(shape.channels), Tree::of(shape.height), Tree::of(shape.width)});
}

/// "3x32x32" into channels, height and width.
void parse_input(const std::string& text, ZooOptions& options) {
  int64_t* const numbers[] = {&options.channels, &options.height, &options.width};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int i = 0; i < 3; ++i) {
    const auto [after, error] = std::from_chars(at, end, *numbers[i]);
    const bool separated = i == 2 ? after == end : after != end && *after == 'x';
    if (error != std::errc() || *numbers[i] < 1 || !separated)
      fail("zoo --input",
           fmt::format(
               "'{}' is not an image size; give channels x height x width, for example 3x32x32.",
               text));
    at = after + 1;
  }
}

bool is_entry(const std::string& name) {
  for (const ZooEntry& entry : zoo())
    if (entry.name == name) return true;
  return false;
}

/// False also for names no file can have.
bool exists(const std::string& name) {
  std::error_code ignored;
  return std::filesystem::exists(name, ignored);
}

bool looks_like_file(const std::string& name) {
  return name.ends_with(".yaml") || name.ends_with(".yml") || name.find('/') != std::string::npos ||
         exists(name);
}

NetworkSpec load(const ZooVerbOptions& options) {
  const bool resized = options.classes != 0 || !options.input.empty();
  if (!is_entry(options.name) && looks_like_file(options.name)) {
    if (resized)
      fail("zoo",
           fmt::format(
               "--classes and --input change networks of the zoo, not files; edit {} instead.",
               options.name));
    return read_network(options.name);
  }
  ZooOptions size;
  size.classes = options.classes;
  if (!options.input.empty()) parse_input(options.input, size);
  return zoo_network(options.name, size);
}

int64_t count_layers(const NetworkSpec& spec) { return static_cast<int64_t>(layers(spec).size()); }

/// What the networks are: the names that share a sentence, and below them the sentence.
std::string descriptions_text() {
  std::vector<std::pair<std::string, std::string>> names_of;  // sentence -> names
  for (const ZooEntry& entry : zoo()) {
    const auto same = [&](const auto& one) { return one.first == entry.description; };
    const auto found = std::find_if(names_of.begin(), names_of.end(), same);
    if (found == names_of.end())
      names_of.emplace_back(entry.description, entry.name);
    else
      found->second += ", " + entry.name;
  }
  std::string text;
  for (const auto& [sentence, names] : names_of)
    text += wrap_text(names, kColumns) + "\n" + wrap_text(sentence, kColumns, 4) + "\n";
  return text;
}

std::string list_text() {
  std::vector<std::vector<std::string>> rows;
  for (const ZooEntry& entry : zoo()) {
    const NetworkSpec spec = zoo_network(entry.name);
    rows.push_back({entry.name, image_text(spec.channels, spec.height, spec.width),
                    std::to_string(spec.classes), std::to_string(count_layers(spec)),
                    si(static_cast<double>(count_macs(spec))),
                    si(static_cast<double>(count_parameters(spec)))});
  }
  return table_text({"name", "input", "classes", "layers", "MACs", "parameters"}, rows) + "\n" +
         descriptions_text();
}

Tree list_tree() {
  Tree list = Tree::list();
  for (const ZooEntry& entry : zoo()) {
    const NetworkSpec spec = zoo_network(entry.name);
    list.items.push_back(Tree::map()
                             .set("name", Tree::of(entry.name))
                             .set("description", Tree::of(entry.description))
                             .set("input", image_tree(spec))
                             .set("classes", Tree::of(spec.classes))
                             .set("layers", Tree::of(count_layers(spec)))
                             .set("macs", Tree::of(count_macs(spec)))
                             .set("parameters", Tree::of(count_parameters(spec))));
  }
  return list;
}

bool has_weights(const Node& node) { return node.op == Op::Conv || node.op == Op::Linear; }
bool has_window(const Node& node) {
  return node.op == Op::Conv || node.op == Op::MaxPool || node.op == Op::AvgPool;
}
bool has_groups(const Node& node) { return node.op == Op::Conv || node.op == Op::ChannelShuffle; }

std::string bits_text(const Node& node) {
  return node.bits == 0 ? "any" : std::to_string(node.bits);
}

/// "3x3", "3x3/2 g64": kernel, stride where it is not 1, groups where there are several.
std::string window_text(const Node& node) {
  std::string text = has_window(node) ? fmt::format("{0}x{0}", node.kernel) : std::string();
  if (has_window(node) && node.stride != 1) text += fmt::format("/{}", node.stride);
  if (has_groups(node) && node.groups != 1)
    text += fmt::format("{}g{}", text.empty() ? "" : " ", node.groups);
  return text.empty() ? "-" : text;
}

std::vector<std::string> network_row(const Node& node, const NodeSummary& summary) {
  const bool shown = has_weights(node);
  return {node.name,
          to_string(node.op),
          shape_text(summary.output),
          window_text(node),
          shown ? si(static_cast<double>(summary.macs)) : "-",
          shown ? si(static_cast<double>(summary.parameters)) : "-",
          shown ? bits_text(node) : "-"};
}

std::string totals_text(const NetworkSpec& spec) {
  const int64_t macs = count_macs(spec);
  const int64_t parameters = count_parameters(spec);
  return fmt::format(
      "{}: input {}, {} classes, {} layers with weights\n"
      "{} MACs ({}), {} parameters ({})\n"
      "size 3x3/2 g64: kernel 3x3, stride 2, 64 groups; bits any: as the model runs\n",
      spec.name, image_text(spec.channels, spec.height, spec.width), spec.classes,
      count_layers(spec), si(static_cast<double>(macs)), macs, si(static_cast<double>(parameters)),
      parameters);
}

std::string network_text(const NetworkSpec& spec) {
  const std::vector<NodeSummary> summaries = summarize(spec);
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < spec.nodes.size(); ++i)
    rows.push_back(network_row(spec.nodes[i], summaries[i]));
  return table_text({"name", "op", "output", "size", "MACs", "params", "bits"}, rows) + "\n" +
         totals_text(spec);
}

/// A node's shapes, the numbers its op uses, and its costs.
Tree node_tree(const Node& node, const NodeSummary& summary) {
  Tree map = Tree::map();
  map.set("name", Tree::of(node.name)).set("op", Tree::of(to_string(node.op)));
  map.set("input", shape_tree(summary.input)).set("output", shape_tree(summary.output));
  if (has_window(node))
    map.set("kernel", Tree::of(node.kernel)).set("stride", Tree::of(node.stride));
  if (has_window(node)) map.set("padding", Tree::of(node.padding));
  if (has_groups(node)) map.set("groups", Tree::of(node.groups));
  if (has_weights(node)) map.set("bits", Tree::of(node.bits));
  map.set("macs", Tree::of(summary.macs)).set("parameters", Tree::of(summary.parameters));
  return map;
}

Tree network_tree(const NetworkSpec& spec) {
  const std::vector<NodeSummary> summaries = summarize(spec);
  Tree nodes = Tree::list();
  for (size_t i = 0; i < spec.nodes.size(); ++i)
    nodes.items.push_back(node_tree(spec.nodes[i], summaries[i]));
  return Tree::map()
      .set("name", Tree::of(spec.name))
      .set("input", image_tree(spec))
      .set("classes", Tree::of(spec.classes))
      .set("layers", Tree::of(count_layers(spec)))
      .set("macs", Tree::of(count_macs(spec)))
      .set("parameters", Tree::of(count_parameters(spec)))
      .set("nodes", std::move(nodes));
}

std::string list_all(const ZooVerbOptions& options) {
  if (options.classes != 0 || !options.input.empty() || options.yaml)
    fail("zoo",
         "--classes, --input and --yaml are for one network; name it, for example 'instantnet zoo "
         "resnet20'.");
  return options.json ? print_json(list_tree(), 2) + "\n" : list_text();
}

std::string list_one(const ZooVerbOptions& options) {
  const NetworkSpec spec = load(options);
  if (options.yaml) return print_yaml(to_tree(spec));
  return options.json ? print_json(network_tree(spec), 2) + "\n" : network_text(spec);
}

}  // namespace

void add_zoo(CLI::App& app) {
  const auto options = std::make_shared<ZooVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "zoo", "List the networks, or the layers of one with shapes, MACs and parameters");
  verb->add_option("NAME", options->name,
                   "Network of the zoo, or path of a network.yaml; without it, all are listed");
  verb->add_option("--classes", options->classes, "Number of classes")
      ->check(whole_number(1))
      ->default_str("the network's own");
  verb->add_option("--input", options->input, "Image size CxHxW, for example 3x32x32")
      ->default_str("the network's own");
  CLI::Option* yaml = verb->add_flag("--yaml", options->yaml, "Print network.yaml");
  verb->add_flag("--json", options->json, "Print JSON")->excludes(yaml);
  verb->callback(
      [options] { print_text(options->name.empty() ? list_all(*options) : list_one(*options)); });
}

}  // namespace instantnet::cli
