#include "instantnet/interop/timeloop_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/core/file.h"
#include "instantnet/interop/timeloop_levels.h"

namespace instantnet::interop {
namespace {

using mapper::Accelerator;
using mapper::at;
using mapper::Cost;
using mapper::Dim;
using mapper::kAllDims;
using mapper::kAllTensors;
using mapper::Loop;
using mapper::Mapping;
using mapper::PerDim;
using mapper::Tensor;

std::string dim_name(Dim d) {
  return {static_cast<char>(std::toupper(mapper::to_string(d).front()))};
}

std::string tensor_name(Tensor t) {
  std::string name = mapper::to_string(t);
  name[0] = static_cast<char>(std::toupper(name[0]));
  return name;
}

Tree names_of(const mapper::PerTensor<bool>& which) {
  Tree list = Tree::list();
  for (const Tensor t : kAllTensors)
    if (which[t]) list.items.push_back(Tree::of(tensor_name(t)));
  return list;
}

Tree names_of(bool weights, bool inputs, bool outputs) {
  return names_of(mapper::PerTensor<bool>{weights, inputs, outputs});
}

// ---- The problem

/// [[[A]], [[B]]]: a rank a dimension.
Tree plain_ranks(const std::vector<Dim>& dims) {
  Tree ranks = Tree::list();
  for (const Dim d : dims) ranks.items.push_back(Tree::list({Tree::list({Tree::of(dim_name(d))})}));
  return ranks;
}

/// [[P, Hstride], [R, Hdilation]]: the input row of an output row and a kernel row.
Tree window_rank(Dim out, Dim kernel, const std::string& axis) {
  return Tree::list({Tree::list({Tree::of(dim_name(out)), Tree::of(axis + "stride")}),
                     Tree::list({Tree::of(dim_name(kernel)), Tree::of(axis + "dilation")})});
}

Tree data_space(Tensor t, Tree ranks) {
  return Tree::map().set("name", Tree::of(tensor_name(t))).set("projection", std::move(ranks));
}

Tree data_spaces() {
  Tree inputs = plain_ranks({Dim::N, Dim::G, Dim::C});
  inputs.items.push_back(window_rank(Dim::P, Dim::R, "H"));
  inputs.items.push_back(window_rank(Dim::Q, Dim::S, "W"));
  return Tree::list(
      {data_space(Tensor::Weights, plain_ranks({Dim::G, Dim::K, Dim::C, Dim::R, Dim::S})),
       data_space(Tensor::Inputs, std::move(inputs)),
       data_space(Tensor::Outputs, plain_ranks({Dim::N, Dim::G, Dim::K, Dim::P, Dim::Q}))
           .set("read-write", Tree::of(true))});
}

Tree coefficients() {
  Tree list = Tree::list();
  for (const char* name : {"Hstride", "Wstride", "Hdilation", "Wdilation"})
    list.items.push_back(Tree::map().set("name", Tree::of(name)).set("default", Tree::of(1)));
  return list;
}

Tree problem_tree(const LayerShape& layer) {
  Tree dimensions = Tree::list(), instance = Tree::map();
  const PerDim bounds = mapper::bounds_of(layer);
  for (const Dim d : kAllDims) {
    dimensions.items.push_back(Tree::of(dim_name(d)));
    instance.set(dim_name(d), Tree::of(bounds[at(d)]));
  }
  for (const char* axis : {"H", "W"}) {
    instance.set(fmt::format("{}stride", axis), Tree::of(layer.stride));
    instance.set(fmt::format("{}dilation", axis), Tree::of(layer.dilation));
  }
  const Tree shape = Tree::map()
                         .set("name", Tree::of("InstantNetLayer"))
                         .set("dimensions", std::move(dimensions))
                         .set("coefficients", coefficients())
                         .set("data-spaces", data_spaces());
  return Tree::map().set("problem",
                         Tree::map().set("shape", shape).set("instance", std::move(instance)));
}

// ---- Fan-outs

bool has_dim(const std::vector<Loop>& loops, Dim d) {
  return std::any_of(loops.begin(), loops.end(), [&](const Loop& loop) { return loop.dim == d; });
}

int64_t product_over(const std::vector<Loop>& loops, Dim d) {
  int64_t product = 1;
  for (const Loop& loop : loops)
    if (loop.dim == d) product *= loop.bound;
  return product;
}

/// Timeloop has one factor a dimension and fan-out: a dimension over both columns and rows needs an
/// array drawn as one long row, which has the same multicasts and reductions.
bool in_one_row(const mapper::LevelLoops& loops) {
  return std::any_of(kAllDims.begin(), kAllDims.end(), [&](Dim d) {
    return product_over(loops.spatial_x, d) > 1 && product_over(loops.spatial_y, d) > 1;
  });
}

// ---- The architecture

constexpr const char* kMacName = "MACC";

Tree storage_tree(const TimeloopLevel& level, int64_t columns) {
  Tree attributes = Tree::map()
                        .set("word-bits", Tree::of(level.word_bits))
                        .set("block-size", Tree::of(1))
                        .set("meshX", Tree::of(columns))
                        .set("addr-gen-energy", Tree::of(0));
  const bool memory = level.level == 0;
  constexpr int64_t kUnlimited = 4294967295;
  if (!memory || level.entries > 0)
    attributes.set("entries", Tree::of(level.entries > 0 ? level.entries : kUnlimited));
  if (level.double_buffered) attributes.set("multiple-buffering", Tree::of(2));
  if (level.read_bandwidth > 0) attributes.set("read_bandwidth", Tree::of(level.read_bandwidth));
  if (level.write_bandwidth > 0) attributes.set("write_bandwidth", Tree::of(level.write_bandwidth));
  attributes.set("vector-access-energy", Tree::of(level.read_pj));
  return Tree::map()
      .set("name", Tree::of(level.name))
      .set("class", Tree::of(memory ? "DRAM" : "SRAM"))
      .set("attributes", std::move(attributes));
}

/// "inside_GLB[0..255]": so many of what is below.
std::string node_name(const std::string& above, int64_t count) {
  const std::string name = "inside_" + above;
  return count > 1 ? fmt::format("{}[0..{}]", name, count - 1) : name;
}

/// Nested subtrees, one storage level each, the multipliers in the last.
class ArchitectureWriter {
 public:
  ArchitectureWriter(const std::vector<TimeloopLevel>& levels, const Accelerator& device,
                     const Mapping& mapping, Precision precision)
      : levels_(levels), device_(device), mapping_(mapping), precision_(precision) {}

