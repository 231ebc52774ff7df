#include "instantnet/nas/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "instantnet/core/file.h"
#include "instantnet/train/checkpoint.h"
#include "nas/tiny.h"

namespace instantnet::nas {
namespace {

using test::error_of;
using test::slurp;
using test::TempFolder;
using testing::HasSubstr;

/// Sets a flag after so many updates of progress.
class StopAfter : public Progress {
 public:
  StopAfter(std::atomic<bool>& flag, int updates) : flag_(flag), left_(updates) {}
  void update(int64_t, const std::string&) override {
    if (--left_ <= 0) flag_ = true;
  }

 private:
  std::atomic<bool>& flag_;
  int left_;
};

TEST(Search, LeavesANetworkInsideTheWindowAndSaysWhy) {
  TempFolder folder;
  const SearchResult result = search_quietly(tiny_options(), folder / "run");
  const NetworkSpec network = read_network(folder / "run/network.yaml");
  EXPECT_EQ(network, result.network);
  EXPECT_TRUE(result.report.inside);
  EXPECT_TRUE(result.report.window.holds(static_cast<double>(count_macs(network))));
  EXPECT_EQ(result.report.cost, static_cast<double>(count_macs(network)));
  EXPECT_EQ(report_from_tree(read_yaml(folder / "run/search.json")), result.report);
  EXPECT_EQ(result.evaluation.scores.size(), 3U);
}

TEST(Search, EndsInsideInTenOfTenSeedsAndEveryMethod) {
  for (uint64_t seed = 1; seed <= 10; ++seed)
    for (const Method method : {Method::SpNas, Method::FpNas, Method::LpNas, Method::Random}) {
      TempFolder folder;
      SearchOptions options = tiny_options();
      options.seed = seed;
      options.method = method;
      options.epochs = 1;
      options.evaluate_images = 0;
      const SearchResult result = search_quietly(options, folder / "run");
      EXPECT_TRUE(result.report.window.holds(result.report.cost)) << "seed " << seed;
      check(result.network);
    }
}

TEST(Search, StoppedAnywhereAndResumedItIsTheSameSearch) {
  for (const Sampling sampling : {Sampling::Single, Sampling::Soft}) {
    TempFolder folder;
    SearchOptions options = tiny_options();
    options.sampling = sampling;
    search_quietly(options, folder / "whole");
    for (int attempt = 0; attempt < 20; ++attempt) {
      std::atomic<bool> stop{false};
      StopAfter progress(stop, 2);
      if (!search(options, folder / "cut", macs, true, progress, &stop).stopped) break;
    }
    for (const char* name : {"last/weights.safetensors", "last/optimizer.safetensors",
                             "last/checkpoint.yaml", "network.yaml", "search.json"})
      EXPECT_EQ(slurp(folder / (std::string("whole/") + name)),
                slurp(folder / (std::string("cut/") + name)))
          << name;
  }
}

TEST(Search, TheSameSeedGivesTheSameBytesForAnyThreads) {
  TempFolder folder;
  SearchOptions options = tiny_options();
  search_quietly(options, folder / "one");
  options.threads = 3;
  search_quietly(options, folder / "three");
  EXPECT_EQ(slurp(folder / "one/last/weights.safetensors"),
            slurp(folder / "three/last/weights.safetensors"));
  EXPECT_EQ(slurp(folder / "one/search.json"), slurp(folder / "three/search.json"));
}

TEST(Search, EveryPresetRuns) {
  for (const std::string& name : preset_names()) {
    TempFolder folder;
    EXPECT_TRUE(search_quietly(tiny_options(name), folder / "run").report.finished) << name;
  }
}

TEST(Search, StopsEarlyWhenNothingChanges) {
  TempFolder folder;
  SearchOptions options = tiny_options();
  options.alpha.lr = 0;
  options.epochs = 20;
  options.patience = 2;
  const SearchResult result = search_quietly(options, folder / "run");
  EXPECT_TRUE(result.early);
  EXPECT_LT(result.report.epoch, 6);
}

TEST(Search, LambdaFollowsTheWindow) {
  TempFolder folder;
  SearchOptions options = tiny_options();
  const SearchSetting setting = prepare_search(options, macs);
  options.epochs = 6;
  options.alpha.lr = 0.2;
  options.cost.rate = 1;
  options.cost.weight = 0;
  options.cost.least = setting.table.least();
  options.cost.most = 1.02 * setting.table.least();
  const SearchResult cheap = search_quietly(options, folder / "cheap");
  EXPECT_GT(cheap.report.lambda, 0);
  EXPECT_FALSE(cheap.report.projected);  // the search itself came inside
  options.cost.least = 0.98 * setting.table.most();
  options.cost.most = setting.table.most();
  const SearchResult dear = search_quietly(options, folder / "dear");
  EXPECT_LT(dear.report.lambda, 0);
  EXPECT_FALSE(dear.report.projected);
}

TEST(Search, RefusesWhatItCannotStartWith) {
  TempFolder folder;
  const auto said = [&](auto change) {
    SearchOptions options = tiny_options();
    change(options);
    return error_of([&] { search_quietly(options, folder / "run"); });
  };
  EXPECT_THAT(said([](SearchOptions& o) { o.cost.least = 2, o.cost.most = 1; }),
              HasSubstr("the window is from 2 to 1; least must not be above most"));
  EXPECT_THAT(said([](SearchOptions& o) { o.cost.least = 1e9, o.cost.most = 2e9; }),
              HasSubstr("no network is in the window from 1e+09 to 2e+09: networks of the space "
                        "cost "));
  EXPECT_THAT(said([](SearchOptions& o) { o.space.operators[1] = "k3_e1_g3"; }),
              HasSubstr("3 groups, which do not divide the 4 channels"));
  EXPECT_THAT(said([](SearchOptions& o) { o.space.skip_projection = false; }),
              HasSubstr("needs a projection"));
  EXPECT_THAT(said([](SearchOptions& o) { o.loss.kind = train::LossKind::Independent; }),
              HasSubstr("a search trains one supernet"));
  EXPECT_THAT(said([](SearchOptions& o) { o.alpha.share = 0.999; }), HasSubstr("alpha.share"));
  EXPECT_THAT(said([](SearchOptions& o) { o.epochs = 0; }), HasSubstr("epochs: is 0"));
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
}

TEST(Search, RefusesAFolderThatHoldsOneAndOptionsThatDiffer) {
  TempFolder folder;
  search_quietly(tiny_options(), folder / "run");
  EXPECT_THAT(error_of([&] { search_quietly(tiny_options(), folder / "run"); }),
              HasSubstr("holds a search already; continue it with --resume"));
  SearchOptions other = tiny_options();
  other.alpha.lr = 0.5;
  EXPECT_THAT(error_of([&] { search_quietly(other, folder / "run", true); }),
              HasSubstr("the run was started with alpha.lr = "));
}

TEST(Search, ExplainsNumbersThatAreNotFinite) {
  TempFolder folder;
  SearchOptions options = tiny_options();
  options.optimizer.lr = 1e30;
  options.optimizer.clip_norm = 0;
  EXPECT_THAT(error_of([&] { search_quietly(options, folder / "run"); }),
              HasSubstr("is not finite"));
}

TEST(Search, ExplainsACollapse) {
  TempFolder folder;
  SearchOptions options = tiny_options();
  options.cost.weight = 1000;
  options.cost.adapt = false;
  options.alpha.lr = 0.5;
  const SearchSetting setting = prepare_search(options, macs);
  options.cost.least = 0.9 * setting.table.most();
  options.cost.most = setting.table.most();
  EXPECT_THAT(error_of([&] { search_quietly(options, folder / "run"); }),
              HasSubstr("every cell is skip with a weight above 1/2"));
}

TEST(SearchOptions, EveryPresetReadsBackExactly) {
  for (const std::string& name : preset_names()) {
    SearchOptions options = preset(name);
    SearchOptions back = load_search_options(to_tree(fields(options)));
    EXPECT_EQ(to_tree(fields(options)), to_tree(fields(back))) << name;
  }
}

TEST(SearchOptions, TheSpacesPresetComesBeforeItsKeys) {
  const SearchOptions options = load_search_options(
      parse_yaml("space: {stem_channels: 8, preset: instantnet32}"), {"space.stem_stride=2"});
  EXPECT_EQ(options.space.cells.size(), 7U);
  EXPECT_EQ(options.space.stem_channels, 8);
  EXPECT_EQ(options.space.stem_stride, 2);
  EXPECT_THAT(error_of([] { load_search_options(Tree::map(), {"space.preset=big"}); }),
              HasSubstr("unknown space 'big'"));
}

}  // namespace
}  // namespace instantnet::nas
