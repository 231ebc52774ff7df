// Where everything comes from: configurations, stages, digests, the files that were read.
#include "instantnet/report/pick.h"
#include "instantnet/report/sections.h"

namespace instantnet::report {
namespace {

constexpr const char* kNoStages = "it is no stages.json of this program";

Tree outputs_tree(const Tree& stage) {
  Tree list = Tree::list();
  const Tree* outputs = stage.find("outputs");
  if (outputs == nullptr) return list;
  for (const Tree& one : outputs->items) {
    Tree tree = Tree::map();
    copy_text(tree, one, "path");
    copy_text(tree, one, "digest");
    list.items.push_back(std::move(tree));
  }
  return list;
}

Tree stage_tree(const Tree& stage) {
  Tree tree = Tree::map();
  tree.set("name", Tree::of(need(stage, "name", kNoStages).as_string()));
  copy_text(tree, stage, "state");
  copy_text(tree, stage, "key");
  copy_number(tree, stage, "seconds");
  std::vector<std::string> words;
  if (const Tree* command = stage.find("command"))
    for (const Tree& word : command->items) words.push_back(word.as_string());
  return tree.set("command", text_list(words)).set("outputs", outputs_tree(stage));
}

/// Without the one that makes the report: it is not done yet.
Tree stages_tree(const Tree& file) {
  Tree list = Tree::list();
  for (const Tree& stage : need(file, "stages", kNoStages).items)
    if (text_at(stage, {"name"}) != "report") list.items.push_back(stage_tree(stage));
  return Tree::map()
      .set("program", Tree::of(text_at(file, {"program"})))
      .set("stages", std::move(list));
}

Tree config_tree(Source& source, const std::string& path) {
  return Tree::map().set("path", Tree::of(path)).set("text", Tree::of(source.text(path)));
}

Tree file_tree(const ReadFile& file) {
  return Tree::map()
      .set("path", Tree::of(file.path))
      .set("bytes", Tree::of(file.bytes))
      .set("sha256", Tree::of(file.sha256));
}

}  // namespace

Tree provenance(Source& source, const std::vector<std::string>& trainings) {
  std::vector<std::string> configs = {"pipeline.yaml", "search/config.yaml"};
  for (const std::string& folder : trainings) configs.push_back(joined(folder, "config.yaml"));
  for (const std::string& folder : trainings) configs.push_back(joined(folder, "best/digests.txt"));
  Tree texts = Tree::list(), files = Tree::list(), tree = Tree::map();
  for (const std::string& path : configs)
    if (source.has(path)) texts.items.push_back(config_tree(source, path));
  for (const ReadFile& file : source.read()) files.items.push_back(file_tree(file));
  // Not among the files: it changes once more when the report is made.
  if (source.has("stages.json")) tree.set("pipeline", stages_tree(source.map("stages.json")));
  return tree.set("configs", std::move(texts))
      .set("files", std::move(files))
      .set("notes", text_list(source.notes()));
}

}  // namespace instantnet::report
