// Our counts against those that timeloop-model v3.0.3 printed for five mappings
// (shared/golden/timeloop_access_counts.json): equal but for what the tests name.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "instantnet/mapper/cost.h"

namespace instantnet::mapper {
namespace {

using nlohmann::json;

const std::string kFile = INSTANTNET_SHARED_DIR "/golden/timeloop_access_counts.json";

PerTensor<bool> tensors(const std::string& letters) {
  const auto has = [&](char letter) { return letters.find(letter) != std::string::npos; };
  return {has('W'), has('I'), has('O')};
}

/// The chips of the file; its register files of the Eyeriss-like chip are levels of their own.
Accelerator chip_of(const json& chip, const std::string& name) {
  Accelerator device;
  device.name = name;
  std::vector<std::string> levels = chip["levels_inner_to_outer"];
  for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
    StorageLevel one;
    one.name = *level;
    const double energy = (*level).ends_with("RF") ? 1.0 : chip["energy_pj"][*level].get<double>();
    one.read_pj = one.write_pj = {energy, energy, energy};
    one.capacity_words = chip["capacity_words"].value(*level, int64_t{0});
    one.bandwidth.read = chip["read_bw_words_per_cycle"].value(*level, 0.0);
    one.bandwidth.write = chip["write_bw_words_per_cycle"].value(*level, 0.0);
    const PerTensor<bool> keeps = tensors(chip["keep"][*level]);
    for (const Tensor t : kAllTensors) one.keep[t] = keeps[t] ? Keep::Always : Keep::Never;
    if (chip["mesh_X_Y_below_level"].contains(*level)) {
      one.fanout_x = chip["mesh_X_Y_below_level"][*level][0];
      one.fanout_y = chip["mesh_X_Y_below_level"][*level][1];
    }
    device.levels.push_back(one);
  }
  return device;
}

LayerShape layer_of(const json& problem) {
  LayerShape layer;
  layer.n = problem["N"], layer.p = problem["P"], layer.q = problem["Q"];
  layer.r = problem["R"], layer.s = problem["S"], layer.stride = problem["stride"];
  if (problem["kind"] == "dw") {
    layer.groups = layer.k = problem["C"];
  } else {
    layer.k = problem["K"], layer.c = problem["C"];
  }
  return layer;
}

/// A depthwise layer's channels are called C there, G here.
Mapping mapping_of(const json& entry, const Accelerator& device) {
  Mapping mapping;
  for (const StorageLevel& storage : device.levels) {
    LevelLoops level;
    for (const Tensor t : kAllTensors) level.keeps[t] = storage.keep[t] == Keep::Always;
    const json& loops = entry["mapping_outer_to_inner"];
    for (const json& loop : loops.value(storage.name, json::array())) {
      const std::string name = loop["dim"];
      Dim dim = parse_dim(std::string(1, static_cast<char>(std::tolower(name[0]))), "golden");
      if (entry["problem"]["kind"] == "dw" && dim == Dim::C) dim = Dim::G;
      auto& list = loop["kind"] == "temporal"    ? level.temporal
                   : loop["kind"] == "spatial-X" ? level.spatial_x
                                                 : level.spatial_y;
      list.push_back({dim, loop["bound"]});
    }
    mapping.levels.push_back(level);
  }
  return mapping;
}

struct Golden {
  Accelerator device;
  Cost ours;
  json theirs;
};

class TimeloopGolden : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kFile)) GTEST_SKIP() << kFile << " is not there";
    file_ = json::parse(std::ifstream(kFile));
  }

  Golden load(const std::string& name) const {
    for (const json& entry : file_["mappings"]) {
      if (entry["name"] != name) continue;
      const Accelerator device = chip_of(file_["meta"]["chips"][entry["chip"]], entry["chip"]);
      const auto result =
          evaluate(layer_of(entry["problem"]), {16, 16}, device, mapping_of(entry, device));
      if (const auto* misfit = std::get_if<Misfit>(&result)) ADD_FAILURE() << misfit->why;
      return {device, std::get<Cost>(result), entry};
    }
    ADD_FAILURE() << "no mapping " << name;
    return {};
  }

  json file_;
};

