// `instantnet accelerators [NAME]`: lists the devices, or one with its levels and sources.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/cli/print.h"
#include "instantnet/cli/verbs.h"
#include "instantnet/core/error.h"
#include "instantnet/core/tree.h"
#include "instantnet/core/units.h"
#include "instantnet/mapper/accelerator.h"
#include "instantnet/mapper/fpga.h"

namespace instantnet::cli {
namespace {

using mapper::Accelerator;
using mapper::kAllTensors;
using mapper::Keep;
using mapper::PerTensor;
using mapper::StorageLevel;
using mapper::Tensor;

constexpr size_t kColumns = 80;

struct AcceleratorsVerbOptions {
  std::string name;  // of a preset, or path of an accelerator.yaml; empty: list all
  bool yaml = false, json = false;
};

template <class E>
const std::string& name_of(E value) {
  const auto& names = names_of(value);
  const auto found =
      std::find_if(names.begin(), names.end(), [&](const auto& one) { return one.first == value; });
  return found->second;
}

/// Words of all memories of one instance.
int64_t words_of(const StorageLevel& level) {
  int64_t words = level.capacity_words;
  for (const Tensor t : kAllTensors) words += level.tensor_capacity_words[t];
  return words;
}

/// How many of a level there are.
int64_t instances_of(const Accelerator& device, size_t level) {
  int64_t instances = 1;
  for (size_t l = 0; l < level; ++l)
    instances *= device.levels[l].fanout_x * device.levels[l].fanout_y;
  return instances;
}

/// Everything below the outermost level.
double on_chip_bytes(const Accelerator& device) {
  double bytes = 0;
  for (size_t l = 1; l < device.levels.size(); ++l)
    bytes += static_cast<double>(words_of(device.levels[l])) * device.levels[l].word_bits / 8 *
             static_cast<double>(instances_of(device, l));
  return bytes;
}

/// "6", or "w1 i2 o3" where tensors differ.
template <class T, class Text>
std::string per_tensor_text(const PerTensor<T>& values, const Text& text) {
  if (values.weights == values.inputs && values.inputs == values.outputs)
    return text(values.weights);
  return fmt::format("w{} i{} o{}", text(values.weights), text(values.inputs),
                     text(values.outputs));
}

std::string number_text(double value) { return fmt::format("{:.4g}", value); }

/// "224 + w32", "unlimited", "65536": shared words, then those of a tensor alone.
std::string capacity_text(const StorageLevel& level) {
  std::vector<std::string> parts;
  if (level.capacity_words > 0) parts.push_back(std::to_string(level.capacity_words));
  for (const Tensor t : kAllTensors)
    if (level.tensor_capacity_words[t] > 0)
      parts.push_back(fmt::format("{}{}", mapper::to_string(t)[0], level.tensor_capacity_words[t]));
  if (parts.empty()) return "unlimited";
  return fmt::format("{}{}", fmt::join(parts, " + "), level.double_buffered ? " / 2" : "");
}

/// "wio"; what the mapping may choose in brackets: "io(w)".
std::string keep_text(const StorageLevel& level) {
  std::string always, maybe;
  for (const Tensor t : kAllTensors) {
    if (level.keep[t] == Keep::Always) always += mapper::to_string(t)[0];
    if (level.keep[t] == Keep::Search) maybe += mapper::to_string(t)[0];
  }
  return maybe.empty() ? always : fmt::format("{}({})", always, maybe);
}

std::string bandwidth_text(const mapper::Bandwidth& one) {
  std::vector<std::string> parts;
  if (one.read > 0) parts.push_back("r" + number_text(one.read));
  if (one.write > 0) parts.push_back("w" + number_text(one.write));
  if (one.total > 0) parts.push_back("rw" + number_text(one.total));
  return fmt::format("{}", fmt::join(parts, " "));
}

/// Of all tensors, then of one: "r16 w16; outputs r4".
std::string bandwidths_text(const StorageLevel& level) {
  std::string text = bandwidth_text(level.bandwidth);
  for (const Tensor t : kAllTensors) {
    const std::string own = bandwidth_text(level.tensor_bandwidth[t]);
    if (!own.empty())
      text += fmt::format("{}{} {}", text.empty() ? "" : "; ", mapper::to_string(t), own);
  }
  return text.empty() ? "no limit" : text;
}

std::string levels_table(const Accelerator& device) {
  std::vector<std::vector<std::string>> rows;
  for (size_t l = 0; l < device.levels.size(); ++l) {
    const StorageLevel& level = device.levels[l];
    const std::string reads = per_tensor_text(level.read_pj, number_text);
    const std::string writes = per_tensor_text(level.write_pj, number_text);
    rows.push_back({level.name, std::to_string(instances_of(device, l)), capacity_text(level),
                    std::to_string(level.word_bits), keep_text(level),
                    reads == writes ? reads : fmt::format("{} / {}", reads, writes),
                    bandwidths_text(level), fmt::format("{}x{}", level.fanout_x, level.fanout_y)});
  }
  return table_text(
      {"level", "number", "words", "bits", "keeps", "pJ a word", "words a cycle", "below"}, rows);
}

std::string psum_text(const Accelerator& device) {
  if (device.psum.fixed_bits > 0) return fmt::format("{} bits", device.psum.fixed_bits);
  if (device.psum.extra_bits == 0) return "as wide as activations";
  return fmt::format("{} bits wider than activations", device.psum.extra_bits);
}

std::string detail_text(const Accelerator& device) {
  std::string text = fmt::format(
      "{}\n\n{} multipliers of {} bits ({}), {} pJ a multiply-accumulate; partial sums {}\n"
      "{} on the chip, {} MHz{}\n\n{}",
      wrap_text(fmt::format("{}: {}", device.name, device.description), kColumns),
      mapper::multipliers(device), device.mac.bits, name_of(device.mac.kind),
      number_text(device.mac.energy_pj), psum_text(device),
      bytes_text(static_cast<uint64_t>(on_chip_bytes(device))), number_text(device.clock_mhz),
      device.static_mw > 0 ? fmt::format(", {} mW static", number_text(device.static_mw)) : "",
      levels_table(device));
  text +=
      "\nkeeps: weights, inputs, outputs; in brackets what the mapping chooses. pJ: read / write.\n"
      "words a cycle: r read, w write, rw both, of one instance. below: columns x rows.\n";
  if (device.fpga)
    text += fmt::format("takes {}\n", mapper::to_string(mapper::fpga_use(device), *device.fpga));
  if (!device.sources.empty()) text += "\nSources:\n";
  for (const std::string& source : device.sources) text += wrap_text(source, kColumns, 2) + "\n";
  return text;
}

std::string list_text() {
  std::vector<std::vector<std::string>> rows;
  std::string sentences;
  for (const Accelerator& device : mapper::accelerator_presets()) {
    std::vector<std::string> levels;
    for (const StorageLevel& level : device.levels) levels.push_back(level.name);
    rows.push_back({device.name, fmt::format("{}", fmt::join(levels, " > ")),
                    std::to_string(mapper::multipliers(device)),
                    bytes_text(static_cast<uint64_t>(on_chip_bytes(device))),
                    number_text(device.clock_mhz)});
    sentences += device.name + "\n" + wrap_text(device.description, kColumns, 4) + "\n";
  }
  return table_text({"name", "levels", "multipliers", "on chip", "MHz"}, rows) + "\n" + sentences;
}

/// accelerator.yaml as JSON, and what follows from it.
Tree device_tree(const Accelerator& device) {
  return to_tree(device)
      .set("multipliers", Tree::of(mapper::multipliers(device)))
      .set("on_chip_bytes", Tree::of(on_chip_bytes(device)));
}

std::string list_all(const AcceleratorsVerbOptions& options) {
  if (options.yaml)
    fail("accelerators",
         "--yaml is for one device; name it, for example 'instantnet accelerators eyeriss'.");
  if (!options.json) return list_text();
  Tree list = Tree::list();
  for (const Accelerator& device : mapper::accelerator_presets())
    list.items.push_back(device_tree(device));
  return print_json(list, 2);
}

std::string list_one(const AcceleratorsVerbOptions& options) {
  const Accelerator device = mapper::find_accelerator(options.name);
  if (options.yaml) return print_yaml(to_tree(device));
  return options.json ? print_json(device_tree(device), 2) : detail_text(device);
}

}  // namespace

void add_accelerators(CLI::App& app) {
  const auto options = std::make_shared<AcceleratorsVerbOptions>();
  CLI::App* verb = app.add_subcommand(
      "accelerators", "List the devices, or one with its levels, energies and sources");
  verb->add_option("NAME", options->name,
                   "Preset, or path of an accelerator.yaml; without it, all are listed");
  CLI::Option* yaml = verb->add_flag("--yaml", options->yaml, "Print accelerator.yaml");
  verb->add_flag("--json", options->json, "Print JSON")->excludes(yaml);
  verb->callback(
      [options] { print_text(options->name.empty() ? list_all(*options) : list_one(*options)); });
}

}  // namespace instantnet::cli
