#include "instantnet/flow/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/format.h"

namespace instantnet::flow {
namespace {

constexpr Format kFormat = {"stages.json", "run the pipeline into another folder"};

using Paths = std::vector<std::pair<std::string, std::string>>;

const Tree& entry(const Tree& map, const std::string& key) {
  const Tree* found = map.kind == Tree::Kind::Map ? map.find(key) : nullptr;
  if (found == nullptr)
    fail(map.where(), fmt::format("has no '{}'; it is not a record of stages, or a damaged one. "
                                  "Remove it to run all stages again.",
                                  key));
  return *found;
}

const std::vector<Tree>& list_of(const Tree& map, const std::string& key) {
  const Tree& list = entry(map, key);
  if (list.kind != Tree::Kind::List)
    fail(list.where(), fmt::format("{} is {}; give a list.", key, list.given()));
  return list.items;
}

Tree paths_tree(const Paths& paths) {
  Tree list = Tree::list();
  for (const auto& [path, digest] : paths)
    list.items.push_back(Tree::map().set("path", Tree::of(path)).set("digest", Tree::of(digest)));
  return list;
}

Paths paths_from(const Tree& map, const std::string& key) {
  Paths paths;
  for (const Tree& one : list_of(map, key))
    paths.emplace_back(entry(one, "path").as_string(), entry(one, "digest").as_string());
  return paths;
}

Tree stage_tree(const StageRecord& stage) {
  Tree command = Tree::list();
  for (const std::string& word : stage.command) command.items.push_back(Tree::of(word));
  return Tree::map()
      .set("name", Tree::of(stage.name))
      .set("state", Tree::of(stage.done ? "done" : "started"))
      .set("key", Tree::of(stage.key))
      .set("command", std::move(command))
      .set("inputs", paths_tree(stage.inputs))
      .set("outputs", paths_tree(stage.outputs))
      .set("seconds", Tree::of(stage.seconds));
}

StageRecord stage_from(const Tree& tree) {
  StageRecord stage;
  stage.name = entry(tree, "name").as_string();
  const Tree& state = entry(tree, "state");
  stage.done = state.as_string() == "done";
  if (!stage.done && state.as_string() != "started")
    fail(state.where(), fmt::format("state is {}; give done or started.", state.given()));
  stage.key = entry(tree, "key").as_string();
  for (const Tree& word : list_of(tree, "command")) stage.command.push_back(word.as_string());
  stage.inputs = paths_from(tree, "inputs");
  stage.outputs = paths_from(tree, "outputs");
  stage.seconds = entry(tree, "seconds").as_double();
  return stage;
}

}  // namespace

const StageRecord* Record::find(const std::string& name) const {
  const auto found = std::find_if(stages.begin(), stages.end(),
                                  [&](const StageRecord& one) { return one.name == name; });
  return found == stages.end() ? nullptr : &*found;
}

void Record::put(StageRecord stage) {
  for (StageRecord& one : stages)
    if (one.name == stage.name) {
      one = std::move(stage);
      return;
    }
  stages.push_back(std::move(stage));
}

Tree to_tree(const Record& record) {
  Tree list = Tree::list();
  for (const StageRecord& one : record.stages) list.items.push_back(stage_tree(one));
  return Tree::map()
      .set("version", Tree::of(kFormat.newest))
      .set("program", Tree::of(record.program))
      .set("stages", std::move(list));
}

Record record_from_tree(const Tree& tree) {
  read_version(kFormat, tree);
  Record record;
  record.program = entry(tree, "program").as_string();
  for (const Tree& one : list_of(tree, "stages")) record.stages.push_back(stage_from(one));
  return record;
}

Record read_record(const std::string& folder) {
  const std::string path = folder + "/" + kRecordFile;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  return record_from_tree(read_yaml(path));
}

void write_record(const Record& record, const std::string& folder) {
  write_file_atomic(folder + "/" + kRecordFile, print_json(to_tree(record), 1) + "\n");
}

}  // namespace instantnet::flow
