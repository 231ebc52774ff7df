#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "images/helpers.h"
#include "instantnet/images/memory.h"

namespace instantnet::images {
namespace {

using test::error_of;
using test::open_error;
using test::spill;
using test::TempFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Open, RecognisesEachFormat) {
  const TempFolder idx, cifar10, cifar100, folder;
  test::write_tiny_idx(idx);
  test::write_tiny_cifar10(cifar10);
  test::write_tiny_cifar100(cifar100);
  test::write_tiny_folder(folder);
  EXPECT_EQ(recognise({idx.path()}), "idx");
  EXPECT_EQ(recognise({cifar10.path()}), "cifar10");
  EXPECT_EQ(recognise({cifar100.path()}), "cifar100");
  EXPECT_EQ(recognise({folder.path()}), "folder");
}

TEST(Open, AnUnknownLayoutListsTheKnownOnes) {
  const TempFolder folder;
  EXPECT_THAT(open_error(folder, Part::Train),
              AllOf(HasSubstr(folder.path()), HasSubstr("no known data set"), HasSubstr("idx: "),
                    HasSubstr("cifar10: "), HasSubstr("cifar100: "), HasSubstr("folder: ")));
}

TEST(Open, AMixtureAsksForTheFormat) {
  const TempFolder folder;
  test::write_tiny_idx(folder);
  test::write_tiny_cifar10(folder);
  EXPECT_THAT(open_error(folder, Part::Train),
              AllOf(HasSubstr("idx, cifar10"), HasSubstr("data.format")));
  EXPECT_EQ(test::open(folder, Part::Train, "cifar10")->size(), 10);
}

TEST(Open, AMissingPathIsNamed) {
  EXPECT_THAT(error_of([] { open_dataset({"/no/such/place"}, Part::Train); }),
              HasSubstr("/no/such/place: there is no such file or folder"));
  EXPECT_THAT(error_of([] { open_dataset({""}, Part::Train); }), HasSubstr("data.path: is empty"));
}

TEST(Open, AMisspeltFormatGetsTheNearest) {
  const TempFolder folder;
  EXPECT_THAT(open_error(folder, Part::Train, "cifar1O"),
              AllOf(HasSubstr("data.format"), HasSubstr("'cifar1O'"), HasSubstr("'cifar10'")));
}

TEST(Open, AGeneratedSetNeedsNoFiles) {
  const std::string text = "synthetic:40x4x3x8x6";
  const auto train = open_dataset({text}, Part::Train);
  const auto other = open_dataset({"anywhere", text}, Part::Test);
  EXPECT_EQ(recognise({text}), "synthetic");
  EXPECT_EQ(train->size(), 40);
  EXPECT_EQ(train->classes(), 4);
  EXPECT_THAT(train->image_shape(), ElementsAre(3, 8, 6));
  EXPECT_EQ(train->label(6), 2);
  EXPECT_NE(train->image(0), other->image(0));
  EXPECT_EQ(train->image(7), open_dataset({text}, Part::Train)->image(7));
}

TEST(Open, AWrongDescriptionOfAGeneratedSetIsNamed) {
  for (const char* text : {"synthetic:", "synthetic:10x2x3x8", "synthetic:10x2x3x8x8x8",
                           "synthetic:0x2x3x8x8", "synthetic:10x2x3x8x8 ", "synthetic:-1x2x3x8x8"})
    EXPECT_THAT(error_of([&] { open_dataset({text}, Part::Train); }),
                AllOf(HasSubstr(text), HasSubstr("COUNTxCLASSESxCHANNELSxHEIGHTxWIDTH")));
  EXPECT_THAT(error_of([&] { open_dataset({"synthetic:999999999x2x3x999x999"}, Part::Train); }),
              HasSubstr("too large"));
}

/// Share of test images whose nearest class mean (of the training images) is their own.
double nearest_mean_accuracy(const Dataset& train, const Dataset& other) {
  const size_t values = train.image(0).pixels.size();
  std::vector<std::vector<double>> means(train.classes(), std::vector<double>(values));
  for (int64_t i = 0; i < train.size(); ++i)
    for (size_t j = 0; j < values; ++j) means[train.label(i)][j] += train.image(i).pixels[j];
  for (auto& mean : means)
    for (double& value : mean) value *= static_cast<double>(train.classes()) / train.size();
  int64_t right = 0;
  for (int64_t i = 0; i < other.size(); ++i) {
    int64_t best = 0;
    double least = 1e300;
    for (int64_t k = 0; k < train.classes(); ++k) {
      double distance = 0;
      for (size_t j = 0; j < values; ++j)
        distance += std::pow(other.image(i).pixels[j] - means[k][j], 2);
      if (distance < least) least = distance, best = k;
    }
    right += best == other.label(i);
  }
  return static_cast<double>(right) / static_cast<double>(other.size());
}

TEST(Open, AGeneratedSetCanBeLearned) {
  const auto train = synthetic_dataset(200, 10, 1, 12, 12, 1);
  const auto other = synthetic_dataset(100, 10, 1, 12, 12, 2);
  EXPECT_GT(nearest_mean_accuracy(*train, *other), 0.9);
}

TEST(Open, ImagesInMemoryAreADataSet) {
  const auto dataset = memory_dataset({{1, 2, 1, {0, 255}}, {1, 2, 1, {255, 0}}}, {1, 0}, 2);
  EXPECT_EQ(dataset->label(0), 1);
  EXPECT_THAT(dataset->image(1).pixels, ElementsAre(255, 0));
  EXPECT_THAT(dataset->defaults().mean, ElementsAre(0.5));
  EXPECT_THAT(dataset->defaults().deviation, ElementsAre(0.5));
}

TEST(Open, MistakesInMemoryAreNamed) {
  const Image image{1, 2, 1, {0, 255}};
  EXPECT_THAT(error_of([&] { memory_dataset({image}, {2}, 2); }), HasSubstr("label 2 of image 0"));
  EXPECT_THAT(error_of([&] { memory_dataset({image}, {}, 2); }),
              HasSubstr("1 images but 0 labels"));
  EXPECT_THAT(error_of([&] { memory_dataset({}, {}, 2); }), HasSubstr("no images"));
  EXPECT_THAT(error_of([&] { memory_dataset({{1, 2, 1, {0}}}, {0}, 2); }), HasSubstr("needs 2"));
}

TEST(Check, CountsEverything) {
  const TempFolder folder;
  test::write_tiny_folder(folder);
  test::write_image(folder / "train/bee/grey.png", 10, 6, {50});
  int64_t last = 0, all = 0;
  const CheckReport report = check_dataset({folder.path()}, [&](int64_t done, int64_t total) {
    EXPECT_EQ(done, last + 1);
    last = done;
    all = total;
  });
  EXPECT_EQ(last, 7);
  EXPECT_EQ(all, 7);
  EXPECT_EQ(report.format, "folder");
  const CheckReport::PartReport& train = report.parts[0];
  EXPECT_EQ(train.name, "train");
  EXPECT_THAT(train.per_class, ElementsAre(2, 3));
  EXPECT_EQ(train.grey, 1);
  EXPECT_EQ(train.least_width, 6);
  EXPECT_EQ(train.most_height, 10);
  EXPECT_EQ(report.parts[1].images, 2);
}

TEST(Check, MeanAndDeviationAreExact) {
  const TempFolder folder;
  test::write_tiny_idx(folder);
  const CheckReport report = check_dataset({folder.path()});
  EXPECT_NEAR(report.parts[0].mean[0], 35.5 / 255, 1e-12);
  EXPECT_NEAR(report.parts[1].mean[0], 17.5 / 255, 1e-12);
}

TEST(Check, FindsADefectBehindAGoodHeader) {
  const TempFolder folder;
  test::write_tiny_folder(folder);
  const std::string bytes = test::slurp(folder / "val/bee/0.png");
  spill(folder / "val/bee/0.png", bytes.substr(0, bytes.size() - 14));
  EXPECT_THAT(error_of([&] { check_dataset({folder.path()}); }),
              AllOf(HasSubstr("val/bee/0.png"), HasSubstr("cut short")));
}

TEST(Check, FashionMnistHasItsPublishedStatistics) {
  const std::string path = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "Fashion-MNIST is not installed";
  const CheckReport report = check_dataset({path});
  EXPECT_NEAR(report.parts[0].mean[0], 0.2860, 1e-4);
  EXPECT_NEAR(report.parts[0].deviation[0], 0.3530, 1e-4);
  EXPECT_THAT(report.parts[1].per_class, testing::Each(1000));
}

}  // namespace
}  // namespace instantnet::images
