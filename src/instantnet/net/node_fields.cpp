#include "instantnet/net/node_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "instantnet/core/error.h"

namespace instantnet {
namespace {

/// A whole-number member.
NodeField number(std::string name, int64_t Node::*member, std::vector<Op> ops) {
  return {std::move(name), std::move(ops),
          [member](Node& node, const Tree& tree) { node.*member = tree.as_int(); },
          [member](const Node& node) { return Tree::of(node.*member); }};
}

/// A true-or-false member.
NodeField flag(std::string name, bool Node::*member, std::vector<Op> ops) {
  return {std::move(name), std::move(ops),
          [member](Node& node, const Tree& tree) { node.*member = tree.as_bool(); },
          [member](const Node& node) { return Tree::of(node.*member); }};
}

void read_activation(Node& node, const Tree& tree) {
  std::vector<std::string> known;
  for (const auto& [value, text] : names_of(Activation{})) {
    known.push_back(text);
    if (text == tree.as_string()) {
      node.activation = value;
      return;
    }
  }
  fail(tree.where(), fmt::format("unknown activation '{}'{}", tree.as_string(),
                                 suggestion(tree.as_string(), known)));
}

void read_bits(Node& node, const Tree& tree) {
  const int64_t bits = tree.as_int();
  if (bits < 0 || bits > std::numeric_limits<int>::max())
    fail(
        tree.where(),
        fmt::format("bits is {}; give 1..16, 32 for float, or leave it out for a switchable layer.",
                    bits));
  node.bits = static_cast<int>(bits);
}

std::vector<NodeField> make_fields() {
  const std::vector<Op> weighted = {Op::Conv, Op::Linear};
  const std::vector<Op> windowed = {Op::Conv, Op::MaxPool, Op::AvgPool};
  return {
      number("channels", &Node::channels, weighted),
      number("kernel", &Node::kernel, windowed),
      number("stride", &Node::stride, windowed),
      number("padding", &Node::padding, windowed),
      number("dilation", &Node::dilation, {Op::Conv}),
      number("groups", &Node::groups, {Op::Conv, Op::ChannelShuffle}),
      flag("bias", &Node::bias, weighted),
      flag("batch_norm", &Node::batch_norm, weighted),
      {"activation",
       {Op::Conv, Op::Linear, Op::Add},
       read_activation,
       [](const Node& node) { return Tree::of(to_string(node.activation)); }},
      {"bits", weighted, read_bits, [](const Node& node) { return Tree::of(node.bits); }},
      {"probability",
       {Op::Dropout},
       [](Node& node, const Tree& tree) { node.probability = tree.as_double(); },
       [](const Node& node) { return Tree::of(node.probability); }},
  };
}

template <class E>
const std::string& name_of(E value) {
  for (const auto& [one, text] : names_of(E{}))
    if (one == value) return text;
  bug("an enum value has no name");
}

}  // namespace

const std::vector<std::pair<Op, std::string>>& names_of(Op) {
  static const std::vector<std::pair<Op, std::string>> names = {
      {Op::Conv, "conv"},        {Op::Linear, "linear"},
      {Op::Add, "add"},          {Op::MaxPool, "max_pool"},
      {Op::AvgPool, "avg_pool"}, {Op::GlobalAvgPool, "global_avg_pool"},
      {Op::Flatten, "flatten"},  {Op::ChannelShuffle, "channel_shuffle"},
      {Op::Dropout, "dropout"},
  };
  return names;
}

const std::vector<std::pair<Activation, std::string>>& names_of(Activation) {
  static const std::vector<std::pair<Activation, std::string>> names = {
      {Activation::None, "none"}, {Activation::Relu, "relu"}, {Activation::Relu6, "relu6"}};
  return names;
}

const std::string& to_string(Op op) { return name_of(op); }
const std::string& to_string(Activation activation) { return name_of(activation); }

bool NodeField::used_by(Op op) const { return std::find(ops.begin(), ops.end(), op) != ops.end(); }

bool NodeField::is_default(const Node& node) const { return write(node) == write(Node{}); }

const std::vector<NodeField>& node_fields() {
  static const std::vector<NodeField> fields = make_fields();
  return fields;
}

std::vector<std::string> node_keys(Op op) {
  std::vector<std::string> keys = {"name", "op", "inputs"};
  for (const NodeField& field : node_fields())
    if (field.used_by(op)) keys.push_back(field.name);
  return keys;
}

std::string no_use_sentence(Op op, std::string_view field) {
  return fmt::format("op {} has no use for '{}'; it takes {}.", to_string(op), field,
                     fmt::join(node_keys(op), ", "));
}

}  // namespace instantnet