  Tree tree() const {
    return Tree::map().set("architecture", Tree::map()
                                               .set("version", Tree::of(0.3))
                                               .set("subtree", Tree::list({node(0, "system", 1)})));
  }

 private:
  Tree node(size_t i, const std::string& name, int64_t columns) const {
    Tree made = Tree::map().set("name", Tree::of(name));
    if (i == levels_.size()) {
      made.set("local", Tree::list({multiplier(columns)}));
      return made;
    }
    made.set("local", Tree::list({storage_tree(levels_[i], columns)}));
    int64_t below = 1;
    if (levels_[i].last) {
      const mapper::StorageLevel& level = device_.levels[levels_[i].level];
      below = level.fanout_x * level.fanout_y;
      columns *= in_one_row(mapping_.levels[levels_[i].level]) ? below : level.fanout_x;
    }
    made.set("subtree", Tree::list({node(i + 1, node_name(levels_[i].name, below), columns)}));
    return made;
  }

  Tree multiplier(int64_t columns) const {
    const int width = std::max(precision_.weight, precision_.activation);
    return Tree::map()
        .set("name", Tree::of(kMacName))
        .set("class", Tree::of("intmac"))
        .set("attributes",
             Tree::map()
                 .set("word-bits", Tree::of(width))
                 .set("datawidth", Tree::of(width))
                 .set("meshX", Tree::of(columns))
                 .set("energy", Tree::of(mapper::mac_energy_pj(device_.mac, precision_))));
  }

