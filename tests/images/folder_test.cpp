#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "images/helpers.h"

namespace instantnet::images {
namespace {

using test::open;
using test::open_error;
using test::spill;
using test::TempFolder;
using test::write_image;
using test::write_tiny_folder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<int64_t> labels_of(const Dataset& dataset) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < dataset.size(); ++i) labels.push_back(dataset.label(i));
  return labels;
}

TEST(Folder, ClassesAreNumberedBySortedName) {
  const TempFolder folder;
  write_tiny_folder(folder);
  const auto train = open(folder, Part::Train), test = open(folder, Part::Test);
  EXPECT_THAT(train->class_names(), ElementsAre("ant", "bee"));
  EXPECT_THAT(labels_of(*train), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(labels_of(*test), ElementsAre(0, 1));
  EXPECT_THAT(train->image_shape(), ElementsAre(3, 8, 8));
  EXPECT_EQ(train->image(0).pixels[0], 12);
}

TEST(Folder, TestStandsInForVal) {
  const TempFolder folder;
  write_tiny_folder(folder);
  std::filesystem::rename(folder / "val", folder / "test");
  EXPECT_EQ(open(folder, Part::Test)->size(), 2);
  std::filesystem::remove_all(folder / "test");
  EXPECT_THAT(open_error(folder, Part::Test, "folder"), HasSubstr("no folder val/ or test/"));
}

TEST(Folder, EveryUsualEndingCounts) {
  const TempFolder folder;
  write_tiny_folder(folder);
  for (const char* name : {"a.JPEG", "b.jpg", "c.jpeg", "d.PNG"})
    write_image(folder / ("train/bee/" + std::string(name)), 8, 8, {1, 2, 3});
  spill(folder / "train/bee/notes.txt", "no image");
  spill(folder / "train/bee/.hidden.png", "no image");
  EXPECT_EQ(open(folder, Part::Train)->size(), 8);
}

/// Classes n01 and n02, one training image each in images/, three listed validation images.
void write_tiny_imagenet(const TempFolder& folder, const std::string& list) {
  for (const char* name : {"n01", "n02"}) {
    write_image(folder / ("train/" + std::string(name) + "/images/x_0.JPEG"), 64, 64, {1, 2, 3});
    spill(folder / ("train/" + std::string(name) + "/x_boxes.txt"), "x_0.JPEG\t0\t0\t1\t1\n");
  }
  for (const char* name : {"val_0", "val_1", "val_2"})
    write_image(folder / ("val/images/" + std::string(name) + ".JPEG"), 64, 64, {1, 2, 3});
  spill(folder / "val/val_annotations.txt", list);
  spill(folder / "words.txt", "n00\tentity\nn02\tbison, ox\n");
}

constexpr const char* kList =
    "val_0.JPEG\tn02\t0\t0\t9\t9\nval_2.JPEG\tn02\t0\t0\t9\t9\nval_1.JPEG\tn01\t0\t0\t9\t9\n";

TEST(Folder, ReadsTinyImageNetsOwnLayout) {
  const TempFolder folder;
  write_tiny_imagenet(folder, kList);
  EXPECT_EQ(recognise({folder.path()}), "folder");
  EXPECT_EQ(open(folder, Part::Train)->size(), 2);
  EXPECT_THAT(open(folder, Part::Train)->class_names(), ElementsAre("n01", "bison, ox"));
  EXPECT_THAT(labels_of(*open(folder, Part::Test)), ElementsAre(1, 0, 1));
}

TEST(Folder, AMistakeInTheListIsNamedWithItsLine) {
  const TempFolder folder;
  const auto error = [&](const std::string& list) {
    write_tiny_imagenet(folder, list);
    return open_error(folder, Part::Test);
  };
  EXPECT_THAT(error("val_0.JPEG\tn02\nval_1.JPEG n01\n"),
              AllOf(HasSubstr("val_annotations.txt:2"), HasSubstr("tab")));
  EXPECT_THAT(error("val_0.JPEG\tn09\n"),
              AllOf(HasSubstr("val_annotations.txt:1"), HasSubstr("'n09'")));
  EXPECT_THAT(error("val_0.JPEG\tn01\nval_0.JPEG\tn01\n"),
              AllOf(HasSubstr("val_annotations.txt:2"), HasSubstr("listed twice")));
  EXPECT_THAT(error("val_0.JPEG\tn01\nval_1.JPEG\tn01\n"), HasSubstr("no line for images/val_2"));
  EXPECT_THAT(error(std::string(kList) + "val_3.JPEG\tn01\n"),
              AllOf(HasSubstr("lists 4 images"), HasSubstr("has 3")));
}

TEST(Folder, SmallImagesArePaddedAndCropped) {
  const TempFolder folder;
  write_tiny_imagenet(folder, kList);
  const Defaults defaults = open(folder, Part::Train)->defaults();
  EXPECT_EQ(defaults.crop_padding, 8);
  EXPECT_TRUE(defaults.flip);
  EXPECT_FALSE(defaults.random_resized_crop);
  EXPECT_THAT(defaults.mean, ElementsAre(0.485, 0.456, 0.406));
}

TEST(Folder, PhotographsAreCutOutAtRandom) {
  const TempFolder folder;
  write_tiny_folder(folder);
  write_image(folder / "train/bee/z.png", 9, 8, {1, 2, 3});
  const auto train = open(folder, Part::Train);
  EXPECT_THAT(train->image_shape(), ElementsAre(3, 0, 0));
  EXPECT_TRUE(train->defaults().random_resized_crop);
  EXPECT_TRUE(train->defaults().centre_crop);
  EXPECT_THAT(train->differing_sizes(),
              AllOf(HasSubstr("bee/z.png is 9x8"), HasSubstr("ant/0.png is 8x8")));
}

TEST(Folder, AnEmptyClassIsNamed) {
  const TempFolder folder;
  write_tiny_folder(folder);
  std::filesystem::create_directories(folder / "train/cat");
  EXPECT_THAT(open_error(folder, Part::Train),
              AllOf(HasSubstr("train/cat"), HasSubstr("the class has no images: 0 files")));
  spill(folder / "train/cat/a.webp", "x");
  EXPECT_THAT(open_error(folder, Part::Train), HasSubstr("such as a.webp"));
}

TEST(Folder, AnUnknownTestClassIsNamed) {
  const TempFolder folder;
  write_tiny_folder(folder);
  write_image(folder / "val/wasp/0.png", 8, 8, {1, 2, 3});
  EXPECT_THAT(open_error(folder, Part::Test),
              AllOf(HasSubstr("val/wasp"), HasSubstr("class 'wasp' is not one of the 2 folders")));
}

TEST(Folder, FoldersWithoutClassesAreNamed) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "train");
  std::filesystem::create_directories(folder / "val");
  EXPECT_THAT(open_error(folder, Part::Train),
              AllOf(HasSubstr(folder / "train"), HasSubstr("no class folders")));
}

