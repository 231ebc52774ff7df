#include "instantnet/data/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "images/helpers.h"
#include "instantnet/core/tree.h"
#include "instantnet/images/memory.h"

namespace instantnet::data {

using images::Dataset;
using images::memory_dataset;
using images::open_dataset;
using images::Part;
namespace test = images::test;
namespace {

using test::error_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// What open_sources says when `change` was done to options that are right.
template <class Change>
std::string complaint(const Change& change) {
  DataOptions options;
  options.path = "synthetic:20x2x3x8x8";
  change(options);
  return error_of([&] { open_sources(options, 1); });
}

TEST(DataOptions, SurviveTheWayThroughYaml) {
  DataOptions options;
  options.path = "somewhere";
  options.augment = "custom";
  options.shift = 3;
  options.flip = true;
  options.mean = {0.1, 0.2, 0.3};
  options.validation = 0.25;
  DataOptions back;
  read_fields(fields(back), parse_yaml(print_yaml(to_tree(fields(options)))));
  EXPECT_EQ(back, options);
}

TEST(DataOptions, EveryKeyExplainsItself) {
  DataOptions options;
  const Fields all = fields(options);
  EXPECT_EQ(all.all().size(), 18U);
  for (const Fields::Field& field : all.all()) {
    EXPECT_GT(field.help.size(), 20U) << field.name;
    EXPECT_EQ(field.help.back(), '.') << field.name;
  }
}

TEST(DataOptions, RangesAreCheckedWhenRead) {
  DataOptions options;
  EXPECT_THAT(error_of([&] { set_field(fields(options), "batch_size=0"); }),
              HasSubstr("batch_size"));
  EXPECT_THAT(error_of([&] { set_field(fields(options), "validation=1.5"); }),
              HasSubstr("validation"));
  EXPECT_THAT(error_of([&] { set_field(fields(options), "batchsize=1"); }),
              HasSubstr("batch_size"));
}

TEST(DataOptions, EachMistakeNamesItsKey) {
  using O = DataOptions;
  EXPECT_THAT(complaint([](O& o) { o.batch_size = 0; }), HasSubstr("data.batch_size: 0"));
  EXPECT_THAT(complaint([](O& o) { o.threads = -1; }), HasSubstr("data.threads: -1"));
  EXPECT_THAT(complaint([](O& o) { o.limit = -1; }), HasSubstr("data.limit: -1"));
  EXPECT_THAT(complaint([](O& o) { o.limit = 21; }),
              AllOf(HasSubstr("data.limit: 21"), HasSubstr("only 20")));
  EXPECT_THAT(complaint([](O& o) { o.validation = 1; }), HasSubstr("data.validation: 1"));
  EXPECT_THAT(complaint([](O& o) { o.height = 8; }), HasSubstr("data.width: is 0"));
  EXPECT_THAT(complaint([](O& o) { o.resize = "crops"; }),
              AllOf(HasSubstr("data.resize"), HasSubstr("'crop'")));
  EXPECT_THAT(complaint([](O& o) { o.augment = "Auto"; }),
              AllOf(HasSubstr("data.augment"), HasSubstr("'auto'")));
  EXPECT_THAT(complaint([](O& o) { o.mean = {0.5}; }),
              AllOf(HasSubstr("data.mean: 1 numbers"), HasSubstr("3 channels")));
  EXPECT_THAT(complaint([](O& o) { o.mean = {128, 128, 128}; }), HasSubstr("data.mean: 128"));
  EXPECT_THAT(complaint([](O& o) { o.deviation = {1, 0, 1}; }), HasSubstr("data.deviation: 0"));
  EXPECT_THAT(complaint([](O& o) { o.least_area = 0; }), HasSubstr("data.least_area: 0"));
  EXPECT_THAT(complaint([](O& o) { o.cache_mib = -1; }), HasSubstr("data.cache_mib: -1"));
  EXPECT_THAT(complaint([](O& o) { o.format = "mnist"; }), HasSubstr("data.format"));
}

TEST(DataOptions, AKeyThatWouldBeIgnoredIsAMistake) {
  using O = DataOptions;
  EXPECT_THAT(complaint([](O& o) { o.shift = 2; }),
              AllOf(HasSubstr("data.shift"), HasSubstr("data.augment to custom")));
  EXPECT_THAT(complaint([](O& o) { o.flip = true, o.augment = "none"; }), HasSubstr("data.flip"));
}

TEST(DataOptions, AShiftOutOfSightIsAMistake) {
  EXPECT_THAT(complaint([](DataOptions& o) { o.augment = "custom", o.crop_padding = 8; }),
              AllOf(HasSubstr("data.crop_padding: 8"), HasSubstr("8x8")));
}

TEST(DataOptions, AutoTakesTheDataSetsOwn) {
  const test::TempFolder folder;
  test::write_tiny_cifar10(folder);
  const auto dataset = test::open(folder, Part::Train);
  const DataOptions resolved = resolve({}, *dataset);
  EXPECT_EQ(resolved.augment, "custom");
  EXPECT_EQ(resolved.crop_padding, 4);
  EXPECT_TRUE(resolved.flip);
  EXPECT_EQ(resolved.resize, "stretch");
  EXPECT_EQ(resolved.height, 32);
  EXPECT_THAT(resolved.mean, ElementsAre(0.4914, 0.4822, 0.4465));
}

TEST(DataOptions, ResolvingTwiceChangesNothing) {
  const auto dataset = open_dataset({"synthetic:20x2x3x8x8"}, Part::Train);
  const DataOptions once = resolve({}, *dataset);
  EXPECT_EQ(resolve(once, *dataset), once);
}

TEST(DataOptions, ImagesOfManySizesNeedASize) {
  const std::shared_ptr<Dataset> dataset =
      memory_dataset({{1, 2, 1, {0, 255}}, {2, 1, 1, {255, 0}}}, {1, 0}, 2);
  EXPECT_THAT(error_of([&] { Source(dataset, {}, {}); }),
              AllOf(HasSubstr("image 1 is 2x1 where image 0 is 1x2"), HasSubstr("data.height")));
}

TEST(DataOptions, ImagesOfOneColourDoNotDivideByZero) {
  const std::shared_ptr<Dataset> dataset = memory_dataset({{1, 2, 1, {9, 9}}}, {0}, 1);
  EXPECT_THAT(Source(dataset, {}, {}).options().deviation, ElementsAre(1.0));
}

}  // namespace
}  // namespace instantnet::data
