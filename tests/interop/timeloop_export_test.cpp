#include "instantnet/interop/timeloop_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "instantnet/core/file.h"
#include "instantnet/core/rng.h"
#include "mapper/random_cases.h"
#include "net/expect_error.h"
#include "own_folder.h"

namespace instantnet::interop {
namespace {

using mapper::Accelerator;
using mapper::Cost;
using mapper::Dim;
using mapper::Mapping;
using mapper::Tensor;
using testing::ElementsAre;
using testing::HasSubstr;

// ---- A small reader of Timeloop's files, as its documentation describes them.

struct ReadFactor {
  int64_t bound = 1, residue = 1;
};

/// "K=4,3 C=2"
std::map<Dim, ReadFactor> read_factors(const std::string& text) {
  std::map<Dim, ReadFactor> factors;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    ReadFactor one;
    char letter = 0, equals = 0, comma = 0;
    std::istringstream parts(word);
    parts >> letter >> equals >> one.bound;
    one.residue = one.bound;
    if (parts >> comma) parts >> one.residue;
    factors[mapper::parse_dim(std::string(1, static_cast<char>(std::tolower(letter))), "test")] =
        one;
  }
  return factors;
}

struct ReadLevel {
  std::string name;
  int64_t instances = 1, columns = 1, word_bits = 0;
  double read_bandwidth = 0, write_bandwidth = 0;
  std::map<std::string, double> energies;
  std::map<Dim, ReadFactor> temporal, spatial;
  std::vector<Dim> temporal_order;                 // outermost first
  std::vector<Dim> spatial_columns, spatial_rows;  // likewise
  std::set<std::string> keep;
};

std::vector<Dim> dims_of(const std::string& letters) {
  std::vector<Dim> dims;
  for (const char c : letters)
    dims.push_back(mapper::parse_dim(std::string(1, static_cast<char>(std::tolower(c))), "test"));
  return dims;
}

/// "inside_GLB[0..255]" -> 256
int64_t count_of(const std::string& name) {
  const size_t dots = name.find("..");
  return dots == std::string::npos ? 1 : std::stoll(name.substr(dots + 2)) + 1;
}

std::vector<ReadLevel> read_levels(const Tree& architecture) {
  std::vector<ReadLevel> levels;
  int64_t instances = 1;
  const Tree* node = architecture.find("architecture");
  while (node->find("subtree") != nullptr) {
    node = &node->find("subtree")->items.at(0);
    instances *= count_of(node->find("name")->as_string());
    const Tree& local = node->find("local")->items.at(0);
    const Tree& attributes = *local.find("attributes");
    ReadLevel level;
    level.name = local.find("name")->as_string();
    level.instances = instances;
    level.columns = attributes.find("meshX")->as_int();
    level.word_bits = attributes.find("word-bits")->as_int();
    if (const Tree* rate = attributes.find("read_bandwidth"))
      level.read_bandwidth = rate->as_double();
    if (const Tree* rate = attributes.find("write_bandwidth"))
      level.write_bandwidth = rate->as_double();
    levels.push_back(level);
  }
  return levels;
}

ReadLevel& named(std::vector<ReadLevel>& levels, const std::string& name) {
  for (ReadLevel& level : levels)
    if (level.name == name) return level;
  throw std::runtime_error("no level " + name);
}

void read_directive(const Tree& directive, ReadLevel& level) {
  const std::string type = directive.find("type")->as_string();
  if (type == "bypass") {
    for (const Tree& name : directive.find("keep")->items) level.keep.insert(name.as_string());
    EXPECT_EQ(directive.find("keep")->items.size() + directive.find("bypass")->items.size(), 3u);
    return;
  }
  std::vector<Dim> order = dims_of(directive.find("permutation")->as_string());
  EXPECT_EQ(std::set<Dim>(order.begin(), order.end()).size(), 8u);
  const auto factors = read_factors(directive.find("factors")->as_string());
  if (type == "temporal") {
    level.temporal = factors;
    level.temporal_order.assign(order.rbegin(), order.rend());
    return;
  }
  level.spatial = factors;
  const int64_t split = directive.find("split")->as_int();
  level.spatial_columns.assign(order.begin(), order.begin() + split);
  level.spatial_rows.assign(order.begin() + split, order.end());
}

/// Files as text, and back: what Timeloop would see.
std::vector<ReadLevel> read(const TimeloopFiles& files) {
  std::vector<ReadLevel> levels = read_levels(parse_yaml(print_yaml(files.architecture)));
  const Tree mapping = parse_yaml(print_yaml(files.mapping));
  for (const Tree& directive : mapping.find("mapping")->items)
    read_directive(directive, named(levels, directive.find("target")->as_string()));
  const Tree energies = parse_yaml(print_yaml(files.energies));
  for (const Tree& table : energies.find("ERT")->find("tables")->items) {
    const std::string name = table.find("name")->as_string();
    for (const Tree& action : table.find("actions")->items)
      named(levels, name.substr(name.rfind('.') + 1)).energies[action.find("name")->as_string()] =
          action.find("energy")->as_double();
  }
  return levels;
}

// ---- Checks

/// Which levels of a device Timeloop's are (parts of): a level's parts follow each other.
std::vector<size_t> owners(const std::vector<ReadLevel>& levels, const Accelerator& device) {
  std::vector<size_t> owner;
  for (const ReadLevel& level : levels)
    for (size_t l = 0; l < device.levels.size(); ++l) {
      const std::string& name = device.levels[l].name;
      const std::string rest =
          level.name.starts_with(name) ? level.name.substr(name.size()) : std::string("?");
      if (rest.empty() || rest == "_weights" || rest == "_inputs" || rest == "_outputs")
        owner.push_back(l);
    }
  return owner;
}

Mapping read_back(const std::vector<ReadLevel>& levels, const Accelerator& device) {
  const std::vector<size_t> owner = owners(levels, device);
  Mapping mapping;
  mapping.levels.resize(device.levels.size());
  for (mapper::LevelLoops& level : mapping.levels) level.keeps = {false, false, false};
  for (size_t i = 0; i < owner.size(); ++i) {
    mapper::LevelLoops& level = mapping.levels[owner[i]];
    for (const Tensor t : mapper::kAllTensors) {
      std::string name = mapper::to_string(t);
      name[0] = static_cast<char>(std::toupper(name[0]));
      level.keeps[t] = level.keeps[t] || levels[i].keep.count(name) != 0;
    }
    const auto add = [](std::vector<mapper::Loop>& loops, const std::vector<Dim>& dims,
                        const std::map<Dim, ReadFactor>& factors) {
      for (const Dim d : dims)
        if (const auto one = factors.find(d); one != factors.end() && one->second.bound > 1)
          loops.push_back({d, one->second.bound});
    };
    add(level.temporal, levels[i].temporal_order, levels[i].temporal);
    add(level.spatial_x, levels[i].spatial_columns, levels[i].spatial);
    add(level.spatial_y, levels[i].spatial_rows, levels[i].spatial);
  }
  return mapping;
}

/// Timeloop refuses a mapping whose factors do not make up the bounds:
/// (((r2 - 1) f1 + (r1 - 1)) f0 + (r0 - 1)) + 1.
void expect_bounds_are_met(const std::vector<ReadLevel>& levels, const LayerShape& layer) {
  const mapper::PerDim bounds = mapper::bounds_of(layer);
  for (const Dim d : mapper::kAllDims) {
    int64_t made = 0;
    for (const ReadLevel& level : levels)
      for (const auto* factors : {&level.temporal, &level.spatial})
        if (const auto one = factors->find(d); one != factors->end())
          made = made * one->second.bound + one->second.residue - 1;
    EXPECT_EQ(made + 1, bounds[mapper::at(d)]) << mapper::to_string(d);
  }
}

/// The energy and cycles that Timeloop computes when it counts what we count.
struct Told {
  double energy_pj = 0, cycles = 0;
};

Told timeloop_would_say(const std::vector<ReadLevel>& levels, const Accelerator& device,
                        const Cost& cost) {
  const std::vector<size_t> owner = owners(levels, device);
  Told told;
  told.cycles = static_cast<double>(cost.counts.steps);
  double instances = 1;
  for (size_t i = 0; i < owner.size(); ++i) {
    double reads = 0, writes = 0;
    for (const Tensor t : mapper::kAllTensors) {
      std::string name = mapper::to_string(t);
      name[0] = static_cast<char>(std::toupper(name[0]));
      if (levels[i].keep.count(name) == 0) continue;
      const mapper::Accesses& moved = cost.counts.levels[owner[i]][t];
      told.energy_pj +=
          static_cast<double>(moved.reads) * levels[i].energies.at("random_read") +
          static_cast<double>(moved.updates) * levels[i].energies.at("random_update") +
          static_cast<double>(moved.fills) * levels[i].energies.at("random_fill");
      reads += static_cast<double>(moved.reads);
      writes += static_cast<double>(moved.updates + moved.fills);
    }
    if (levels[i].read_bandwidth > 0)
      told.cycles = std::max(told.cycles, reads / instances / levels[i].read_bandwidth);
    if (levels[i].write_bandwidth > 0)
      told.cycles = std::max(told.cycles, writes / instances / levels[i].write_bandwidth);
    for (const auto& [dim, factor] : levels[i].spatial)
      instances *= static_cast<double>(factor.bound);
  }
  told.energy_pj += static_cast<double>(cost.counts.macs) * levels.back().energies.at("mac_random");
  return told;
}

bool perfect(const std::vector<ReadLevel>& levels) {
  for (const ReadLevel& level : levels)
    for (const auto* factors : {&level.temporal, &level.spatial})
      for (const auto& [dim, factor] : *factors)
        if (factor.bound != factor.residue) return false;
  return true;
}

void expect_round_trip(const LayerShape& layer, Precision precision, const Accelerator& device,
                       const Mapping& mapping) {
  SCOPED_TRACE(describe(layer, device, mapping));
  const auto answer = mapper::evaluate(layer, precision, device, mapping);
  ASSERT_TRUE(std::holds_alternative<Cost>(answer)) << std::get<mapper::Misfit>(answer).why;
  const Cost& cost = std::get<Cost>(answer);
  const TimeloopFiles files = timeloop_files(layer, precision, device, mapping, "test");
  const std::vector<ReadLevel> levels = read(files);
  expect_bounds_are_met(levels, layer);
  EXPECT_EQ(levels.back().instances, mapper::multipliers(device));
  EXPECT_EQ(levels.back().instances % levels.back().columns, 0);

  const auto again =
      mapper::evaluate(layer, precision, mapper::unlimited(device), read_back(levels, device));
  const auto once = mapper::evaluate(layer, precision, mapper::unlimited(device), mapping);
  if (std::holds_alternative<Cost>(again)) {  // else: drawn as one row, wider than the array
    EXPECT_EQ(std::get<Cost>(again).counts, std::get<Cost>(once).counts);
  }

  const Told told = timeloop_would_say(levels, device, cost);
  const double energy = files.expected.find("timeloop_energy_pj")->as_double();
  EXPECT_NEAR(told.energy_pj, energy, 1e-9 * energy);
  if (perfect(levels)) {
    const double cycles = files.expected.find("timeloop_cycles")->as_double();
    const double macs_a_cycle = mapper::macs_per_cycle(device.mac, precision);
    EXPECT_NEAR(told.cycles, cycles, 1e-9 * cycles + std::max(1.0, macs_a_cycle));
  }
}

TEST(TimeloopExport, RandomMappingsComeBackWithTheirCosts) {
  Rng rng(5);
  int exported = 0;
  for (int i = 0; i < 400; ++i) {
    const LayerShape layer = mapper::random_layer(rng);
    Accelerator device = mapper::random_device(rng);
    device.psum.extra_bits = static_cast<int>(8 * rng.below(2));
    const Mapping mapping = mapper::random_mapping(rng, layer, device);
    const int bits = static_cast<int>(1 + rng.below(16));
    if (!to_nest(mapping)) continue;  // Timeloop has one loop a level and dimension
    if (!std::holds_alternative<Cost>(evaluate(layer, {bits, bits}, device, mapping))) continue;
    expect_round_trip(layer, {bits, bits}, device, mapping);
    ++exported;
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(exported, 100);
}

TEST(TimeloopExport, EveryPresetComesBackWithItsCosts) {
  Rng rng(6);
  int exported = 0;
  for (const Accelerator& device : mapper::accelerator_presets())
    for (int i = 0; i < 20; ++i) {
      const LayerShape layer = mapper::random_layer(rng, 2000);
      const Mapping mapping = mapper::random_mapping(rng, layer, device);
      if (!to_nest(mapping)) continue;
      for (const int bits : {4, 8, 16})
        if (std::holds_alternative<Cost>(evaluate(layer, {bits, bits}, device, mapping))) {
          expect_round_trip(layer, {bits, bits}, device, mapping);
          ++exported;
        }
      if (testing::Test::HasFailure()) return;
    }
  EXPECT_GT(exported, 80);
}

/// The first mapping of the golden file, printed by timeloop-model v3.0.3.
struct Golden {
  LayerShape layer;
  Accelerator device = mapper::find_accelerator("simple3");
  Mapping mapping;
  Golden() {
    layer.k = layer.c = layer.p = layer.q = 8, layer.r = layer.s = 3;
    mapping.levels.resize(3);
    mapping.levels[0].temporal = {{Dim::K, 2}};
    mapping.levels[1].temporal = {{Dim::C, 2}, {Dim::Q, 8}, {Dim::P, 8}};
    mapping.levels[1].spatial_x = {{Dim::K, 4}};
    mapping.levels[1].spatial_y = {{Dim::C, 4}};
    mapping.levels[2].temporal = {{Dim::S, 3}, {Dim::R, 3}};
  }
};

TEST(TimeloopExport, WritesFactorsInsideOut) {
  const Golden golden;
  const TimeloopFiles files =
      timeloop_files(golden.layer, {16, 16}, golden.device, golden.mapping, "g");
  const std::string text = print_yaml(files.mapping);
  EXPECT_THAT(text,
              HasSubstr("factors: N=1 G=1 K=1 C=2 P=8 Q=8 R=1 S=1\n    permutation: PQCNGKRS\n"));
  EXPECT_THAT(text,
              HasSubstr("factors: N=1 G=1 K=4 C=4 P=1 Q=1 R=1 S=1\n    permutation: KCNGPQRS\n    "
                        "split: 1\n"));
  EXPECT_THAT(text,
              HasSubstr("factors: N=1 G=1 K=1 C=1 P=1 Q=1 R=3 S=3\n    permutation: RSNGKCPQ\n"));
  const std::string problem = print_yaml(files.problem);
  for (const char* word : {"C: 8\n", "Hstride: 1\n", "read-write: true\n", "[P, Hstride]"})
    EXPECT_THAT(problem, HasSubstr(word));
  const std::string architecture = print_yaml(files.architecture);
  for (const char* word : {"entries: 65536\n", "inside_GLB[0..255]", "meshX: 16\n",
                           "read_bandwidth: 32\n", "class: intmac\n"})
    EXPECT_THAT(architecture, HasSubstr(word));
}

TEST(TimeloopExport, WritesResiduesOfFactorsThatDoNotDivide) {
  Golden golden;
  golden.layer.k = 7;
  const TimeloopFiles files =
      timeloop_files(golden.layer, {16, 16}, golden.device, golden.mapping, "g");
  EXPECT_THAT(print_yaml(files.mapping), HasSubstr("K=4,3 C=4"));
  EXPECT_THAT(print_yaml(files.expected), HasSubstr("Some factors do not divide their bound"));
}

TEST(TimeloopExport, RefusesWhatTimeloopCannotSay) {
  Golden golden;
  golden.mapping.levels[1].temporal = {{Dim::P, 2}, {Dim::C, 2}, {Dim::Q, 8}, {Dim::P, 4}};
  EXPECT_EQ(error_of([&] {
              timeloop_files(golden.layer, {16, 16}, golden.device, golden.mapping, "layer 'a'");
            }),
            "layer 'a': GLB has 2 loops over p; Timeloop has one a level, export another mapping.");
}

TEST(TimeloopExport, WritesAFolderALayerAndBitWidth) {
  const Golden golden;
  mapper::MappingPlan plan;
  plan.accelerator = golden.device;
  for (const int bits : {8, 16}) {
    mapper::LayerPlan layer;
    layer.name = "a/b c";
    layer.bits = bits;
    layer.shape = golden.layer;
    layer.found.mapping = golden.mapping;
    plan.layers.push_back(layer);
  }
  plan.layers.push_back(plan.layers.back());
  const std::string folder = own_folder() + "timeloop_export";
  EXPECT_THAT(export_timeloop(plan, folder),
              ElementsAre("a_b_c-8bit", "a_b_c-16bit", "a_b_c-16bit_2"));
  for (const char* name : {"problem", "architecture", "ert", "mapping", "expected"})
    EXPECT_NO_THROW(read_yaml(folder + "/a_b_c-8bit/" + name + ".yaml")) << name;
  EXPECT_THAT(read_file(folder + "/README.txt"), HasSubstr("timeloop-model problem.yaml"));
  std::filesystem::remove_all(folder);
}

TEST(TimeloopExport, NamesAreOnePathComponent) {
  EXPECT_EQ(file_name_of("/model/conv:0"), "_model_conv_0");
  EXPECT_EQ(file_name_of(".."), "_..");
  EXPECT_EQ(file_name_of(""), "_");
  EXPECT_EQ(file_name_of("stage1.block0-x_2"), "stage1.block0-x_2");
}

}  // namespace
}  // namespace instantnet::interop
