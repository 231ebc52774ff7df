#include "instantnet/cli/argument_values.h"

#include <fmt/format.h>

#include <map>

#include "instantnet/images/dataset.h"
#include "instantnet/mapper/presets.h"
#include "instantnet/mapper/templates.h"
#include "instantnet/net/zoo.h"

namespace instantnet::cli {
namespace {

using Names = std::vector<std::string>;

Names zoo_names(const std::string& before) {
  Names names;
  for (const ZooEntry& entry : zoo()) names.push_back(before + entry.name);
  return names;
}

Names device_names() {
  Names names;
  for (const mapper::Accelerator& preset : mapper::accelerator_presets())
    names.push_back(preset.name);
  return names;
}

/// What stands between bars at the start of a description: "a|b|c: what it does". A word such as
/// template:NAME becomes one word for each template.
Names choices_in(const std::string& description) {
  const size_t end = description.find(": ");
  const std::string head = description.substr(0, end);
  if (end == std::string::npos || head.find('|') == std::string::npos ||
      head.find(' ') != std::string::npos)
    return {};
  Names names;
  for (size_t from = 0; from <= head.size();) {
    const size_t to = std::min(head.find('|', from), head.size());
    const std::string word = head.substr(from, to - from);
    from = to + 1;
    if (word != "template:NAME") {
      names.push_back(word);
      continue;
    }
    for (const auto& [name, sentence] : mapper::templates()) names.push_back("template:" + name);
  }
  return names;
}

/// By "VERB ARGUMENT", and by the argument alone for the verbs that have no entry of their own.
const std::map<std::string, Values>& table() {
  static const Values yaml{{}, {"*.yaml", "*.yml"}, false}, folder{{}, {}, true},
      any_file{{}, {"*"}, false}, model{{}, {"*.spnet"}, false};
  static const Names kernels = {"auto", "avx512-vnni", "avx2", "neon-dotprod", "neon", "portable"};
  static const std::map<std::string, Values> values = {
      {"zoo NAME", {zoo_names(""), yaml.files, false}},
      {"accelerators NAME", {device_names(), yaml.files, false}},
      {"map --network", {zoo_names("zoo:"), {"*.yaml", "*.yml", "*.onnx"}, false}},
      {"export FILE", {{}, {"*.yaml", "*.yml", "*.spnet"}, false}},
      {"export --format", {{"hls", "qdq", "qonnx", "switchable-onnx", "timeloop"}, {}, false}},
      {"eval --part", {{"test", "train", "validation"}, {}, false}},
      {"eval --kernels", {{"auto", "fused", "plain"}, {}, false}},
      {"--accelerator", {device_names(), yaml.files, false}},
      {"--accuracy", {{}, {"*.json"}, false}},
      {"--arch", {{}, {"*.pt"}, false}},
      {"--bits-file", yaml},
      {"--config", yaml},
      {"--constraints", yaml},
      {"--data", folder},
      {"--device", {{"cpu", "cuda"}, {}, false}},
      {"--dump-logits", {{}, {"*.npy"}, false}},
      {"--explain", folder},
      {"--fit", {{"auto", "stretch", "crop"}, {}, false}},
      {"--format", {images::format_names(), {}, false}},
      {"--image", {{}, {"*.jpg", "*.jpeg", "*.png"}, false}},
      {"--kernels", {kernels, {}, false}},
      {"--mapping", yaml},
      {"--network", {zoo_names(""), yaml.files, false}},
      {"--out", any_file},
      {"--part", {{"test", "train"}, {}, false}},
      {"--plan", yaml},
      {"--policy", yaml},
      {"--precisions", yaml},
      {"--semantics", {{"float", "integer"}, {}, false}},
      {"--trace", {{}, {"*.csv"}, false}},
      {"--weights", {{}, {"*.pt"}, false}},
      {"BUNDLE", folder},
      {"CHECKPOINT", folder},
      {"DIR", folder},
      {"FILE", any_file},
      {"MODEL", model},
      {"PATH", any_file},
      {"PLAN", yaml},
  };
  return values;
}

}  // namespace

Values values_of(const std::vector<std::string>& path, const std::string& name,
                 const std::string& description) {
  if (const Names choices = choices_in(description); !choices.empty()) return {choices, {}, false};
  for (const std::string& key : {fmt::format("{} {}", fmt::join(path, " "), name), name})
    if (const auto found = table().find(key); found != table().end()) return found->second;
  return {};
}

}  // namespace instantnet::cli
