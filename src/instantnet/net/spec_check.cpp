// check(): what a network must fulfil beyond shapes that fit.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "instantnet/core/error.h"
#include "instantnet/net/node_fields.h"
#include "instantnet/net/places.h"
#include "instantnet/net/spec.h"

namespace instantnet {
namespace {

bool is_name_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

void check_network_name(const NetworkSpec& spec, const std::string& where) {
  const bool printable =
      std::all_of(spec.name.begin(), spec.name.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (spec.name.empty()) fail(where, "it has no name; give one, for example resnet8.");
  if (!printable)
    fail(where, "its name has characters that are not printable ASCII; use letters and digits.");
}

void check_node_name(const Node& node, const std::string& where) {
  if (node.name.empty()) fail(where, "a layer has no name; give each one, for example conv1.");
  if (!std::all_of(node.name.begin(), node.name.end(), is_name_letter))
    fail(where,
         fmt::format(
             "the name '{}' has other characters than letters, digits, '_', '-' and '.'; use only "
             "these.",
             node.name));
}

void check_unused_fields(const Node& node, const std::string& where) {
  for (const NodeField& field : node_fields())
    if (!field.used_by(node.op) && !field.is_default(node))
      fail(where, no_use_sentence(node.op, field.name));
}

void check_values(const Node& node, const std::string& where) {
  if (node.bias && node.batch_norm)
    fail(where,
         "it has both bias and batch_norm, whose shift makes a bias useless; leave bias out.");
  if (node.bits != 0 && node.bits != 32 && (node.bits < 1 || node.bits > 16))
    fail(where, fmt::format(
                    "bits is {}; give 1..16, 32 for float, or leave it out for a switchable layer.",
                    node.bits));
  if (!(node.probability >= 0 && node.probability < 1))
    fail(where,
         fmt::format("probability is {}; it is at least 0 and less than 1.", node.probability));
}

void check_all_used(const NetworkSpec& spec, const Places& places) {
  std::set<std::string> used = {spec.nodes.back().name};
  for (const Node& node : spec.nodes) used.insert(node.inputs.begin(), node.inputs.end());
  for (size_t i = 0; i < spec.nodes.size(); ++i)
    if (!used.contains(spec.nodes[i].name))
      fail(places.nodes[i],
           "no layer uses its output, and it is not the last; name it in the inputs of one, or "
           "leave it out.");
}

void check_totals(const NetworkSpec& spec, const Places& places) {
  int64_t macs = 0;
  int64_t parameters = 0;
  for (const NodeSummary& node : summarize_at(spec, places))
    if (__builtin_add_overflow(macs, node.macs, &macs) ||
        __builtin_add_overflow(parameters, node.parameters, &parameters))
      fail(places.network,
           "its multiply-accumulates or parameters exceed 2^63 - 1 and cannot be counted; make its "
           "layers smaller.");
}

}  // namespace

void check_at(const NetworkSpec& spec, const Places& places) {
  check_network_name(spec, places.network);
  for (size_t i = 0; i < spec.nodes.size(); ++i) {
    check_node_name(spec.nodes[i], places.nodes[i]);
    check_unused_fields(spec.nodes[i], places.nodes[i]);
    check_values(spec.nodes[i], places.nodes[i]);
  }
  check_totals(spec, places);
  check_all_used(spec, places);
}

void check(const NetworkSpec& spec) { check_at(spec, places_by_name(spec)); }

}  // namespace instantnet
