#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "images/helpers.h"

namespace instantnet::images {
namespace {

using test::cifar_records;
using test::open;
using test::open_error;
using test::spill;
using test::TempFolder;
using test::write_tiny_cifar10;
using test::write_tiny_cifar100;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Cifar, ReadsTheFiveBatchesInOrder) {
  const TempFolder folder;
  write_tiny_cifar10(folder);
  const auto train = open(folder, Part::Train);
  EXPECT_EQ(train->size(), 10);
  EXPECT_EQ(train->classes(), 10);
  EXPECT_EQ(train->label(0), 1);
  EXPECT_EQ(train->label(8), 5);
  EXPECT_EQ(train->class_names()[0], "airplane");
  EXPECT_THAT(train->image_shape(), ElementsAre(3, 32, 32));
  EXPECT_EQ(open(folder, Part::Test)->label(1), 4);
}

TEST(Cifar, PlanesBecomeInterleavedPixels) {
  const TempFolder folder;
  write_tiny_cifar10(folder);
  const Image image = open(folder, Part::Train)->image(1);
  EXPECT_EQ(image.pixels.size(), 3072U);
  for (size_t i = 0; i < image.pixels.size(); ++i) ASSERT_EQ(image.pixels[i], 11 + i % 3);
}

TEST(Cifar, FindsTheFolderOfTheArchive) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "cifar-100-binary");
  spill(folder / "cifar-100-binary/train.bin", cifar_records({"\1\2"}));
  spill(folder / "cifar-100-binary/test.bin", cifar_records({"\1\2"}));
  EXPECT_EQ(recognise({folder.path()}), "cifar100");
  EXPECT_EQ(open(folder, Part::Train)->classes(), 100);
}

TEST(Cifar, Cifar100HasFineAndCoarseLabels) {
  const TempFolder folder;
  write_tiny_cifar100(folder);
  const auto fine = open(folder, Part::Train),
             coarse = open(folder, Part::Train, "cifar100-coarse");
  EXPECT_EQ(fine->classes(), 100);
  EXPECT_EQ(fine->label(0), 99);
  EXPECT_EQ(coarse->classes(), 20);
  EXPECT_EQ(coarse->label(1), 19);
  EXPECT_EQ(fine->image(1), coarse->image(1));
}

TEST(Cifar, NamesOfClassesComeFromTheFileBeside) {
  const TempFolder folder;
  write_tiny_cifar10(folder);
  std::string names;
  for (char c = 'a'; c < 'k'; ++c) names += std::string(1, c) + "\r\n";
  spill(folder / "batches.meta.txt", names + "\n");
  EXPECT_EQ(open(folder, Part::Train)->class_names()[9], "j");
  spill(folder / "batches.meta.txt", "a\nb\n");
  EXPECT_THAT(open_error(folder, Part::Train),
              AllOf(HasSubstr("batches.meta.txt"), HasSubstr("2 names"), HasSubstr("10 classes")));
}

TEST(Cifar, AFileCutShortIsNamedWithTheRecord) {
  const TempFolder folder;
  write_tiny_cifar10(folder);
  spill(folder / "data_batch_3.bin", cifar_records({"\1", "\2"}).substr(0, 4000));
  EXPECT_THAT(
      open_error(folder, Part::Train),
      AllOf(HasSubstr("data_batch_3.bin"), HasSubstr("offset 3073"), HasSubstr("only 927")));
  spill(folder / "data_batch_3.bin", "");
  EXPECT_THAT(open_error(folder, Part::Train), HasSubstr("data_batch_3.bin: the file is empty"));
}

TEST(Cifar, AFileCutBetweenRecordsIsFoundByItsSiblings) {
  const TempFolder folder;
  write_tiny_cifar10(folder);
  spill(folder / "data_batch_4.bin", cifar_records({"\1"}));
  EXPECT_THAT(
      open_error(folder, Part::Train),
      AllOf(HasSubstr("data_batch_4.bin"), HasSubstr("1 images where data_batch_1.bin has 2")));
}

TEST(Cifar, AMissingBatchIsNamed) {
  const TempFolder folder;
  write_tiny_cifar10(folder);
  std::filesystem::remove(folder / "data_batch_2.bin");
  EXPECT_THAT(open_error(folder, Part::Train), HasSubstr("data_batch_2.bin"));
}

TEST(Cifar, ALabelOutOfRangeIsNamedWithItsOffset) {
  const TempFolder folder;
  write_tiny_cifar10(folder);
  spill(folder / "test_batch.bin", cifar_records({"\1", "\x0a"}));
  EXPECT_THAT(
      open_error(folder, Part::Test),
      AllOf(HasSubstr("test_batch.bin"), HasSubstr("offset 3073: label 10"), HasSubstr("0 to 9")));
}

TEST(Cifar, BothLabelBytesOfCifar100AreChecked) {
  const TempFolder folder;
  write_tiny_cifar100(folder);
  spill(folder / "test.bin", cifar_records({"\x14\x05"}));
  EXPECT_THAT(open_error(folder, Part::Test), HasSubstr("offset 0: label 20"));
  spill(folder / "test.bin", cifar_records({"\x01\x64"}));
  EXPECT_THAT(open_error(folder, Part::Test, "cifar100-coarse"), HasSubstr("offset 1: label 100"));
}

}  // namespace
}  // namespace instantnet::images