/// Every count that differs, as "GLB inputs reads" -> ours minus theirs.
std::map<std::string, int64_t> differences(const Golden& golden) {
  std::map<std::string, int64_t> found;
  for (size_t l = 0; l < golden.device.levels.size(); ++l) {
    const std::string& level = golden.device.levels[l].name;
    for (const auto& item : golden.theirs["accesses"][level].items()) {
      const std::string& name = item.key();
      const auto& count = item.value();  // no binding: clang 14 does not let lambdas take those
      std::string tensor = name;
      tensor[0] = static_cast<char>(std::tolower(tensor[0]));
      const Accesses& ours = golden.ours.counts.levels[l][parse_tensor(tensor, "golden")];
      const auto compare = [&](const char* kind, int64_t mine) {
        const int64_t theirs = count[std::string(kind) + "_total"];
        if (mine != theirs) found[level + " " + tensor + " " + kind] = mine - theirs;
      };
      compare("reads", ours.reads);
      compare("updates", ours.updates);
      compare("fills", ours.fills);
    }
  }
  return found;
}

using Differences = std::map<std::string, int64_t>;

TEST_F(TimeloopGolden, AgreesWhereSemanticsDo) {
  for (const char* name : {"G1_conv3x3_halo", "G3_alexnet_conv3_rowstationary", "G4_depthwise",
                           "G5_stride2_spatial_halo"}) {
    const Golden golden = load(name);
    EXPECT_EQ(differences(golden), Differences{}) << name;
    EXPECT_EQ(golden.ours.energy_pj, golden.theirs["energy_pj"].get<double>()) << name;
    EXPECT_EQ(golden.ours.cycles, golden.theirs["cycles"].get<double>()) << name;
    EXPECT_EQ(golden.ours.counts.steps, golden.theirs["compute_cycles"].get<int64_t>()) << name;
    EXPECT_EQ(golden.ours.counts.macs, golden.theirs["macs"].get<int64_t>()) << name;
  }
}

// R is spread over the PEs and P slides one level up, so that each PE needs what its neighbour had
// a step before. Timeloop takes 4 of 5 windows but the first of each slide from the neighbour and
// counts those 57,600 as reads of the neighbour's register file; we have no links between PEs, and
// read them from the global buffer.
TEST_F(TimeloopGolden, HasNoTransfersBetweenNeighbours) {
  const Golden golden = load("G2_psum_spill_linktransfer");
  EXPECT_EQ(differences(golden),
            (Differences{{"GLB inputs reads", 57600}, {"RF inputs reads", -57600}}));
  EXPECT_EQ(golden.ours.energy_pj, golden.theirs["energy_pj"].get<double>() + 57600 * (6.0 - 1.0));
  EXPECT_EQ(golden.ours.cycles, golden.theirs["cycles"].get<double>());
}

/// simple3 with P sliding over the register file's window and K around or inside that loop.
int64_t glb_input_reads(const std::vector<Loop>& glb_loops) {
  LayerShape layer;
  layer.k = 4, layer.p = 8, layer.r = 3;
  Mapping mapping;
  mapping.levels.resize(3);
  mapping.levels[1].temporal = glb_loops;
  mapping.levels[2].temporal = {{Dim::R, 3}};
  const auto result = evaluate(layer, {16, 16}, find_accelerator("simple3"), mapping);
  return std::get<Cost>(result).counts.levels[1].inputs.reads;
}

// The first window has 3 rows and each of the 7 slides brings one more. A loop over K inside the
// sliding loop uses the same rows again and leaves them where they are. Timeloop compares a tile's
// move with the move before: K's move of 0 breaks the pattern, so that it fetches all 3 rows of all
// 8 windows (24).
TEST(TimeloopDifference, ALoopOverKInsideASlidingLoopKeepsTheOverlap) {
  EXPECT_EQ(glb_input_reads({{Dim::K, 4}, {Dim::P, 8}}), 4 * (3 + 7));
  EXPECT_EQ(glb_input_reads({{Dim::P, 8}, {Dim::K, 4}}), 3 + 7);
}

}  // namespace
}  // namespace instantnet::mapper
