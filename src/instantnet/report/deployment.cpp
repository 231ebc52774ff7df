// The frozen network: what it is, how exact and how fast, and the folders to deploy.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "instantnet/bundle/bundle.h"
#include "instantnet/core/error.h"
#include "instantnet/report/pick.h"
#include "instantnet/report/sections.h"

namespace instantnet::report {
namespace {

constexpr const char* kNoInspection = "it is not what 'instantnet inspect --json' prints";
constexpr const char* kNoBench = "it is not what 'instantnet bench --json' prints";

// ---- model.json

Tree model_layer_tree(const Tree& layer) {
  Tree tree = Tree::map();
  tree.set("name", Tree::of(need(layer, "name", kNoInspection).as_string()));
  for (const char* key : {"weights", "bits", "stored_bits"})
    tree.set(key, number(need(layer, key, kNoInspection)));
  copy_text(tree, layer, "lattice");
  copy_text(tree, layer, "input");
  return tree;
}

Tree section_tree(const Tree& section) {
  Tree tree = Tree::map();
  tree.set("name", Tree::of(need(section, "name", kNoInspection).as_string()));
  tree.set("bytes", number(need(section, "bytes", kNoInspection)));
  tree.set("sha256", Tree::of(need(section, "sha256", kNoInspection).as_string()));
  return tree;
}

template <class Part>
Tree list_of(const Tree& file, const char* key, const Part& part) {
  Tree list = Tree::list();
  for (const Tree& item : need(file, key, kNoInspection).items) list.items.push_back(part(item));
  return list;
}

void read_model(Source& source, Deployment& made) {
  const Tree file = source.map("model.json");
  made.place = source.place("model.json");
  made.network = need(file, "network", kNoInspection).as_string();
  for (const Tree& one : need(file, "bits", kNoInspection).items)
    made.bits.push_back(static_cast<int>(one.as_int()));
  for (const Tree& one : need(file, "input", kNoInspection).items)
    made.measured.input.push_back(one.as_int());
  made.measured.classes = need(file, "classes", kNoInspection).as_int();
  Tree tree = Tree::map()
                  .set("network", Tree::of(made.network))
                  .set("input", number_list(need(file, "input", kNoInspection)))
                  .set("classes", Tree::of(made.measured.classes))
                  .set("bits", number_list(need(file, "bits", kNoInspection)));
  copy_text(tree, file, "origin");
  for (const char* key : {"weights", "bytes"})
    tree.set(key, number(need(file, key, kNoInspection)));
  tree.set("bytes_of_separate_files", numbers(need(file, "bytes_of_separate_files", kNoInspection)))
      .set("layers", list_of(file, "layers", model_layer_tree))
      .set("sections", list_of(file, "sections", section_tree));
  made.tree.set("model", std::move(tree));
}

// ---- bench.json

Tree width_tree(const Tree& width) {
  Tree tree = Tree::map();
  for (const char* key : {"least_us", "median_us", "p99_us", "first_after_switch_us", "switch_us",
                          "switch_from_master_us", "load_and_first_us"})
    tree.set(key, number(need(width, key, kNoBench)));
  return tree;
}

Tree bench_tree(const Tree& file) {
  Tree widths = Tree::map();
  const Tree& bits = need(file, "bits", kNoBench);
  if (bits.kind != Tree::Kind::Map) fail(bits.where(), "is no map by bit-width.");
  for (const auto& [key, width] : bits.entries) widths.set(key, width_tree(width));
  Tree tree = Tree::map();
  for (const char* key : {"threads", "load_us", "load_resident_us", "packed_bytes"})
    tree.set(key, number(need(file, key, kNoBench)));
  copy_text(tree, file, "kernels");
  return tree.set("bits", std::move(widths));
}

// ---- accuracy.json

Tree accuracy_tree(Source& source, Deployment& made) {
  read_accuracy(source, "", made.accuracy, made.measured);
  const Tree file = source.map("accuracy.json");
  Tree tree = Tree::map().set("accuracy", tree_of(made.accuracy));
  for (const char* key : {"images", "runs_equal_to_reference"}) copy_number(tree, file, key);
  copy_numbers(tree, file, "loss");
  copy_text(tree, file, "kernels");
  return tree;
}

// ---- Bundles

Tree bundle_tree(const std::string& name, const bundle::Manifest& manifest) {
  Tree parts = Tree::list();
  for (const bundle::Part& part : manifest.parts)
    parts.items.push_back(Tree::map()
                              .set("file", Tree::of(part.file))
                              .set("bytes", Tree::of(part.bytes))
                              .set("sha256", Tree::of(part.sha256)));
  return Tree::map()
      .set("name", Tree::of(name))
      .set("device", Tree::of(manifest.device))
      .set("program", Tree::of(manifest.program))
      .set("parts", std::move(parts));
}

void read_bundle(Source& source, const std::string& folder, const std::string& name, Tree& list,
                 Deployment& made) {
  const bundle::Bundle opened = bundle::open_bundle(source.place(folder));
  source.text(joined(folder, bundle::kManifestFile));
  list.items.push_back(bundle_tree(name, opened.manifest));
  made.plans.push_back(device_plan(opened.plan, source.place(joined(folder, bundle::kPlanFile)),
                                   name.empty() ? opened.manifest.device : name));
  if (made.network.empty()) {
    made.network = opened.manifest.network;
    made.place = source.place(joined(folder, bundle::kManifestFile));
    for (const bundle::Width& one : opened.manifest.widths) made.bits.push_back(one.bits);
  }
  if (!made.accuracy.empty()) return;
  for (const bundle::Width& one : opened.manifest.widths)
    if (one.accuracy) made.accuracy.emplace_back(one.bits, *one.accuracy);
}

Tree bundles_tree(Source& source, Deployment& made) {
  Tree list = Tree::list();
  if (source.has(bundle::kManifestFile)) read_bundle(source, "", "", list, made);
  for (const std::string& name : source.folders("bundles"))
    if (source.has(joined("bundles", name + "/" + bundle::kManifestFile)))
      read_bundle(source, joined("bundles", name), name, list, made);
  return list;
}

}  // namespace

bool read_accuracy(Source& source, const std::string& folder, Accuracies& accuracy,
                   Measured& measured) {
  const std::string path = joined(folder, "accuracy.json");
  if (!source.has(path)) return false;
  measured.place = source.place(path);
  measured.images = int_at(source.map(path), {"images"});
  accuracy = bundle::read_accuracies(source.place(path)).by_bits;
  return true;
}

Deployment read_deployment(Source& source) {
  Deployment made;
  if (source.has("model.json")) read_model(source, made);
  if (source.has("accuracy.json")) made.tree.set("accuracy", accuracy_tree(source, made));
  if (source.has("bench.json")) made.tree.set("bench", bench_tree(source.map("bench.json")));
  Tree bundles = bundles_tree(source, made);
  if (!bundles.items.empty()) made.tree.set("bundles", std::move(bundles));
  made.any = !made.tree.entries.empty();
  return made;
}

}  // namespace instantnet::report
