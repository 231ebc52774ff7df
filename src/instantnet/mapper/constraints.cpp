#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "instantnet/core/error.h"
#include "instantnet/mapper/search.h"

namespace instantnet::mapper {

namespace {

constexpr const char* kKeys[] = {"level",        "order",        "temporal", "spatial",
                                 "spatial_dims", "spatial_most", "keep",     "bypass"};

std::string text_of(const Loop& loop) { return to_string(loop.dim) + std::to_string(loop.bound); }

const StorageLevel* find_level(const Accelerator& device, const std::string& name) {
  const auto found = std::find_if(device.levels.begin(), device.levels.end(),
                                  [&](const StorageLevel& one) { return one.name == name; });
  return found == device.levels.end() ? nullptr : &*found;
}

std::vector<std::string> level_names(const Accelerator& device) {
  std::vector<std::string> names;
  for (const StorageLevel& level : device.levels) names.push_back(level.name);
  return names;
}

// --- what contradicts -------------------------------------------------------------------------

void check_loops(const std::vector<Loop>& loops, const std::string& where, const char* key) {
  for (size_t i = 0; i < loops.size(); ++i) {
    if (loops[i].bound < 1 || loops[i].bound > std::numeric_limits<int32_t>::max())
      fail(where, fmt::format("{}: '{}' has the factor {}; give one from 1 to 2147483647.", key,
                              text_of(loops[i]), loops[i].bound));
    for (size_t j = 0; j < i; ++j)
      if (loops[j].dim == loops[i].dim)
        fail(where, fmt::format("{} has {} twice; give one factor for each loop.", key,
                                to_string(loops[i].dim)));
  }
}

void check_distinct(const std::vector<Dim>& dims, const std::string& where, const char* key) {
  for (size_t i = 0; i < dims.size(); ++i)
    if (std::find(dims.begin(), dims.begin() + static_cast<ptrdiff_t>(i), dims[i]) !=
        dims.begin() + static_cast<ptrdiff_t>(i))
      fail(where, fmt::format("{} names {} twice.", key, to_string(dims[i])));
}

void check_spatial(const LevelConstraint& one, const StorageLevel& level,
                   const std::string& where) {
  int64_t product = 1;
  for (const Loop& loop : one.spatial) {
    if (one.spatial_dims && loop.bound > 1 &&
        std::find(one.spatial_dims->begin(), one.spatial_dims->end(), loop.dim) ==
            one.spatial_dims->end())
      fail(where, fmt::format("spatial fixes {}, but spatial_dims does not have {}.", text_of(loop),
                              to_string(loop.dim)));
    for (const Loop& most : one.spatial_most)
      if (most.dim == loop.dim && loop.bound > most.bound)
        fail(where, fmt::format("spatial fixes {}, but spatial_most allows {}.", text_of(loop),
                                text_of(most)));
    if (__builtin_mul_overflow(product, loop.bound, &product))
      product = std::numeric_limits<int64_t>::max();
  }
  if (!fits_array(product, level.fanout_x, level.fanout_y))
    fail(where,
         fmt::format("spatial fixes {} children, which {} columns times {} rows cannot hold.",
                     product, level.fanout_x, level.fanout_y));
}

void check_keeps(const LevelConstraint& one, const StorageLevel& level, bool outermost,
                 const std::string& where) {
  for (const Tensor t : kAllTensors) {
    if (!one.keeps[t].has_value()) continue;
    const bool keep = *one.keeps[t];
    if (keep && level.keep[t] == Keep::Never)
      fail(where, fmt::format("{} must be kept here, but this level of the device never keeps "
                              "them.",
                              to_string(t)));
    if (!keep && (level.keep[t] == Keep::Always || outermost))
      fail(where, fmt::format("{} must bypass this level, but the device always keeps them here.",
                              to_string(t)));
  }
}

// --- files ------------------------------------------------------------------------------------

Loop parse_loop(const Tree& tree) {
  const std::string& text = tree.as_string();
  const size_t digits = std::min(text.find_first_of("0123456789"), text.size());
  Loop loop;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data() + digits, end, loop.bound);
  if (digits == 0 || digits == text.size() || problem != std::errc() || stop != end)
    fail(tree.where(),
         fmt::format("'{}' is not a factor; give a loop and a whole number, for example k16.",
                     text));
  loop.dim = parse_dim(text.substr(0, digits), tree.where());
  return loop;
}

const std::vector<Tree>& items_of(const Tree& tree, const std::string& key) {
  if (tree.kind != Tree::Kind::List)
    fail(tree.where(),
         fmt::format("{}: {} is not a list; write it as [..., ...].", key, tree.given()));
  return tree.items;
}

std::vector<Loop> loops_from(const Tree& tree, const std::string& key) {
  std::vector<Loop> loops;
  for (const Tree& item : items_of(tree, key)) loops.push_back(parse_loop(item));
  return loops;
}

std::vector<Dim> dims_from(const Tree& tree, const std::string& key) {
  std::vector<Dim> dims;
  for (const Tree& item : items_of(tree, key))
    dims.push_back(parse_dim(item.as_string(), item.where()));
  return dims;
}

void keeps_from(const Tree& tree, const std::string& key, LevelConstraint& one) {
  for (const Tree& item : items_of(tree, key)) {
    const Tensor t = parse_tensor(item.as_string(), item.where());
    if (one.keeps[t].has_value())
      fail(item.where(), fmt::format("{} stand twice in keep and bypass.", to_string(t)));
    one.keeps[t] = key == "keep";
  }
}

LevelConstraint level_from(const Tree& tree, const Accelerator& device) {
  if (tree.kind != Tree::Kind::Map)
    fail(tree.where(), fmt::format("{} is not the constraint of a level; give a map with level: "
                                   "and what is fixed there.",
                                   tree.given()));
  LevelConstraint one;
  for (const auto& [key, value] : tree.entries) {
    if (key == "level")
      one.level = value.as_string();
    else if (key == "order")
      one.order = dims_from(value, key);
    else if (key == "temporal")
      one.temporal = loops_from(value, key);
    else if (key == "spatial")
      one.spatial = loops_from(value, key);
    else if (key == "spatial_dims")
      one.spatial_dims = dims_from(value, key);
    else if (key == "spatial_most")
      one.spatial_most = loops_from(value, key);
    else if (key == "keep" || key == "bypass")
      keeps_from(value, key, one);
    else
      fail(value.where(), fmt::format("unknown key '{}'{}", key,
                                      suggestion(key, {std::begin(kKeys), std::end(kKeys)})));
  }
  if (one.level.empty())
    fail(tree.where(), fmt::format("a constraint without level; name one of {}.",
                                   fmt::join(level_names(device), ", ")));
  if (!find_level(device, one.level))
    fail(tree.find("level")->where(), fmt::format("{} has no level '{}'{}", device.name, one.level,
                                                  suggestion(one.level, level_names(device))));
  return one;
}

template <class Item, class Text>
Tree list_of(const std::vector<Item>& items, const Text& text) {
  Tree list = Tree::list();
  for (const Item& item : items) list.items.push_back(Tree::of(text(item)));
  return list;
}

Tree tree_of(const LevelConstraint& one) {
  const auto name = [](Dim d) { return to_string(d); };
  Tree tree = Tree::map();
  tree.set("level", Tree::of(one.level));
  if (!one.order.empty()) tree.set("order", list_of(one.order, name));
  if (!one.temporal.empty()) tree.set("temporal", list_of(one.temporal, text_of));
  if (!one.spatial.empty()) tree.set("spatial", list_of(one.spatial, text_of));
  if (one.spatial_dims) tree.set("spatial_dims", list_of(*one.spatial_dims, name));
  if (!one.spatial_most.empty()) tree.set("spatial_most", list_of(one.spatial_most, text_of));
  for (const bool keep : {true, false}) {
    Tree list = Tree::list();
    for (const Tensor t : kAllTensors)
      if (one.keeps[t] == keep) list.items.push_back(Tree::of(to_string(t)));
    if (!list.items.empty()) tree.set(keep ? "keep" : "bypass", list);
  }
  return tree;
}

// --- mappings ---------------------------------------------------------------------------------

int64_t factor_of(const std::vector<Loop>& loops, Dim d) {
  int64_t product = 1;
  for (const Loop& loop : loops)
    if (loop.dim == d) product *= loop.bound;
  return product;
}

std::optional<std::string> wrong_factor(const std::vector<Loop>& wanted, const LevelLoops& loops,
                                        bool spatial) {
  for (const Loop& loop : wanted) {
    const int64_t given =
        spatial ? factor_of(loops.spatial_x, loop.dim) * factor_of(loops.spatial_y, loop.dim)
                : factor_of(loops.temporal, loop.dim);
    if (given != loop.bound)
      return fmt::format("the {} factor of {} is {}, not {}", spatial ? "spatial" : "temporal",
                         to_string(loop.dim), given, loop.bound);
  }
  return std::nullopt;
}

std::optional<std::string> wrong_order(const LevelConstraint& one, const LevelLoops& loops) {
  size_t next = 0;  // of one.order; loops of it must come last, in its order
  bool inside = false;
  for (const Loop& loop : loops.temporal) {
    if (loop.bound == 1) continue;
    const auto found = std::find(one.order.begin(), one.order.end(), loop.dim);
    const auto place = static_cast<size_t>(found - one.order.begin());
    if (found == one.order.end()) {
      if (inside)
        return fmt::format("{} stands inside {}, which must be innermost", to_string(loop.dim),
                           to_string(one.order[next]));
      continue;
    }
    if (inside && place < next)
      return fmt::format("{} stands inside {}, not outside it", to_string(loop.dim),
                         to_string(one.order[next]));
    next = place;
    inside = true;
  }
  return std::nullopt;
}

std::optional<std::string> wrong_spread(const LevelConstraint& one, const LevelLoops& loops) {
  for (const Dim d : kAllDims) {
    const int64_t given = factor_of(loops.spatial_x, d) * factor_of(loops.spatial_y, d);
    if (given == 1) continue;
    if (one.spatial_dims &&
        std::find(one.spatial_dims->begin(), one.spatial_dims->end(), d) == one.spatial_dims->end())
      return fmt::format("{} is spread over the children, which spatial_dims does not allow",
                         to_string(d));
    for (const Loop& most : one.spatial_most)
      if (most.dim == d && given > most.bound)
        return fmt::format("the spatial factor of {} is {}, more than {}", to_string(d), given,
                           most.bound);
  }
  return std::nullopt;
}

std::optional<std::string> wrong_keeps(const LevelConstraint& one, const LevelLoops& loops) {
  for (const Tensor t : kAllTensors)
    if (one.keeps[t].has_value() && *one.keeps[t] != loops.keeps[t])
      return fmt::format("{} {}", to_string(t),
                         loops.keeps[t] ? "are kept, but must bypass it"
                                        : "bypass it, but must "
                                          "be kept");
  return std::nullopt;
}

}  // namespace

