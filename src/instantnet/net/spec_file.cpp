// network.yaml: a NetworkSpec as values and back.
#include <fmt/format.h>

#include <algorithm>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/format.h"
#include "instantnet/net/node_fields.h"
#include "instantnet/net/places.h"
#include "instantnet/net/spec.h"

namespace instantnet {
namespace {

constexpr Format kNetworkFormat = {"network.yaml",
                                   "write it as this one does (instantnet zoo NAME --yaml)"};

const std::vector<std::string>& network_keys() {
  static const std::vector<std::string> keys = {"version", "name", "input", "classes", "nodes"};
  return keys;
}

/// What the node at `index` takes when no inputs are given.
std::vector<std::string> default_inputs(const std::vector<Node>& nodes, size_t index) {
  return {index == 0 ? "input" : nodes[index - 1].name};
}

/// "net.yaml:3", or `otherwise` for values made by a program.
std::string place_of(const Tree& tree, const std::string& otherwise) {
  return tree.line > 0 ? tree.where() : otherwise;
}

void check_keys(const Tree& map, const std::vector<std::string>& known, const std::string& where) {
  for (const auto& [key, value] : map.entries)
    if (std::find(known.begin(), known.end(), key) == known.end())
      fail(place_of(value, where), fmt::format("unknown key '{}'{}", key, suggestion(key, known)));
}

const Tree& need(const Tree& map, std::string_view key, const std::string& where,
                 std::string_view example) {
  const Tree* found = map.find(key);
  if (found == nullptr)
    fail(where, fmt::format("'{}' is missing; give it, for example {}.", key, example));
  return *found;
}

void read_image(NetworkSpec& spec, const Tree& image, const std::string& where) {
  if (image.kind != Tree::Kind::List || image.items.size() != 3)
    fail(place_of(image, where),
         "input must be a list of channels, height and width, for example [3, 32, 32].");
  spec.channels = image.items[0].as_int();
  spec.height = image.items[1].as_int();
  spec.width = image.items[2].as_int();
}

Op read_op(const Tree& tree, const std::string& where) {
  std::vector<std::string> known;
  for (const auto& [op, text] : names_of(Op{})) {
    if (text == tree.as_string()) return op;
    known.push_back(text);
  }
  fail(place_of(tree, where),
       fmt::format("unknown op '{}'{}", tree.as_string(), suggestion(tree.as_string(), known)));
}

std::vector<std::string> read_inputs(const Tree& tree, const std::string& where) {
  if (tree.kind != Tree::Kind::List)
    fail(place_of(tree, where), "inputs must be a list of layer names, for example [stem].");
  std::vector<std::string> names;
  for (const Tree& item : tree.items) names.push_back(item.as_string());
  return names;
}

/// Error when the key is not one, or one of other ops.
void check_node_keys(const Tree& map, Op op, const std::string& where) {
  const std::vector<std::string> known = node_keys(op);
  for (const auto& [key, value] : map.entries)
    for (const NodeField& field : node_fields())
      if (field.name == key && !field.used_by(op))
        fail(place_of(value, where), no_use_sentence(op, key));
  check_keys(map, known, where);
}

Node read_node(const Tree& map, const std::string& where) {
  if (map.kind != Tree::Kind::Map)
    fail(where, "a layer must be a map, for example {name: fc, op: linear, channels: 10}.");
  Node node;
  node.op = read_op(need(map, "op", where, "op: conv"), where);
  check_node_keys(map, node.op, where);
  node.name = need(map, "name", where, "name: conv1").as_string();
  if (const Tree* inputs = map.find("inputs")) node.inputs = read_inputs(*inputs, where);
  for (const NodeField& field : node_fields())
    if (const Tree* value = map.find(field.name)) field.read(node, *value);
  return node;
}

void read_nodes(NetworkSpec& spec, const Tree& list, Places& places) {
  if (list.kind != Tree::Kind::List)
    fail(place_of(list, places.network),
         "nodes must be a list of layers, for example [{name: fc, op: linear, "
         "channels: 10}].");
  for (const Tree& item : list.items) {
    const std::string place =
        place_of(item, fmt::format("{}, layer {}", places.network, spec.nodes.size() + 1));
    Node node = read_node(item, place);
    if (item.find("inputs") == nullptr) node.inputs = default_inputs(spec.nodes, spec.nodes.size());
    places.nodes.push_back(item.line > 0
                               ? fmt::format("{}, layer '{}'", place, node.name)
                               : fmt::format("{}, layer '{}'", places.network, node.name));
    spec.nodes.push_back(std::move(node));
  }
}

Tree node_to_tree(const std::vector<Node>& nodes, size_t index) {
  const Node& node = nodes[index];
  Tree map = Tree::map();
  map.set("name", Tree::of(node.name));
  map.set("op", Tree::of(to_string(node.op)));
  if (node.inputs != default_inputs(nodes, index)) {
    Tree inputs = Tree::list();
    for (const std::string& name : node.inputs) inputs.items.push_back(Tree::of(name));
    map.set("inputs", std::move(inputs));
  }
  for (const NodeField& field : node_fields())
    if (!field.is_default(node)) map.set(field.name, field.write(node));
  return map;
}

}  // namespace

Tree to_tree(const NetworkSpec& spec) {
  Tree nodes = Tree::list();
  for (size_t i = 0; i < spec.nodes.size(); ++i) nodes.items.push_back(node_to_tree(spec.nodes, i));
  Tree map = Tree::map();
  map.set("name", Tree::of(spec.name));
  map.set("input",
          Tree::list({Tree::of(spec.channels), Tree::of(spec.height), Tree::of(spec.width)}));
  map.set("classes", Tree::of(spec.classes));
  map.set("nodes", std::move(nodes));
  return map;
}

NetworkSpec network_from_tree(const Tree& tree) {
  Places places{place_of(tree, "network"), {}};
  if (tree.kind != Tree::Kind::Map)
    fail(places.network, "a network must be a map with name, input, classes and nodes.");
  read_version(kNetworkFormat, tree);
  check_keys(tree, network_keys(), places.network);
  NetworkSpec spec;
  spec.name = need(tree, "name", places.network, "name: resnet8").as_string();
  if (tree.line == 0) places.network = fmt::format("network '{}'", spec.name);
  read_image(spec, need(tree, "input", places.network, "input: [3, 32, 32]"), places.network);
  spec.classes = need(tree, "classes", places.network, "classes: 10").as_int();
  read_nodes(spec,
             need(tree, "nodes", places.network, "nodes: [{name: fc, op: linear, channels: 10}]"),
             places);
  check_at(spec, places);
  return spec;
}

NetworkSpec read_network(const std::string& path) { return network_from_tree(read_yaml(path)); }

void write_network(const NetworkSpec& spec, const std::string& path) {
  check(spec);
  write_file_atomic(path, print_yaml(to_tree(spec)));
}

}  // namespace instantnet
