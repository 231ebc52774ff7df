#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "instantnet/core/error.h"
#include "instantnet/mapper/mapping.h"

namespace instantnet::mapper {

namespace {

const std::vector<std::string> kLevelKeys = {"level", "temporal", "spatial_x", "spatial_y", "keep"};

Tree loops_to_tree(const std::vector<Loop>& loops) {
  Tree tree = Tree::list();
  for (const Loop& loop : loops)
    tree.items.push_back(Tree::of(fmt::format("{}{}", to_string(loop.dim), loop.bound)));
  return tree;
}

/// "k16": a loop over k of 16 steps.
Loop loop_from_tree(const Tree& tree) {
  const std::string& text = tree.as_string();
  Loop loop;
  const char *from = text.data() + 1, *to = text.data() + text.size();
  const bool named = !text.empty() && text[0] >= 'a' && text[0] <= 'z';
  const auto [end, error] = named ? std::from_chars(from, to, loop.bound)
                                  : std::from_chars_result{to, std::errc::invalid_argument};
  if (error != std::errc{} || end != to)
    fail(tree.where(),
         fmt::format("'{}' is not a loop; give a dim and its bound, for example k16.", text));
  loop.dim = parse_dim(text.substr(0, 1), tree.where());
  if (loop.bound < 1)
    fail(tree.where(),
         fmt::format("the loop '{}' has the bound {}; give 1 or more.", text, loop.bound));
  return loop;
}

std::vector<Loop> loops_from_tree(const Tree* tree) {
  std::vector<Loop> loops;
  if (tree == nullptr || tree->kind == Tree::Kind::Null) return loops;
  if (tree->kind == Tree::Kind::Scalar) return {loop_from_tree(*tree)};
  if (tree->kind != Tree::Kind::List)
    fail(tree->where(), fmt::format("the loops are {}; give a list such as [k2, c4], outermost "
                                    "first.",
                                    tree->given()));
  for (const Tree& item : tree->items) loops.push_back(loop_from_tree(item));
  return loops;
}

/// Absent: everything that the level may keep.
PerTensor<bool> keeps_from_tree(const Tree* tree, const StorageLevel& level) {
  PerTensor<bool> keeps = {false, false, false};
  if (tree == nullptr)
    for (const Tensor t : kAllTensors) keeps[t] = level.keep[t] != Keep::Never;
  if (tree == nullptr) return keeps;
  if (tree->kind == Tree::Kind::Null) return keeps;
  if (tree->kind != Tree::Kind::List)
    fail(tree->where(),
         fmt::format("keep is {}; give a list of weights, inputs, outputs.", tree->given()));
  for (const Tree& item : tree->items) keeps[parse_tensor(item.as_string(), item.where())] = true;
  return keeps;
}

size_t level_index(const Tree& entry, const Accelerator& device) {
  const Tree* name = entry.find("level");
  if (name == nullptr)
    fail(entry.where(),
         "an entry of the mapping has no level; give its name, for example level: "
         "GLB.");
  std::vector<std::string> names;
  for (size_t l = 0; l < device.levels.size(); ++l) {
    if (device.levels[l].name == name->as_string()) return l;
    names.push_back(device.levels[l].name);
  }
  fail(name->where(), fmt::format("{} has no level '{}'{}", device.name, name->as_string(),
                                  suggestion(name->as_string(), names)));
}

LevelLoops level_from_tree(const Tree& entry, const StorageLevel& level) {
  for (const auto& [key, value] : entry.entries)
    if (std::find(kLevelKeys.begin(), kLevelKeys.end(), key) == kLevelKeys.end())
      fail(value.where(), fmt::format("unknown key '{}'{}", key, suggestion(key, kLevelKeys)));
  return {loops_from_tree(entry.find("temporal")), loops_from_tree(entry.find("spatial_x")),
          loops_from_tree(entry.find("spatial_y")), keeps_from_tree(entry.find("keep"), level)};
}

}  // namespace

Tree to_tree(const Mapping& mapping, const Accelerator& device) {
  if (mapping.levels.size() != device.levels.size())
    bug("the mapping has not as many levels as the device.");
  Tree tree = Tree::list();
  for (size_t l = 0; l < mapping.levels.size(); ++l) {
    const LevelLoops& level = mapping.levels[l];
    Tree entry = Tree::map();
    entry.set("level", Tree::of(device.levels[l].name));
    if (!level.temporal.empty()) entry.set("temporal", loops_to_tree(level.temporal));
    if (!level.spatial_x.empty()) entry.set("spatial_x", loops_to_tree(level.spatial_x));
    if (!level.spatial_y.empty()) entry.set("spatial_y", loops_to_tree(level.spatial_y));
    Tree keep = Tree::list();
    for (const Tensor t : kAllTensors)
      if (level.keeps[t]) keep.items.push_back(Tree::of(to_string(t)));
    entry.set("keep", std::move(keep));
    tree.items.push_back(std::move(entry));
  }
  return tree;
}

Mapping mapping_from_tree(const Tree& tree, const Accelerator& device) {
  if (tree.kind != Tree::Kind::List)
    fail(tree.where(),
         fmt::format("the mapping is {}; give a list with an entry for each level.", tree.given()));
  Mapping mapping;
  mapping.levels.resize(device.levels.size());
  std::vector<bool> given(device.levels.size(), false);
  for (const Tree& entry : tree.items) {
    if (entry.kind != Tree::Kind::Map)
      fail(entry.where(), fmt::format("an entry of the mapping is {}; give a map with level, "
                                      "temporal, spatial_x, spatial_y, keep.",
                                      entry.given()));
    const size_t l = level_index(entry, device);
    if (given[l])
      fail(entry.where(),
           fmt::format("level {} stands twice; give each level once.", device.levels[l].name));
    given[l] = true;
    mapping.levels[l] = level_from_tree(entry, device.levels[l]);
  }
  for (size_t l = 0; l < given.size(); ++l)
    if (!given[l])
      fail(tree.where(), fmt::format("level {} is missing; give an entry for each level, with keep "
                                     "alone when it has no loops.",
                                     device.levels[l].name));
  return mapping;
}

}  // namespace instantnet::mapper