void check(const Constraints& constraints, const Accelerator& device) {
  for (size_t i = 0; i < constraints.levels.size(); ++i) {
    const LevelConstraint& one = constraints.levels[i];
    const std::string where = fmt::format("constraints of level '{}'", one.level);
    const StorageLevel* level = find_level(device, one.level);
    if (!level)
      fail("constraints", fmt::format("{} has no level '{}'{}", device.name, one.level,
                                      suggestion(one.level, level_names(device))));
    for (size_t j = 0; j < i; ++j)
      if (constraints.levels[j].level == one.level)
        fail(where, "the level stands twice; put everything into one entry.");
    check_distinct(one.order, where, "order");
    check_loops(one.temporal, where, "temporal");
    check_loops(one.spatial, where, "spatial");
    check_loops(one.spatial_most, where, "spatial_most");
    if (one.spatial_dims) check_distinct(*one.spatial_dims, where, "spatial_dims");
    check_spatial(one, *level, where);
    check_keeps(one, *level, level == &device.levels.front(), where);
  }
}

Tree to_tree(const Constraints& constraints) {
  Tree tree = Tree::list();
  for (const LevelConstraint& one : constraints.levels) tree.items.push_back(tree_of(one));
  return tree;
}

Constraints constraints_from_tree(const Tree& tree, const Accelerator& device) {
  Constraints constraints;
  if (tree.kind == Tree::Kind::Null) return constraints;
  if (tree.kind != Tree::Kind::List)
    fail(tree.where(), fmt::format("constraints: {} is not a list; give one entry a level, each "
                                   "with level: and what is fixed there.",
                                   tree.given()));
  for (const Tree& item : tree.items) {
    constraints.levels.push_back(level_from(item, device));
    try {
      check(constraints, device);
    } catch (const Error& error) {
      fail(item.where(), error.what());
    }
  }
  return constraints;
}

std::optional<std::string> violated(const Constraints& constraints, const Mapping& mapping,
                                    const Accelerator& device) {
  for (const LevelConstraint& one : constraints.levels) {
    const StorageLevel* level = find_level(device, one.level);
    if (!level) return fmt::format("{} has no level '{}'.", device.name, one.level);
    const auto index = static_cast<size_t>(level - device.levels.data());
    if (index >= mapping.levels.size()) return fmt::format("the mapping has no {}.", one.level);
    const LevelLoops& loops = mapping.levels[index];
    for (const auto& why :
         {wrong_factor(one.temporal, loops, false), wrong_factor(one.spatial, loops, true),
          wrong_order(one, loops), wrong_spread(one, loops), wrong_keeps(one, loops)})
      if (why) return fmt::format("{}: {}.", one.level, *why);
  }
  return std::nullopt;
}

}  // namespace instantnet::mapper