  const std::vector<TimeloopLevel>& levels_;
  const Accelerator& device_;
  const Mapping& mapping_;
  Precision precision_;
};

// ---- The energies

Tree component(const std::string& name,
               const std::vector<std::pair<const char*, double>>& actions) {
  Tree list = Tree::list();
  for (const auto& [action, pj] : actions)
    list.items.push_back(Tree::map()
                             .set("name", Tree::of(action))
                             .set("arguments", Tree::map())
                             .set("energy", Tree::of(pj)));
  return Tree::map().set("name", Tree::of("system." + name)).set("actions", std::move(list));
}

Tree energies_tree(const std::vector<TimeloopLevel>& levels, double mac_pj) {
  Tree tables = Tree::list({component(kMacName, {{"mac_random", mac_pj}})});
  for (const TimeloopLevel& level : levels)
    tables.items.push_back(component(level.name, {{"random_read", level.read_pj},
                                                  {"random_fill", level.fill_pj},
                                                  {"random_update", level.update_pj}}));
  return Tree::map().set(
      "ERT", Tree::map().set("version", Tree::of(0.3)).set("tables", std::move(tables)));
}

// ---- The mapping

/// The bound of one loop, and what of it is left in its last round.
struct Factor {
  int64_t bound = 1, residue = 1;
};

/// Factors a (level, dimension): Timeloop's last rounds are the digits of bound - 1 in the mixed
/// radix of the factors, innermost digit first.
struct Factors {
  std::vector<std::array<Factor, mapper::kDims>> temporal, spatial;
};

Factors factors_of(const Mapping& mapping, const LayerShape& layer) {
  const size_t count = mapping.levels.size();
  Factors factors{std::vector<std::array<Factor, mapper::kDims>>(count),
                  std::vector<std::array<Factor, mapper::kDims>>(count)};
  const PerDim bounds = mapper::bounds_of(layer);
  for (const Dim d : kAllDims) {
    int64_t left = bounds[at(d)] - 1;
    const auto take = [&](Factor& factor, int64_t bound) {
      factor = {bound, left % bound + 1};
      left /= bound;
    };
    for (size_t l = count; l-- > 0;) {
      const mapper::LevelLoops& level = mapping.levels[l];
      take(factors.spatial[l][at(d)],
           product_over(level.spatial_x, d) * product_over(level.spatial_y, d));
      take(factors.temporal[l][at(d)], product_over(level.temporal, d));
    }
    if (left != 0) bug("the factors of a mapping that fits do not cover its layer.");
  }
  return factors;
}

std::string factors_text(const std::array<Factor, mapper::kDims>& factors) {
  std::vector<std::string> words;
  for (const Dim d : kAllDims) {
    const Factor& one = factors[at(d)];
    words.push_back(one.residue == one.bound
                        ? fmt::format("{}={}", dim_name(d), one.bound)
                        : fmt::format("{}={},{}", dim_name(d), one.bound, one.residue));
  }
  return fmt::format("{}", fmt::join(words, " "));
}

/// Innermost first; dimensions without a loop stand outside.
std::string permutation_text(std::vector<Dim> innermost_first) {
  for (const Dim d : kAllDims)
    if (std::find(innermost_first.begin(), innermost_first.end(), d) == innermost_first.end())
      innermost_first.push_back(d);
  std::string text;
  for (const Dim d : innermost_first) text += dim_name(d);
  return text;
}

std::vector<Dim> dims_inside_out(const std::vector<Loop>& loops) {
  std::vector<Dim> dims;
  for (auto loop = loops.rbegin(); loop != loops.rend(); ++loop)
    if (loop->bound > 1 && std::find(dims.begin(), dims.end(), loop->dim) == dims.end())
      dims.push_back(loop->dim);
  return dims;
}

Tree directive(const TimeloopLevel& level, const char* type) {
  return Tree::map().set("target", Tree::of(level.name)).set("type", Tree::of(type));
}

Tree temporal_tree(const TimeloopLevel& level, const Mapping& mapping, const Factors& factors) {
  const std::array<Factor, mapper::kDims> none{};
  const std::vector<Loop> no_loops;
  const size_t l = level.level;
  return directive(level, "temporal")
      .set("factors", Tree::of(factors_text(level.last ? factors.temporal[l] : none)))
      .set("permutation", Tree::of(permutation_text(dims_inside_out(
                              level.last ? mapping.levels[l].temporal : no_loops))));
}

/// Columns inside rows: the first `split` dimensions are over columns.
Tree spatial_tree(const TimeloopLevel& level, const Accelerator& device, const Mapping& mapping,
                  const Factors& factors) {
  const mapper::LevelLoops& loops = mapping.levels[level.level];
  std::vector<Dim> columns = dims_inside_out(loops.spatial_x);
  std::vector<Dim> rows = dims_inside_out(loops.spatial_y);
  const bool row = in_one_row(loops);
  if (row)
    for (const Dim d : rows)
      if (!has_dim(loops.spatial_x, d)) columns.push_back(d);
  const auto split = static_cast<int64_t>(columns.size());
  if (!row) columns.insert(columns.end(), rows.begin(), rows.end());
  const mapper::StorageLevel& storage = device.levels[level.level];
  Tree tree = directive(level, "spatial")
                  .set("factors", Tree::of(factors_text(factors.spatial[level.level])))
                  .set("permutation", Tree::of(permutation_text(columns)))
                  .set("split", Tree::of(split))
                  .set("no_link_transfer", names_of(true, true, true));
  if (!storage.multicast || !storage.reduction)
    tree.set("no_multicast_no_reduction",
             names_of(!storage.multicast, !storage.multicast, !storage.reduction));
  return tree;
}

Tree bypass_tree(const TimeloopLevel& level) {
  const mapper::PerTensor<bool>& keeps = level.keeps;
  return directive(level, "bypass")
      .set("keep", names_of(keeps))
      .set("bypass", names_of(!keeps.weights, !keeps.inputs, !keeps.outputs));
}

Tree mapping_tree(const std::vector<TimeloopLevel>& levels, const LayerShape& layer,
                  const Accelerator& device, const Mapping& mapping) {
  const Factors factors = factors_of(mapping, layer);
  Tree list = Tree::list();
  for (const TimeloopLevel& level : levels) {
    list.items.push_back(temporal_tree(level, mapping, factors));
    const mapper::StorageLevel& storage = device.levels[level.level];
    if (level.last && storage.fanout_x * storage.fanout_y > 1)
      list.items.push_back(spatial_tree(level, device, mapping, factors));
    list.items.push_back(bypass_tree(level));
  }
  return Tree::map().set("mapping", std::move(list));
}

void check_loops(const Mapping& mapping, const Accelerator& device, const std::string& where) {
  for (size_t l = 0; l < mapping.levels.size(); ++l)
    for (const Dim d : kAllDims) {
      const auto& loops = mapping.levels[l].temporal;
      const auto count = std::count_if(loops.begin(), loops.end(), [&](const Loop& loop) {
        return loop.dim == d && loop.bound > 1;
      });
      if (count > 1)
        fail(where, fmt::format("{} has {} loops over {}; Timeloop has one a level, export another "
                                "mapping.",
                                device.levels[l].name, count, mapper::to_string(d)));
    }
}

// ---- What we expect

/// Where Timeloop counts otherwise than we do, or does not count at all.
Tree notes(const std::vector<TimeloopLevel>& levels, const Accelerator& device,
           const Mapping& mapping, const Cost& cost, bool residues, double macs_a_cycle) {
  Tree list = Tree::list();
  const auto say = [&](const std::string& sentence) { list.items.push_back(Tree::of(sentence)); };
  double network_pj = 0;
  for (const mapper::LevelCost& level : cost.levels) network_pj += level.network_pj;
  if (network_pj > 0) say("Timeloop's files have no wires: the network's energy is ours alone.");
  if (cost.static_pj > 0) say("Timeloop's files have no static power: its energy is ours alone.");
  if (macs_a_cycle != 1)
    say(
        fmt::format("A multiplier does {} multiply-accumulates a cycle at this bit-width; "
                    "Timeloop's cycle does one, its cycles are as many times ours.",
                    macs_a_cycle));
  if (residues)
    say("Some factors do not divide their bound (K=4,3): Timeloop counts partial tiles by its own "
        "rules.");
  std::set<size_t> parts;
  for (const TimeloopLevel& level : levels) {
    const bool split = !level.last || parts.count(level.level) != 0;
    if (split && parts.insert(level.level).second && device.levels[level.level].capacity_words > 0)
      say(fmt::format("{}: tensors share its words; here each has a level that is as large as all.",
                      device.levels[level.level].name));
    if (level.last && in_one_row(mapping.levels[level.level]))
      say(fmt::format("{}: one dimension is over columns and rows; the array is drawn as one row.",
                      device.levels[level.level].name));
  }
  say("An overlap of windows along rows or columns survives a loop over output channels inside; "
      "Timeloop then fetches the whole window again.");
  return list;
}

Tree expected_levels(const Cost& cost, const Accelerator& device) {
  Tree levels = Tree::list();
  for (size_t l = 0; l < device.levels.size(); ++l) {
    Tree level = Tree::map().set("level", Tree::of(device.levels[l].name));
    for (const Tensor t : kAllTensors) {
      const mapper::Accesses& moved = cost.counts.levels[l][t];
      level.set(tensor_name(t), Tree::map()
                                    .set("reads", Tree::of(moved.reads))
                                    .set("updates", Tree::of(moved.updates))
                                    .set("fills", Tree::of(moved.fills))
                                    .set("energy_pj", Tree::of(cost.levels[l].energy_pj[t])));
    }
    levels.items.push_back(std::move(level));
  }
  return levels;
}

Tree expected_tree(const Cost& cost, const Accelerator& device, double macs_a_cycle, Tree said) {
  double network_pj = 0;
  for (const mapper::LevelCost& level : cost.levels) network_pj += level.network_pj;
  return Tree::map()
      .set("accelerator", Tree::of(device.name))
      .set("energy_pj", Tree::of(cost.energy_pj))
      .set("cycles", Tree::of(cost.cycles))
      .set("bound_by", Tree::of(cost.bound_by))
      .set("timeloop_energy_pj", Tree::of(cost.energy_pj - network_pj - cost.static_pj))
      .set("timeloop_cycles", Tree::of(cost.cycles * macs_a_cycle))
      .set("macs", Tree::of(cost.counts.macs))
      .set("mac_pj", Tree::of(cost.mac_pj))
      .set("network_pj", Tree::of(network_pj))
      .set("static_pj", Tree::of(cost.static_pj))
      .set("levels", expected_levels(cost, device))
      .set("notes", std::move(said));
}

bool has_residues(const Mapping& mapping, const LayerShape& layer) {
  const Factors factors = factors_of(mapping, layer);
  for (const auto* kind : {&factors.temporal, &factors.spatial})
    for (const auto& level : *kind)
      for (const Factor& factor : level)
        if (factor.bound != factor.residue) return true;
  return false;
}

// ---- Folders

constexpr const char* kReadme =
    "Layers and mappings for timeloop-model v3.0 (https://github.com/NVlabs/timeloop), one folder "
    "a\n"
    "layer and bit-width. In a folder:\n"
    "\n"
    "    timeloop-model problem.yaml architecture.yaml ert.yaml mapping.yaml\n"
    "\n"
    "Its energy and cycles are timeloop_energy_pj and timeloop_cycles of expected.yaml, where the\n"
    "counts of each level and tensor are (all instances together; Timeloop prints those of one\n"
    "instance), and the notes say where the two models count differently. Neighbours hand nothing\n"
    "to each other: versions that do not know no_link_transfer of the mapping want the "
    "environment\n"
    "variable TIMELOOP_DISABLE_LINK_TRANSFERS=1. Mappings are those of a layer on the whole "
    "device.\n";

void write_files(const TimeloopFiles& files, const std::string& folder) {
  make_folders(folder);
  const std::pair<const char*, const Tree*> all[] = {{"problem.yaml", &files.problem},
                                                     {"architecture.yaml", &files.architecture},
                                                     {"ert.yaml", &files.energies},
                                                     {"mapping.yaml", &files.mapping},
                                                     {"expected.yaml", &files.expected}};
  for (const auto& [name, tree] : all)
    write_file_atomic(fmt::format("{}/{}", folder, name), print_yaml(*tree));
}

}  // namespace

std::string file_name_of(const std::string& name) {
  std::string safe = name;
  for (char& c : safe) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 128 || (std::isalnum(u) == 0 && c != '-' && c != '_' && c != '.')) c = '_';
  }
  return safe.empty() || safe.front() == '.' ? "_" + safe : safe;
}

