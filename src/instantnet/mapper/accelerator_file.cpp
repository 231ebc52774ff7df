#include <fmt/format.h>

#include <filesystem>

#include "instantnet/core/config.h"
#include "instantnet/core/error.h"
#include "instantnet/core/format.h"
#include "instantnet/mapper/accelerator.h"

namespace instantnet::mapper {

namespace {

constexpr Format kFormat = {"accelerator.yaml",
                            "write it as this one does (instantnet accelerators NAME --yaml)"};

/// {weights: f(weights), inputs: f(inputs), outputs: f(outputs)} as fields.
template <class T, class Add>
Fields per_tensor(PerTensor<T>& values, const Add& add) {
  Fields fields;
  for (const Tensor t : kAllTensors) add(fields, to_string(t), values[t]);
  return fields;
}

Fields fields(Bandwidth& bandwidth) {
  Fields fields;
  fields.add("read", bandwidth.read, "Words a cycle; 0 = no limit.");
  fields.add("write", bandwidth.write, "Words a cycle, updates and fills; 0 = no limit.");
  fields.add("total", bandwidth.total, "Words a cycle, both together; 0 = no limit.");
  return fields;
}

template <class T>
Fields numbers(PerTensor<T>& values) {
  return per_tensor(values, [](Fields& fields, const std::string& name, T& value) {
    fields.add(name, value, "Of this tensor.");
  });
}

Fields bandwidths(PerTensor<Bandwidth>& values) {
  return per_tensor(values, [](Fields& all, const std::string& name, Bandwidth& value) {
    all.add_group(name, fields(value), "Of this tensor.");
  });
}

Fields fields(StorageLevel& level) {
  Fields all;
  all.add("name", level.name, "Name of the level.");
  all.add("word_bits", level.word_bits, "Bits of a word.");
  all.add("packing", level.packing, "How narrower elements lie in words.");
  all.add("capacity_words", level.capacity_words, "Words that tensors share; 0 = unlimited.");
  all.add_group("tensor_capacity_words", numbers(level.tensor_capacity_words),
                "Words of a tensor alone; 0 = it lives in the shared ones.");
  all.add("double_buffered", level.double_buffered, "Half of the capacity holds the next tiles.");
  all.add_group("keep", numbers(level.keep), "Which tensors it keeps.");
  all.add_group("read_pj", numbers(level.read_pj), "Energy of reading a word (pJ).");
  all.add_group("write_pj", numbers(level.write_pj), "Energy of writing a word (pJ).");
  all.add_group("bandwidth", fields(level.bandwidth), "Of one instance, all tensors together.");
  all.add_group("tensor_bandwidth", bandwidths(level.tensor_bandwidth), "Of one tensor alone.");
  all.add("fanout_x", level.fanout_x, "Columns of children.");
  all.add("fanout_y", level.fanout_y, "Rows of children.");
  all.add("multicast", level.multicast, "Children with equal windows share one read.");
  all.add("reduction", level.reduction, "Partial sums of children are added on the way up.");
  all.add("network_pj", level.network_pj, "Energy of carrying a word to a child or back (pJ).");
  return all;
}

Fields fields(MacUnit& mac) {
  Fields all;
  all.add("kind", mac.kind, "How rate and energy depend on the bit-widths.");
  all.add("bits", mac.bits, "Bits of an operand of the whole unit.");
  all.add("energy_pj", mac.energy_pj, "Energy of a multiply-accumulate of so many bits (pJ).");
  all.add("energy_exponent", mac.energy_exponent, "How energy grows with the operands' widths.");
  all.add("packed", mac.packed, "Narrow multiply-accumulates in one cycle (kind packed).");
  all.add("packed_bits", mac.packed_bits, "Widest operand of those (kind packed).");
  return all;
}

Fields fields(PsumRule& psum) {
  Fields all;
  all.add("fixed_bits", psum.fixed_bits, "Bits of a partial sum; 0 = by the activations.");
  all.add("extra_bits", psum.extra_bits, "Bits more than an activation has.");
  return all;
}

Fields fields(FpgaBudget& fpga) {
  Fields all;
  all.add("dsp", fpga.dsp, "DSP slices.");
  all.add("bram36", fpga.bram36, "Block RAMs of 36 Kbit.");
  all.add("uram", fpga.uram, "UltraRAMs of 288 Kbit.");
  all.add("lut", fpga.lut, "Look-up tables.");
  all.add("ff", fpga.ff, "Flip-flops.");
  all.add("bitstream_bytes", fpga.bitstream_bytes, "Bytes of the full bitstream; 0 = not known.");
  all.add("configuration_mb_s", fpga.configuration_mb_s,
          "Speed of the configuration port, 10^6 bytes a second; 0 = not known.");
  return all;
}

/// Everything but the lists and what may be absent.
Fields plain_fields(Accelerator& device) {
  Fields all;
  all.add("name", device.name, "Name of the device.");
  all.add("description", device.description, "One sentence.");
  all.add("sources", device.sources, "Where the numbers are from.");
  all.add("clock_mhz", device.clock_mhz, "Clock (MHz).");
  all.add("static_mw", device.static_mw, "Power whatever is done (mW).");
  all.add_group("mac", fields(device.mac), "The multipliers.");
  all.add_group("psum", fields(device.psum), "Partial sums on the chip.");
  return all;
}

bool is_per_tensor(const Tree& tree) {
  if (tree.kind != Tree::Kind::Map || tree.entries.size() != kTensors) return false;
  for (const Tensor t : kAllTensors)
    if (tree.find(to_string(t)) == nullptr) return false;
  return true;
}

/// One value for all tensors is written, and may be given, as that value alone.
void shorten(Tree& level) {
  for (auto& [key, value] : level.entries) {
    if (!is_per_tensor(value)) continue;
    const Tree first = value.entries[0].second;
    if (first == value.entries[1].second && first == value.entries[2].second) value = first;
  }
}

const std::vector<std::string>& per_tensor_keys() {
  static const std::vector<std::string> keys = {"tensor_capacity_words", "keep", "read_pj",
                                                "write_pj", "tensor_bandwidth"};
  return keys;
}

bool is_bandwidth(const Tree& tree) {
  return tree.find("read") != nullptr || tree.find("write") != nullptr ||
         tree.find("total") != nullptr;
}

void lengthen(Tree& level) {
  for (auto& [key, value] : level.entries) {
    if (std::find(per_tensor_keys().begin(), per_tensor_keys().end(), key) ==
        per_tensor_keys().end())
      continue;
    const bool alone =
        value.kind == Tree::Kind::Scalar || (value.kind == Tree::Kind::Map && is_bandwidth(value));
    if (!alone) continue;
    Tree all = Tree::map();
    all.file = value.file, all.line = value.line;
    for (const Tensor t : kAllTensors) all.set(to_string(t), value);
    value = all;
  }
}

/// What stands in `tree` under a key, which is taken out of it; null when absent.
Tree take(Tree& tree, const std::string& key) {
  for (auto entry = tree.entries.begin(); entry != tree.entries.end(); ++entry)
    if (entry->first == key) {
      Tree value = entry->second;
      tree.entries.erase(entry);
      return value;
    }
  return {};
}

std::vector<StorageLevel> levels_from_tree(const Tree& tree, const std::string& where) {
  if (tree.kind != Tree::Kind::List)
    fail(where, fmt::format("levels is {}; give a list of levels, the outermost (DRAM) first.",
                            tree.given()));
  std::vector<StorageLevel> levels;
  for (const Tree& item : tree.items) {
    Tree wide = item;
    lengthen(wide);
    read_fields(fields(levels.emplace_back()), wide);
  }
  return levels;
}

}  // namespace

Tree to_tree(const Accelerator& device) {
  Accelerator copy = device;
  Tree tree = to_tree(plain_fields(copy));
  Tree levels = Tree::list();
  for (StorageLevel& level : copy.levels) {
    Tree one = to_tree(fields(level));
    shorten(one);
    levels.items.push_back(std::move(one));
  }
  tree.set("levels", std::move(levels));
  if (copy.fpga) tree.set("fpga", to_tree(fields(*copy.fpga)));
  return tree;
}

Accelerator accelerator_from_tree(const Tree& tree) {
  if (tree.kind != Tree::Kind::Map)
    fail(tree.where(), fmt::format("the accelerator is {}; give a map with name, levels, mac, ...",
                                   tree.given()));
  Accelerator device;
  Tree plain = tree;
  take_version(kFormat, plain);
  const Tree levels = take(plain, "levels"), fpga = take(plain, "fpga");
  read_fields(plain_fields(device), plain);
  device.levels = levels_from_tree(levels, levels.line > 0 ? levels.where() : tree.where());
  if (fpga.kind != Tree::Kind::Null) read_fields(fields(device.fpga.emplace()), fpga);
  try {
    check(device);
  } catch (const Error& error) {
    fail(tree.where(), error.what());
  }
  return device;
}

Accelerator find_accelerator(const std::string& name_or_path) {
  std::vector<std::string> names;
  for (const Accelerator& preset : accelerator_presets()) {
    if (preset.name == name_or_path) return preset;
    names.push_back(preset.name);
  }
  if (std::filesystem::is_regular_file(name_or_path))
    return accelerator_from_tree(read_yaml(name_or_path));
  fail("accelerator", fmt::format("'{}' is neither a preset nor a file{}", name_or_path,
                                  suggestion(name_or_path, names)));
}

}  // namespace instantnet::mapper
