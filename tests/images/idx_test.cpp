#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "images/helpers.h"

namespace instantnet::images {
namespace {

using test::gzipped;
using test::idx_bytes;
using test::idx_images;
using test::idx_labels;
using test::open;
using test::open_error;
using test::spill;
using test::TempFolder;
using test::write_tiny_idx;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kTrainImages = "train-images-idx3-ubyte";
constexpr const char* kTrainLabels = "train-labels-idx1-ubyte";
constexpr const char* kTestLabels = "t10k-labels-idx1-ubyte";

TEST(Idx, ReadsImagesAndLabelsOfBothParts) {
  const TempFolder folder;
  write_tiny_idx(folder);
  const auto train = open(folder, Part::Train);
  EXPECT_EQ(train->size(), 6);
  EXPECT_EQ(train->classes(), 3);
  EXPECT_THAT(train->image_shape(), ElementsAre(1, 3, 4));
  EXPECT_EQ(train->label(5), 2);
  EXPECT_THAT(train->image(1).pixels, ElementsAre(12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23));
  const auto test = open(folder, Part::Test);
  EXPECT_EQ(test->size(), 3);
  EXPECT_EQ(test->classes(), 3);
  EXPECT_EQ(test->label(0), 2);
}

TEST(Idx, AGzipFileGivesTheSameImages) {
  const TempFolder plain, packed;
  write_tiny_idx(plain);
  for (const std::string& name : plain.names())
    spill(packed / (name + ".gz"), gzipped(test::slurp(plain / name)));
  const auto a = open(plain, Part::Train), b = open(packed, Part::Train);
  for (int64_t i = 0; i < a->size(); ++i) EXPECT_EQ(a->image(i), b->image(i));
}

TEST(Idx, AGzipFileOfTwoMembersIsRead) {
  const TempFolder folder;
  write_tiny_idx(folder);
  const std::string images = idx_images(6, 3, 4);
  spill(folder / kTrainImages, gzipped(images.substr(0, 30)) + gzipped(images.substr(30)));
  EXPECT_EQ(open(folder, Part::Train)->image(5).pixels[11], 71);
}

TEST(Idx, AcceptsDotsInFileNames) {
  const TempFolder folder;
  write_tiny_idx(folder);
  for (const std::string& name : folder.names()) {
    std::string dotted = name;
    dotted[dotted.find("-idx")] = '.';
    std::filesystem::rename(folder / name, folder / dotted);
  }
  EXPECT_EQ(open(folder, Part::Train)->size(), 6);
}

TEST(Idx, OneFileStandsForItsFolder) {
  const TempFolder folder;
  write_tiny_idx(folder);
  EXPECT_EQ(open_dataset({folder / kTestLabels}, Part::Train)->size(), 6);
}

TEST(Idx, AnUnknownSetIsNormalisedByItsTrainingImages) {
  const TempFolder folder;
  write_tiny_idx(folder);
  const Defaults defaults = open(folder, Part::Train)->defaults();
  EXPECT_NEAR(defaults.mean[0], 35.5 / 255, 1e-12);
  EXPECT_NEAR(defaults.deviation[0], std::sqrt((72.0 * 72.0 - 1) / 12) / 255, 1e-12);
  EXPECT_FALSE(defaults.flip);
  EXPECT_EQ(open(folder, Part::Test)->defaults(), defaults);
}

TEST(Idx, MnistIsKnownByItsDigitCounts) {
  const TempFolder folder;
  const int counts[] = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
  std::string labels;
  for (int digit = 0; digit < 10; ++digit) labels += std::string(counts[digit], char(digit));
  spill(folder / "t10k-images-idx3-ubyte", idx_images(10000, 2, 2));
  spill(folder / kTestLabels, idx_labels(labels));
  const auto test = open(folder, Part::Test);
  EXPECT_EQ(test->class_names()[7], "7");
  EXPECT_THAT(test->defaults().mean, ElementsAre(0.1307));
  EXPECT_EQ(test->defaults().shift, 2);
  EXPECT_FALSE(test->defaults().flip);
}

TEST(Idx, FashionMnistIsKnownByItsLabels) {
  const std::string path = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "Fashion-MNIST is not installed";
  const auto train = open_dataset({path}, Part::Train);
  EXPECT_EQ(train->size(), 60000);
  EXPECT_EQ(train->class_names()[9], "Ankle boot");
  EXPECT_THAT(train->defaults().deviation, ElementsAre(0.3530));
  EXPECT_TRUE(train->defaults().flip);
  const auto test = open_dataset({path}, Part::Test);
  EXPECT_EQ(test->size(), 10000);
  EXPECT_EQ(test->defaults(), train->defaults());
}

TEST(Idx, AMissingFileIsNamed) {
  const TempFolder folder;
  write_tiny_idx(folder);
  std::filesystem::remove(folder / kTrainImages);
  EXPECT_THAT(open_error(folder, Part::Train),
              AllOf(HasSubstr(folder.path()), HasSubstr("no file train-images-idx3-ubyte")));
}

TEST(Idx, AWrongMagicNumberIsNamed) {
  const TempFolder folder;
  write_tiny_idx(folder);
  spill(folder / kTrainImages, idx_labels("\1\2"));
  EXPECT_THAT(open_error(folder, Part::Train),
              AllOf(HasSubstr(folder / kTrainImages), HasSubstr("offset 0"),
                    HasSubstr("0x00000801"), HasSubstr("0x00000803")));
}

TEST(Idx, AFileCutShortIsNamedWithItsEnd) {
  const TempFolder folder;
  write_tiny_idx(folder);
  spill(folder / kTrainImages, idx_images(6, 3, 4).substr(0, 50));
  EXPECT_THAT(open_error(folder, Part::Train),
              AllOf(HasSubstr(folder / kTrainImages), HasSubstr("6x3x4"), HasSubstr("cut short")));
  spill(folder / kTrainImages, idx_images(6, 3, 4).substr(0, 9));
  EXPECT_THAT(open_error(folder, Part::Train), HasSubstr("ends at offset 9"));
  spill(folder / kTrainImages, "");
  EXPECT_THAT(open_error(folder, Part::Train), HasSubstr("ends at offset 0"));
}

TEST(Idx, AGzipFileCutAnywhereIsNamed) {
  const TempFolder folder;
  write_tiny_idx(folder);
  const std::string packed = gzipped(idx_images(6, 3, 4));
  for (size_t length = 2; length < packed.size(); ++length) {
    spill(folder / kTrainImages, packed.substr(0, length));
    EXPECT_THAT(open_error(folder, Part::Train),
                AllOf(HasSubstr(folder / kTrainImages), HasSubstr("cut short")))
        << length;
  }
}

TEST(Idx, ADamagedByteInAGzipFileIsFoundOrChangesNothing) {
  const TempFolder folder;
  write_tiny_idx(folder);
  const Image last = open(folder, Part::Train)->image(5);
  const std::string packed = gzipped(idx_images(6, 3, 4));
  size_t harmless = 0;  // bits that fill the last byte of the compressed data
  for (size_t i = 10; i < packed.size(); ++i) {  // bytes before are time, system and such
    std::string damaged = packed;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    spill(folder / kTrainImages, damaged);
    const std::string said = open_error(folder, Part::Train);
    if (said == "no error") {
      ++harmless;
      EXPECT_EQ(open(folder, Part::Train)->image(5), last) << i;
    } else {
      EXPECT_THAT(said, HasSubstr(folder / kTrainImages)) << i;
    }
  }
  EXPECT_LE(harmless, 1U);
}

TEST(Idx, BytesTooManyAreNamed) {
  const TempFolder folder;
  write_tiny_idx(folder);
  spill(folder / kTrainImages, idx_images(6, 3, 4) + "x");
  EXPECT_THAT(open_error(folder, Part::Train), HasSubstr("more bytes follow at offset 88"));
  spill(folder / kTrainImages, gzipped(idx_images(6, 3, 4)) + "x");
  EXPECT_THAT(open_error(folder, Part::Train), HasSubstr("1 bytes follow the end of the gzip"));
}

TEST(Idx, AHostileHeaderTakesNoMemory) {
  const TempFolder folder;
  write_tiny_idx(folder);
  const std::string hostile = idx_bytes(0x803, {0xffffffff, 0xffffffff, 0xffffffff}, "abc");
  for (const std::string& bytes : {hostile, gzipped(hostile)}) {
    spill(folder / kTrainImages, bytes);
    EXPECT_THAT(open_error(folder, Part::Train), HasSubstr("4294967295x4294967295x4294967295"));
  }
  spill(folder / kTrainImages, idx_bytes(0x803, {0, 3, 4}, ""));
  EXPECT_THAT(open_error(folder, Part::Train), HasSubstr("every side must be at least 1"));
}

TEST(Idx, CountsThatDifferAreNamed) {
  const TempFolder folder;
  write_tiny_idx(folder);
  spill(folder / kTrainLabels, idx_labels({"\0\1\2\0\1", 5}));
  EXPECT_THAT(open_error(folder, Part::Train),
              AllOf(HasSubstr("6 images"), HasSubstr(kTrainLabels), HasSubstr("5 labels")));
}

TEST(Idx, ALabelOutOfRangeIsNamedWithItsOffset) {
  const TempFolder folder;
  write_tiny_idx(folder);
  spill(folder / kTestLabels, idx_labels({"\2\x83\0", 3}));
  EXPECT_THAT(open_error(folder, Part::Test),
              AllOf(HasSubstr(kTestLabels), HasSubstr("offset 9: label 131 is out of range")));
  spill(folder / kTrainLabels, idx_labels({"\0\1\2\0\x83\2", 6}));
  EXPECT_THAT(open_error(folder, Part::Train),
              AllOf(HasSubstr(kTrainLabels), HasSubstr("offset 12: label 131 is out of range")));
}

}  // namespace
}  // namespace instantnet::images