TEST(Folder, AnUnreadableImageIsNamedWhenItIsReached) {
  const TempFolder folder;
  write_tiny_folder(folder);
  spill(folder / "train/ant/1.png", "this is no image");
  EXPECT_THAT(open_error(folder, Part::Train),
              AllOf(HasSubstr("train/ant/1.png"), HasSubstr("neither a JPEG nor a PNG")));
}

TEST(Folder, TheSampleOfTinyImageNetIsReadWhole) {
  const TempFolder folder;
  const std::string archive = INSTANTNET_SHARED_DIR "/data/tiny-imagenet-20.tar.xz";
  if (!std::filesystem::exists(archive)) GTEST_SKIP() << archive << " is not here";
  const std::string unpack = "tar -xJf '" + archive + "' -C '" + folder.path() + "'";
  ASSERT_EQ(std::system(unpack.c_str()), 0);
  const CheckReport report = check_dataset({folder / "tiny-imagenet-20"});
  EXPECT_EQ(report.classes, 20);
  EXPECT_EQ(report.parts[0].images, 10000);
  EXPECT_EQ(report.parts[1].images, 1000);
  EXPECT_THAT(report.parts[0].per_class, testing::Each(500));
  EXPECT_GT(report.parts[0].grey, 0);
  EXPECT_EQ(report.class_names[0], "goldfish, Carassius auratus");
}

}  // namespace
}  // namespace instantnet::images
