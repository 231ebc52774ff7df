#include "instantnet/data/loader.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "images/helpers.h"
#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"
#include "instantnet/data/order.h"
#include "instantnet/images/memory.h"

namespace instantnet::data {

using images::Dataset;
using images::Defaults;
using images::Image;
using images::memory_dataset;
using images::synthetic_dataset;
namespace test = images::test;
namespace {

using test::error_of;
using test::TempFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::shared_ptr<const Dataset> small_set(int64_t count = 50, int64_t channels = 3) {
  return synthetic_dataset(count, 5, channels, 8, 6, 1);
}

/// Batches of 8; every kind of random change but cutting out.
DataOptions busy_options(int64_t threads) {
  DataOptions options;
  options.batch_size = 8;
  options.threads = threads;
  options.augment = "custom";
  options.shift = 1;
  options.crop_padding = 2;
  options.flip = true;
  return options;
}

/// Everything in a batch as bytes.
std::string bytes_of(const Batch& batch) {
  std::string bytes(static_cast<const char*>(batch.images.data_ptr()), batch.images.nbytes());
  bytes.append(static_cast<const char*>(batch.labels.data_ptr()), batch.labels.nbytes());
  bytes.append(reinterpret_cast<const char*>(batch.indices.data()), batch.indices.size() * 8);
  return bytes;
}

std::vector<std::string> all_bytes(const Source& source, const Order& order, int64_t first = 0) {
  std::vector<std::string> all;
  source.for_each(order, first, [&](Batch& batch) {
    all.push_back(bytes_of(batch));
    return true;
  });
  return all;
}

std::vector<int64_t> all_indices(const Source& source, const Order& order) {
  std::vector<int64_t> all;
  source.for_each(order, 0, [&](Batch& batch) {
    all.insert(all.end(), batch.indices.begin(), batch.indices.end());
    return true;
  });
  return all;
}

TEST(Source, GivesImagesAsChannelsLastFloats) {
  const auto dataset = small_set();
  const Source source(dataset, {}, busy_options(1));
  EXPECT_THAT(source.shape(), ElementsAre(3, 8, 6));
  EXPECT_EQ(source.classes(), 5);
  const Batch batch = source.batch({.shuffle = false, .augment = false}, 6);
  EXPECT_EQ(batch.images.sizes(), (std::vector<int64_t>{2, 3, 8, 6}));
  EXPECT_TRUE(batch.images.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_EQ(batch.images.scalar_type(), at::kFloat);
  EXPECT_EQ(batch.labels.scalar_type(), at::kLong);
  EXPECT_THAT(batch.indices, ElementsAre(48, 49));
  EXPECT_EQ(batch.labels[1].item<int64_t>(), 4);
  const Image image = dataset->image(49);
  const double value = image.pixels[(7 * 6 + 5) * 3 + 2];
  EXPECT_EQ(batch.images[1][2][7][5].item<float>(),
            static_cast<float>((value / 255.0 - 0.5) / 0.25));
}

TEST(Source, AnyNumberOfThreadsGivesTheSameBytes) {
  for (const int64_t channels : {1, 3}) {
    const auto dataset = small_set(50, channels);
    const Order order{.seed = 3, .epoch = 2};
    const auto expected = all_bytes(Source(dataset, {}, busy_options(0)), order);
    EXPECT_EQ(expected.size(), 7U);
    for (const int64_t threads : {1, 2, 5, 16})
      EXPECT_EQ(all_bytes(Source(dataset, {}, busy_options(threads)), order), expected) << threads;
  }
}

TEST(Source, ABatchAloneHasTheBytesOfTheEpoch) {
  const Source source(small_set(), {}, busy_options(2));
  const Order order{.seed = 3, .epoch = 4};
  const auto expected = all_bytes(source, order);
  for (int64_t number = 0; number < source.batches(order); ++number)
    EXPECT_EQ(bytes_of(source.batch(order, number)), expected[number]);
}

TEST(Source, AnEpochCanBeTakenUpInItsMiddle) {
  const Source source(small_set(), {}, busy_options(3));
  const Order order{.seed = 3};
  const auto whole = all_bytes(source, order);
  for (const int64_t first : {1, 4, 6, 7, 9}) {
    const auto rest = all_bytes(source, order, first);
    ASSERT_EQ(rest.size(), first < 7 ? 7U - first : 0U);
    EXPECT_TRUE(std::equal(rest.begin(), rest.end(), whole.end() - rest.size()));
  }
}

TEST(Source, EpochsAndSeedsDiffer) {
  const Source source(small_set(), {}, busy_options(2));
  const auto base = all_bytes(source, {.seed = 1, .epoch = 0});
  EXPECT_NE(base, all_bytes(source, {.seed = 1, .epoch = 1}));
  EXPECT_NE(base, all_bytes(source, {.seed = 2, .epoch = 0}));
  EXPECT_EQ(base, all_bytes(source, {.seed = 1, .epoch = 0}));
}

TEST(Source, AugmentationDependsOnTheImageNotOnItsPlace) {
  const auto dataset = small_set();
  const Source all(dataset, {}, busy_options(0)), some(dataset, {7, 31}, busy_options(0));
  const Order order{.seed = 5, .epoch = 1, .shuffle = false};
  const at::Tensor wanted = all.batch(order, 0).images[7];
  EXPECT_TRUE(at::equal(some.batch(order, 0).images[0], wanted));
}

/// One image of 9x9 with the values 1 to 81, not normalised.
std::shared_ptr<const Source> counting_source(DataOptions options) {
  std::vector<uint8_t> pixels(81);
  std::iota(pixels.begin(), pixels.end(), uint8_t{1});
  options.mean = {0.0};
  options.deviation = {1.0};
  return std::make_shared<Source>(memory_dataset({{9, 9, 1, pixels}}, {0}, 1),
                                  std::vector<int64_t>{}, options);
}

/// The middle pixel and its right neighbour: together they tell the shift and the flip.
std::pair<int64_t, int64_t> middle_of(const Source& source, int64_t epoch) {
  const Batch batch = source.batch({.seed = 1, .epoch = epoch}, 0);
  const auto value = [&](int64_t x) {
    return std::lround(batch.images[0][0][4][x].item<float>() * 255);
  };
  return {value(4), value(5)};
}

TEST(Source, AugmentationNeverChangesSilently) {
  const auto source = counting_source(busy_options(0));
  std::vector<std::pair<int64_t, int64_t>> seen;
  for (int64_t epoch = 0; epoch < 4; ++epoch) seen.push_back(middle_of(*source, epoch));
  EXPECT_THAT(seen, ElementsAre(Pair(13, 12), Pair(51, 52), Pair(38, 37), Pair(31, 32)));
}

TEST(Source, EveryShiftAndFlipIsEquallyLikely) {
  DataOptions options = busy_options(0);
  options.crop_padding = 0;
  const auto source = counting_source(options);
  std::map<std::pair<int64_t, int64_t>, int> counts;
  for (int64_t epoch = 0; epoch < 3600; ++epoch) ++counts[middle_of(*source, epoch)];
  EXPECT_EQ(counts.size(), 18U);  // 3 down, 3 right, 2 ways round
  for (const auto& [pair, count] : counts) EXPECT_NEAR(count, 200, 70) << pair.first;
}

TEST(Source, ShardsAreDisjointAndTogetherWhole) {
  for (const int64_t ranks : {1, 2, 3, 7}) {
    const Source source(small_set(), {}, busy_options(2));
    std::multiset<int64_t> seen;
    for (int64_t rank = 0; rank < ranks; ++rank)
      for (const int64_t index : all_indices(source, {.epoch = 1, .rank = rank, .ranks = ranks}))
        seen.insert(index);
    std::vector<int64_t> all(50);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_THAT(seen, testing::ElementsAreArray(all)) << ranks;
  }
}

TEST(Source, RanksTogetherSeeTheBatchesOfOne) {
  DataOptions half = busy_options(1);
  half.batch_size = 4;
  const Source two(small_set(), {}, half), one(small_set(), {}, busy_options(1));
  for (int64_t number = 0; number < 7; ++number) {
    std::set<int64_t> together;
    for (int64_t rank = 0; rank < 2; ++rank)
      for (const int64_t index : two.batch({.rank = rank, .ranks = 2}, number).indices)
        together.insert(index);
    const Batch whole = one.batch({}, number);
    EXPECT_EQ(together, std::set<int64_t>(whole.indices.begin(), whole.indices.end()));
  }
}

TEST(Source, DropLastGivesEveryRankFullBatchesOfOneCount) {
  const Source source(small_set(), {}, busy_options(2));
  EXPECT_EQ(source.batches({.drop_last = true}), 6);
  EXPECT_EQ(source.batches({.drop_last = false}), 7);
  for (int64_t rank = 0; rank < 3; ++rank) {
    const Order order{.drop_last = true, .rank = rank, .ranks = 3};
    EXPECT_EQ(source.batches(order), 2);
    EXPECT_EQ(all_indices(source, order).size(), 16U);
  }
}

TEST(Source, MoreRanksThanImagesLeaveSomeEmpty) {
  const Source source(small_set(5), {}, busy_options(2));
  EXPECT_EQ(source.batches({.rank = 4, .ranks = 7}), 1);
  EXPECT_EQ(source.batches({.rank = 6, .ranks = 7}), 0);
  EXPECT_TRUE(all_indices(source, {.rank = 6, .ranks = 7}).empty());
}

TEST(Source, StopsWhenTold) {
  const Source source(small_set(), {}, busy_options(5));
  int taken = 0;
  source.for_each({}, 0, [&](Batch&) { return ++taken < 2; });
  EXPECT_EQ(taken, 2);
}

TEST(Source, AnExceptionOfTheTakerPassesThrough) {
  const Source source(small_set(), {}, busy_options(5));
  EXPECT_THROW(source.for_each({}, 0, [](Batch&) -> bool { throw std::runtime_error("enough"); }),
               std::runtime_error);
}

/// Cannot read image 20; knows how many were asked for.
class BrokenSet : public Dataset {
 public:
  int64_t size() const override { return 50; }
  int64_t classes() const override { return 1; }
  std::vector<std::string> class_names() const override { return {}; }
  int64_t label(int64_t) const override { return 0; }
  Image image(int64_t index) const override {
    if (index == 20) fail("image20.png", "is damaged.");
    ++asked;
    return {1, 1, 1, {static_cast<uint8_t>(index)}};
  }
  std::vector<int64_t> image_shape() const override { return {1, 1, 1}; }
  Defaults defaults() const override { return {.mean = {0}, .deviation = {1}}; }
  std::string name() const override { return "broken"; }
  mutable std::atomic<int> asked = 0;
};

TEST(Source, AnUnreadableImageIsReportedWhenItsBatchIsDue) {
  for (const int64_t threads : {0, 1, 5}) {
    DataOptions options;
    options.batch_size = 8;
    options.threads = threads;
    const Source source(std::make_shared<BrokenSet>(), {}, options);
    int taken = 0;
    const auto run = [&] {
      source.for_each({.shuffle = false}, 0, [&](Batch&) { return ++taken > 0; });
    };
    EXPECT_THAT(error_of(run), HasSubstr("image20.png: is damaged."));
    EXPECT_EQ(taken, 2);
  }
}

TEST(Source, StaysOnlySoFarAhead) {
  const auto dataset = std::make_shared<BrokenSet>();
  DataOptions options;
  options.batch_size = 1;
  options.threads = 3;
  std::vector<int64_t> good(15);
  std::iota(good.begin(), good.end(), 0);
  const Source source(dataset, good, options);
  source.for_each({}, 0, [&](Batch&) { return false; });
  EXPECT_LE(dataset->asked, 1 + 2 * 3);
}

TEST(Source, DecodedImagesAreKept) {
  const auto dataset = std::make_shared<BrokenSet>();
  DataOptions options;
  options.cache_mib = 1;
  const Source source(dataset, {1, 2, 3}, options);
  const auto first = all_bytes(source, {}), second = all_bytes(source, {});
  EXPECT_EQ(first, second);
  EXPECT_EQ(dataset->asked, 3);
  options.cache_mib = 0;
  EXPECT_EQ(all_bytes(Source(dataset, {1, 2, 3}, options), {}), first);
  EXPECT_EQ(dataset->asked, 6);
}

TEST(Source, RefusesAnIndexOutOfRange) {
  EXPECT_THROW(Source(small_set(), {50}, {}), Bug);
  EXPECT_THROW(Source(small_set(), {}, {}).batch({}, 1), Bug);
  EXPECT_THROW(Source(small_set(), {}, {}).batches({.rank = 2, .ranks = 2}), Bug);
}

/// Photographs of several sizes in two classes.
std::shared_ptr<const Dataset> photographs() {
  std::vector<Image> images;
  std::vector<int64_t> labels;
  Rng rng(4);
  for (int64_t i = 0; i < 12; ++i) {
    Image image{
        static_cast<int64_t>(20 + rng.below(20)), static_cast<int64_t>(20 + rng.below(20)), 3, {}};
    for (int64_t j = 0; j < image.height * image.width * 3; ++j)
      image.pixels.push_back(static_cast<uint8_t>(rng.below(256)));
    images.push_back(std::move(image));
    labels.push_back(i % 2);
  }
  return memory_dataset(std::move(images), std::move(labels), 2);
}

DataOptions photograph_options(int64_t threads) {
  DataOptions options;
  options.batch_size = 5;
  options.threads = threads;
  options.height = 10;
  options.width = 12;
  options.augment = "custom";
  options.flip = true;
  options.random_resized_crop = true;
  return options;
}

TEST(Source, RandomPartsAreTheSameWithAnyNumberOfThreads) {
  const Source one(photographs(), {}, photograph_options(0));
  EXPECT_EQ(one.options().resize, "crop");
  for (const int64_t threads : {1, 2, 5}) {
    const Source many(photographs(), {}, photograph_options(threads));
    EXPECT_EQ(all_bytes(many, {.epoch = 3}), all_bytes(one, {.epoch = 3}));
  }
  EXPECT_NE(all_bytes(one, {.epoch = 3, .shuffle = false}),
            all_bytes(one, {.epoch = 4, .shuffle = false}));
}

TEST(Source, EvaluationCutsOutTheMiddleEveryTimeAlike) {
  DataOptions options = photograph_options(3);
  options.random_resized_crop = false;
  options.resize = "crop";
  const Source source(photographs(), {}, options);
  const Order first{.epoch = 0, .shuffle = false, .augment = false};
  const auto expected = all_bytes(source, first);
  EXPECT_EQ(all_bytes(source, {.epoch = 9, .shuffle = false, .augment = false}), expected);
  options.cache_mib = 0;
  EXPECT_EQ(all_bytes(Source(photographs(), {}, options), first), expected);
  options.resize = "stretch";
  EXPECT_NE(all_bytes(Source(photographs(), {}, options), first), expected);
}

DataOptions generated(const std::string& description) {
  DataOptions options;
  options.path = description;
  options.batch_size = 16;
  return options;
}

TEST(OpenSources, SplitsLimitsAndNeverAugmentsTheTest) {
  DataOptions options = generated("synthetic:100x5x3x8x8");
  options.validation = 0.2;
  options.limit = 30;
  options.augment = "custom";
  options.shift = 2;
  const Sources sources = open_sources(options, 7);
  EXPECT_EQ(sources.train->size(), 30);
  EXPECT_EQ(sources.validation->size(), 20);
  EXPECT_EQ(sources.test->size(), 100);
  std::vector<int64_t> both;
  std::set_intersection(sources.train->indices().begin(), sources.train->indices().end(),
                        sources.validation->indices().begin(), sources.validation->indices().end(),
                        std::back_inserter(both));
  EXPECT_TRUE(both.empty());
  const Order plain{.shuffle = false, .augment = false}, busy{.shuffle = false, .augment = true};
  EXPECT_EQ(all_bytes(*sources.test, plain), all_bytes(*sources.test, busy));
  EXPECT_EQ(all_bytes(*sources.validation, plain), all_bytes(*sources.validation, busy));
  EXPECT_NE(all_bytes(*sources.train, plain), all_bytes(*sources.train, busy));
}

TEST(OpenSources, TheSeedChoosesTheParts) {
  DataOptions options = generated("synthetic:100x5x3x8x8");
  options.validation = 0.2;
  EXPECT_EQ(open_sources(options, 1).validation->indices(),
            open_sources(options, 1).validation->indices());
  EXPECT_NE(open_sources(options, 1).validation->indices(),
            open_sources(options, 2).validation->indices());
  options.validation = 0;
  EXPECT_EQ(open_sources(options, 1).validation, nullptr);
}

TEST(OpenSources, TestImagesAreNormalisedLikeTrainingImages) {
  const TempFolder folder;
  test::write_tiny_idx(folder);
  DataOptions options = generated(folder.path());
  const Sources sources = open_sources(options, 1);
  EXPECT_EQ(sources.test->options().mean, sources.train->options().mean);
}

TEST(OpenSources, AClassOfOneImageCannotBeSplit) {
  DataOptions options = generated("synthetic:4x4x1x4x4");
  options.validation = 0.5;
  EXPECT_THAT(error_of([&] { open_sources(options, 1); }), HasSubstr("data.validation: 0.5"));
}

TEST(OpenSources, TestImagesOfAnotherSizeAreNamed) {
  const TempFolder folder;
  test::write_tiny_folder(folder);
  test::write_image(folder / "val/bee/0.png", 8, 9, {1, 2, 3});
  DataOptions options = generated(folder.path());
  EXPECT_THAT(error_of([&] { open_sources(options, 1); }),
              AllOf(HasSubstr("val/bee/0.png is 8x9"), HasSubstr("data.height")));
  options.height = options.width = 8;
  EXPECT_EQ(open_sources(options, 1).test->size(), 2);
}

TEST(OpenSources, FoldersOfPhotographsAreCutAndResized) {
  const TempFolder folder;
  test::write_tiny_folder(folder);
  test::write_image(folder / "train/bee/9.jpg", 30, 40, {1, 2, 3});
  DataOptions options = generated(folder.path());
  EXPECT_THAT(error_of([&] { open_sources(options, 1); }), HasSubstr("9.jpg is 30x40"));
  options.height = options.width = 7;
  const Sources sources = open_sources(options, 1);
  EXPECT_TRUE(sources.train->options().random_resized_crop);
  EXPECT_EQ(sources.test->options().resize, "crop");
  EXPECT_THAT(sources.train->batch({}, 0).images.sizes(), ElementsAre(5, 3, 7, 7));
}

}  // namespace
}  // namespace instantnet::data
