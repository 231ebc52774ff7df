#include "instantnet/nn/gates.h"

#include <cmath>

#include "instantnet/core/error.h"

namespace instantnet::nn {
namespace {

std::map<std::string, size_t> indices_of(const NetworkSpec& spec) {
  std::map<std::string, size_t> indices;
  for (size_t i = 0; i < spec.nodes.size(); ++i) indices[spec.nodes[i].name] = i;
  return indices;
}

void check_values(const std::string& name, const std::vector<double>& values, const Node& node) {
  if (node.op != Op::Add) fail("gates", "node '" + name + "' is no add; only they have gates.");
  if (values.size() != node.inputs.size())
    fail("gates", "node '" + name + "' has " + std::to_string(node.inputs.size()) +
                      " inputs and is given " + std::to_string(values.size()) +
                      " gates; give one each.");
  bool any = false;
  for (const double value : values) {
    if (!std::isfinite(value) || value < 0)
      fail("gates", "node '" + name + "' has the gate " + std::to_string(value) +
                        "; give numbers from 0 on.");
    any = any || static_cast<float>(value) > 0;
  }
  if (!any) fail("gates", "node '" + name + "' has no gate above 0; give at least one.");
}

}  // namespace

GateSet::GateSet(const NetworkSpec& spec) : spec_(spec), alive_(spec.nodes.size(), 1) {}

void GateSet::set(const Gates& gates) {
  const std::map<std::string, size_t> indices = indices_of(spec_);
  gates_.clear();
  gradients_.clear();
  for (const auto& [name, values] : gates) {
    const auto found = indices.find(name);
    if (found == indices.end()) fail("gates", "there is no node '" + name + "'.");
    check_values(name, values, spec_.nodes[found->second]);
    gates_[found->second].assign(values.begin(), values.end());
    gradients_[found->second].assign(values.size(), 0.0);
  }
  alive_.assign(spec_.nodes.size(), 0);
  alive_.back() = 1;
  for (size_t i = spec_.nodes.size(); i-- > 0;) {
    if (!alive_[i]) continue;
    const std::vector<float>* weights = of(i);
    const std::vector<std::string>& inputs = spec_.nodes[i].inputs;
    for (size_t k = 0; k < inputs.size(); ++k)
      if (inputs[k] != "input" && (weights == nullptr || (*weights)[k] > 0))
        alive_[indices.at(inputs[k])] = 1;
  }
}

const std::vector<float>* GateSet::of(size_t node) const {
  const auto found = gates_.find(node);
  return found == gates_.end() ? nullptr : &found->second;
}

void GateSet::add_gradient(size_t node, size_t input, double gradient) {
  gradients_.at(node).at(input) += gradient;
}

Gates GateSet::gradients() const {
  Gates all;
  for (const auto& [node, values] : gradients_) all[spec_.nodes[node].name] = values;
  return all;
}

}  // namespace instantnet::nn