TimeloopFiles timeloop_files(const LayerShape& layer, Precision precision,
                             const Accelerator& device, const Mapping& mapping,
                             const std::string& where) {
  check_loops(mapping, device, where);
  const auto result = mapper::evaluate(layer, precision, device, mapping);
  if (const auto* misfit = std::get_if<mapper::Misfit>(&result)) fail(where, misfit->why);
  const Cost& cost = std::get<Cost>(result);
  const std::vector<TimeloopLevel> levels = timeloop_levels(precision, device, mapping, cost);
  const double macs_a_cycle = mapper::macs_per_cycle(device.mac, precision);
  TimeloopFiles files;
  files.problem = problem_tree(layer);
  files.architecture = ArchitectureWriter(levels, device, mapping, precision).tree();
  files.energies = energies_tree(levels, mapper::mac_energy_pj(device.mac, precision));
  files.mapping = mapping_tree(levels, layer, device, mapping);
  files.expected = expected_tree(
      cost, device, macs_a_cycle,
      notes(levels, device, mapping, cost, has_residues(mapping, layer), macs_a_cycle));
  return files;
}

std::vector<std::string> export_timeloop(const mapper::MappingPlan& plan,
                                         const std::string& folder) {
  std::vector<std::string> names;
  std::set<std::string> used;
  for (const mapper::LayerPlan& layer : plan.layers) {
    const std::string plain = fmt::format("{}-{}bit", file_name_of(layer.name), layer.bits);
    std::string name = plain;
    for (int i = 2; !used.insert(name).second; ++i) name = fmt::format("{}_{}", plain, i);
    const TimeloopFiles files =
        timeloop_files(layer.shape, layer.precision(), plan.accelerator, layer.found.mapping,
                       fmt::format("layer '{}'", layer.name));
    write_files(files, folder + "/" + name);
    names.push_back(name);
  }
  make_folders(folder);
  write_file_atomic(folder + "/README.txt", kReadme);
  return names;
}

}  // namespace instantnet::interop
