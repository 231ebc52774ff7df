// The search: search.json, and how it came there in run.jsonl.
#include <fmt/format.h>

#include "instantnet/core/error.h"
#include "instantnet/report/pick.h"
#include "instantnet/report/sections.h"

namespace instantnet::report {
namespace {

constexpr const char* kNoResult = "it is no search.json of this program";
constexpr const char* kNoSearch = "it is no record of 'instantnet search'";

Tree cell_tree(const Tree& cell) {
  Tree tree = Tree::map();
  for (const char* key : {"operator", "runner_up"})
    tree.set(key, Tree::of(need(cell, key, kNoResult).as_string()));
  for (const char* key : {"weight", "runner_up_weight", "cost", "cost_share"})
    tree.set(key, number(need(cell, key, kNoResult)));
  return tree;
}

Tree result_tree(const Tree& file) {
  Tree tree = Tree::map();
  for (const char* key : {"method", "cost_kind"})
    tree.set(key, Tree::of(need(file, key, kNoResult).as_string()));
  for (const char* key : {"seed", "epoch", "cost", "argmax_cost", "fixed_cost", "undecided"})
    tree.set(key, number(need(file, key, kNoResult)));
  for (const char* key : {"finished", "inside", "projected", "proven"})
    tree.set(key, Tree::of(need(file, key, kNoResult).as_bool()));
  for (const char* key : {"window", "reachable"})
    tree.set(key, number_list(need(file, key, kNoResult)));
  Tree cells = Tree::list();
  for (const Tree& cell : need(file, "cells", kNoResult).items)
    cells.items.push_back(cell_tree(cell));
  return tree.set("cells", std::move(cells));
}

/// What was asked: the space, what costs, the bit-widths.
Tree space_tree(const Tree& start) {
  Tree tree = Tree::map();
  const Tree* space = find_at(start, {"options", "space"});
  if (space == nullptr || space->kind != Tree::Kind::Map) return tree;
  for (const char* key : {"cells", "channels", "strides", "operators"})
    if (const Tree* found = space->find(key)) tree.set(key, *found);
  tree.set("preset", Tree::of(text_at(*space, {"preset"})));
  tree.set("stem_channels", Tree::of(int_at(*space, {"stem_channels"})));
  return tree.set("header_channels", Tree::of(int_at(*space, {"header_channels"})));
}

Tree epoch_tree(const Tree& record) {
  Tree tree = Tree::map();
  tree.set("phase", Tree::of(need(record, "phase", kNoSearch).as_string()));
  tree.set("epoch", Tree::of(need(record, "epoch", kNoSearch).as_int()));
  for (const char* key :
       {"temperature", "alpha_loss", "lambda", "cost", "argmax_cost", "expected_cost", "undecided"})
    tree.set(key, number(need(record, key, kNoSearch)));
  for (const char* key : {"loss", "accuracy"}) copy_numbers(tree, record, key);
  Tree alpha = Tree::list();
  for (const Tree& row : need(record, "alpha", kNoSearch).items)
    alpha.items.push_back(number_list(row));
  return tree.set("alpha", std::move(alpha));
}

}  // namespace

bool is_search(const std::vector<Tree>& records) {
  return !records.empty() && find_at(records.front(), {"options", "space"}) != nullptr;
}

Tree read_search(Source& source, const std::string& folder) {
  Tree tree = Tree::map();
  const std::string result = joined(folder, "search.json"), log = joined(folder, "run.jsonl");
  if (source.has(result)) tree.set("result", result_tree(source.map(result)));
  if (!source.has(log)) return tree;
  Tree epochs = Tree::list();
  for (const Tree& record : source.records(log)) {
    const std::string event = text_at(record, {"event"});
    if (event == "start") tree.set("space", space_tree(record));
    if (event == "start" && record.find("window") != nullptr)
      tree.set("window", number_list(*record.find("window")))
          .set("reachable", number_list(need(record, "reachable", kNoSearch)))
          .set("cost_kind", Tree::of(text_at(record, {"options", "cost", "kind"})));
    if (event == "epoch") epochs.items.push_back(epoch_tree(record));
  }
  return tree.set("epochs", std::move(epochs));
}

}  // namespace instantnet::report
