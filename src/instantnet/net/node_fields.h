// The fields of a Node that depend on its op: their names in network.yaml, which ops use them, how
// they are read and written. One table for reading, writing and checking.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/net/spec.h"

namespace instantnet {

/// One field.
struct NodeField {
  std::string name;
  std::vector<Op> ops;  // the ops that use it
  std::function<void(Node&, const Tree&)>
      read;  // Error with file and line when the value is not one
  std::function<Tree(const Node&)> write;

  bool used_by(Op op) const;
  /// The field has its default value.
  bool is_default(const Node& node) const;
};

/// All but name, op and inputs, in the order they are written.
const std::vector<NodeField>& node_fields();

/// "op add has no use for 'kernel'; it takes inputs, activation."
std::string no_use_sentence(Op op, std::string_view field);

/// Keys a node of this op may have, in the order they are written.
std::vector<std::string> node_keys(Op op);

}  // namespace instantnet
