// Weights of the inputs of Add nodes: how a network that holds several is mixed, or one of them
// chosen. What only gates of 0 lead to is not part of the network.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "instantnet/net/spec.h"

namespace instantnet::nn {

/// By name of an Add node, a number for each of its inputs, >= 0: it computes the sum of gate *
/// input.
using Gates = std::map<std::string, std::vector<double>>;

/// The gates of a network that is run, and their gradients. Without any, every node counts.
class GateSet {
 public:
  /// `spec` outlives it.
  explicit GateSet(const NetworkSpec& spec);

  /// Error for a node that is unknown or no Add, a wrong number of gates, one that is negative or
  /// not finite, or none that leads anywhere. Gradients become 0.
  void set(const Gates& gates);

  /// Whether the output depends on the node.
  bool alive(size_t node) const { return alive_[node] != 0; }
  /// The node's gates, or nullptr where it plainly sums.
  const std::vector<float>* of(size_t node) const;
  /// Adds to d loss / d gate of one input of the node.
  void add_gradient(size_t node, size_t input, double gradient);
  /// All gradients, under the names that were set.
  Gates gradients() const;

 private:
  const NetworkSpec& spec_;
  std::vector<char> alive_;  // by node
  std::map<size_t, std::vector<float>> gates_;
  std::map<size_t, std::vector<double>> gradients_;
};

}  // namespace instantnet::nn
