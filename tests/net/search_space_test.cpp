#include "instantnet/net/search_space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "instantnet/net/zoo.h"
#include "net/expect_error.h"

namespace instantnet {
namespace {

using testing::HasSubstr;

TEST(SearchSpace, EveryPresetIsWholeAndReadsBackExactly) {
  for (const std::string& name : space_preset_names()) {
    SearchSpace space = space_preset(name), back;
    read_fields(fields(back), to_tree(fields(space)));
    EXPECT_EQ(space, back) << name;
    const SpaceImage image = name == "fbnet224" ? SpaceImage{3, 224, 224, 1000}
                             : name == "small"  ? SpaceImage{1, 28, 28, 10}
                                                : SpaceImage{};
    check(space, image);
  }
}

TEST(SearchSpace, HoldsTheNetworksOfTheZoo) {
  const Architecture all_k3_e6(22, 3);
  EXPECT_EQ(network_of({}, {}, all_k3_e6, "space:k3_e6"), space_network({"k3_e6"}));
}

TEST(SearchSpace, TheSupernetHasEveryLayerOfEveryNetwork) {
  const SpaceLayers all = layers_of(supernet_of({}, {}));
  for (size_t op = 0; op < 9; ++op) {
    int64_t macs = 0;
    for (const NamedLayer& layer : all.fixed) macs += layer.shape.macs();
    for (const auto& cell : all.cells)
      for (const NamedLayer& layer : cell[op]) macs += layer.shape.macs();
    EXPECT_EQ(macs, count_macs(space_network({SearchSpace{}.operators[op]})));
  }
}

TEST(SearchSpace, CellsShareTheirInputWhereShapesAllow) {
  const Supernet supernet = supernet_of({}, {});
  EXPECT_EQ(supernet.cells[0].identity, 8);  // 16 channels to 16
  EXPECT_EQ(supernet.cells[0].input_of[8], -1);
  EXPECT_EQ(supernet.cells[1].identity, -1);  // 16 to 24
  EXPECT_EQ(supernet.cells[1].input_of[8], 8);
}

/// What check says of the authors' space with a change.
template <class Change>
std::string said(Change change) {
  SearchSpace space;
  change(space);
  return error_of([&] { check(space, {}); });
}

TEST(SearchSpace, RefusesWhatIsNoNetwork) {
  EXPECT_EQ(
      said([](SearchSpace& s) { s.channels.pop_back(); }),
      "search space: cells has 7 entries, channels 6 and strides 7; give one of each for each "
      "stage.");
  EXPECT_THAT(said([](SearchSpace& s) { s.channels[2] = 33; }),
              HasSubstr("operator 'k3_e1_g2' has 2 groups, which do not divide the 33 channels of "
                        "cell 5"));
  EXPECT_THAT(said([](SearchSpace& s) { s.skip_projection = false; }),
              HasSubstr("cell 1 turns 16 channels into 24 with stride 1, where a skip needs a "
                        "projection; set skip_projection: true"));
  EXPECT_THAT(said([](SearchSpace& s) { s.operators = {"skip"}; }),
              HasSubstr("operators has 1 entry; a search chooses from at least two."));
  EXPECT_THAT(said([](SearchSpace& s) { s.operators[3] = "k3e6"; }),
              HasSubstr("'k3e6' is no operator; give kK_eE"));
  EXPECT_THAT(said([](SearchSpace& s) { s.operators[3] = "k4_e6"; }),
              HasSubstr("the kernel may be"));
  EXPECT_THAT(said([](SearchSpace& s) { s.operators[3] = "k3_e1"; }),
              HasSubstr("'k3_e1' is there twice"));
  EXPECT_THAT(error_of([] { space_preset("smal"); }), HasSubstr("did you mean 'small'?"));
}

}  // namespace
}  // namespace instantnet
