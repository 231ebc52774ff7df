// manifest.yaml as text and back.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "instantnet/bundle/bundle.h"
#include "instantnet/core/config.h"
#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/core/format.h"

namespace instantnet::bundle {
namespace {

constexpr Format kFormat = {"a bundle's manifest", "bundle again"};
const std::string kDigestKey = "sha256: ";  // starts the last line

const Range kPositive = {0};

Fields fields(Width& width) {
  Fields all;
  all.add("bits", width.bits, "Bit-width of the network.", {1, 32});
  all.add("mode", width.mode, "How layers share the device.");
  all.add("energy_pj", width.energy_pj, "Energy of one image.", kPositive);
  all.add("cycles", width.cycles, "From an image in to its result out.", kPositive);
  all.add("interval_cycles", width.interval_cycles, "Between two images.", kPositive);
  all.add("latency_ms", width.latency_ms, "The cycles at the device's clock.", kPositive);
  all.add("edp_pj_cycles", width.edp_pj_cycles, "Energy times cycles.", kPositive);
  return all;
}

Fields fields(Part& part) {
  Fields all;
  all.add("file", part.file, "Name in the folder.");
  all.add("bytes", part.bytes, "Size.");
  all.add("sha256", part.sha256, "Digest.");
  return all;
}

Fields fields(Manifest& manifest) {
  Fields all;
  all.add("version", manifest.version, "Of this file.");
  all.add("program", manifest.program, "What made it.");
  all.add("network", manifest.network, "Network.");
  all.add("device", manifest.device, "Accelerator.");
  all.add("clock_mhz", manifest.clock_mhz, "Its clock.", kPositive);
  all.add("origin", manifest.origin, "Where the model comes from.");
  all.add("accuracy_origin", manifest.accuracy_origin, "Digest of the file with accuracies.");
  return all;
}

Tree taken(Tree& map, const char* key) {
  const Tree* found = map.find(key);
  if (found == nullptr || found->kind != Tree::Kind::List)
    fail(map.where(), fmt::format("the list '{}' is missing in the manifest.", key));
  Tree list = *found;
  std::erase_if(map.entries, [&](const auto& entry) { return entry.first == key; });
  return list;
}

Width width_from_tree(Tree tree) {
  Width width;
  if (tree.kind == Tree::Kind::Map) {
    if (const Tree* accuracy = tree.find("accuracy")) width.accuracy = accuracy->as_double();
    std::erase_if(tree.entries, [](const auto& entry) { return entry.first == "accuracy"; });
  }
  read_fields(fields(width), tree);
  return width;
}

int bits_of(const std::string& text) {
  int bits = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
  return error == std::errc() && end == text.data() + text.size() ? bits : 0;
}

}  // namespace

Accuracies read_accuracies(const std::string& path) {
  const std::string text = read_file(path, uint64_t{1} << 26);
  const Tree tree = parse_yaml(text, path);
  const Tree* list = tree.kind == Tree::Kind::Map ? tree.find("accuracy") : nullptr;
  if (list == nullptr || list->kind != Tree::Kind::Map)
    fail(path, "has no map 'accuracy'; give what 'instantnet infer --data DIR --json' prints.");
  Accuracies all;
  for (const auto& [name, value] : list->entries) {
    const int bits = bits_of(name);
    if (bits == 0)
      fail(value.where(), fmt::format("'{}' is no bit-width; measure whole networks.", name));
    const double accuracy = value.as_double();
    if (accuracy < 0 || accuracy > 1)
      fail(value.where(),
           fmt::format("the accuracy at {} bits is {}; give a share 0 .. 1.", bits, accuracy));
    all.by_bits.emplace_back(bits, accuracy);
  }
  all.origin = fmt::format("sha256 {}", sha256(text));
  return all;
}

std::string print_manifest(const Manifest& manifest) {
  Manifest copy = manifest;
  Tree tree = to_tree(fields(copy));
  Tree widths = Tree::list(), parts = Tree::list();
  for (Width& one : copy.widths) {
    widths.items.push_back(to_tree(fields(one)));
    if (one.accuracy) widths.items.back().set("accuracy", Tree::of(*one.accuracy));
  }
  for (Part& one : copy.parts) parts.items.push_back(to_tree(fields(one)));
  tree.set("widths", std::move(widths)).set("parts", std::move(parts));
  std::string text = print_yaml(tree);
  if (!text.ends_with('\n')) text += '\n';
  return text + kDigestKey + sha256(text) + "\n";
}

Manifest parse_manifest(const std::string& text, const std::string& where) {
  const size_t last = text.rfind(kDigestKey);
  if (last == std::string::npos || last == 0 || text[last - 1] != '\n')
    fail(where, "is no whole manifest: its last line, 'sha256: ...', is missing; bundle again.");
  const std::string head = text.substr(0, last), line = text.substr(last);
  if (const std::string right = sha256(head); line != kDigestKey + right + "\n")
    fail(where, fmt::format("was changed: its lines have the digest {}, its last line says "
                            "otherwise; bundle again.",
                            right));
  Tree tree = parse_yaml(head, where);
  if (tree.kind != Tree::Kind::Map)
    fail(where, fmt::format("the manifest is {}; give a bundle.", tree.given()));
  Manifest manifest;
  manifest.version = static_cast<int>(take_version(kFormat, tree));
  for (const Tree& one : taken(tree, "widths").items)
    manifest.widths.push_back(width_from_tree(one));
  for (const Tree& one : taken(tree, "parts").items)
    read_fields(fields(manifest.parts.emplace_back()), one);
  read_fields(fields(manifest), tree);
  return manifest;
}

}  // namespace instantnet::bundle
