#include "instantnet/cli/prices.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>
#include <variant>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/tree.h"

namespace instantnet::cli {
namespace {

std::string key_of(const LayerShape& s, Precision precision) {
  return fmt::format("n{} k{} c{} p{} q{} r{} s{} stride{} dilation{} groups{} {}", s.n, s.k, s.c,
                     s.p, s.q, s.r, s.s, s.stride, s.dilation, s.groups, to_string(precision));
}

double value_of(const mapper::Cost& cost, mapper::Objective objective) {
  switch (objective) {
    case mapper::Objective::Energy:
      return cost.energy_pj;
    case mapper::Objective::Edp:
      return cost.edp();
    default:
      return cost.cycles;
  }
}

/// Device and objective: prices of others are of no use.
std::string identity_of(const mapper::Accelerator& device, mapper::Objective objective) {
  std::string name;
  for (const auto& [one, text] : mapper::names_of(objective))
    if (one == objective) name = text;
  return sha256(print_yaml(mapper::to_tree(device)) + name);
}

}  // namespace

MappedPrices::MappedPrices(mapper::Accelerator device, mapper::Objective objective,
                           std::string file, int threads)
    : device_(std::move(device)), file_(std::move(file)) {
  options_.objective = objective;
  options_.threads = threads;
  identity_ = identity_of(device_, objective);
  load();
}

void MappedPrices::load() {
  if (file_.empty() || !std::filesystem::exists(file_)) return;
  const Tree tree = read_yaml(file_);
  const Tree* identity = tree.kind == Tree::Kind::Map ? tree.find("device_and_objective") : nullptr;
  const Tree* prices = tree.kind == Tree::Kind::Map ? tree.find("prices") : nullptr;
  if (identity == nullptr || prices == nullptr || prices->kind != Tree::Kind::Map)
    fail(file_, "is no file of prices; give another path, or remove it.");
  if (identity->as_string() != identity_) return;  // of another device: replaced
  for (const auto& [key, value] : prices->entries) known_[key] = value.as_double();
}

double MappedPrices::operator()(const LayerShape& shape, Precision precision) {
  const std::string key = key_of(shape, precision);
  const auto found = known_.find(key);
  if (found != known_.end()) return found->second;
  const auto result = mapper::search(shape, precision, device_, {}, options_);
  if (const auto* misfit = std::get_if<mapper::Misfit>(&result)) fail(device_.name, misfit->why);
  const double value = value_of(std::get<mapper::Found>(result).cost, options_.objective);
  known_[key] = value;
  ++mapped_;
  changed_ = true;
  return value;
}

void MappedPrices::save() {
  if (file_.empty() || !changed_) return;
  Tree prices = Tree::map();
  for (const auto& [key, value] : known_) prices.set(key, Tree::of(value));
  write_file_atomic(file_, print_yaml(Tree::map()
                                          .set("device_and_objective", Tree::of(identity_))
                                          .set("prices", std::move(prices))));
  changed_ = false;
}

}  // namespace instantnet::cli
