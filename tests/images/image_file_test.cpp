#include "instantnet/images/image_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "images/helpers.h"

namespace instantnet::images {
namespace {

using test::error_of;
using test::slurp;
using test::spill;
using test::TempFolder;
using test::write_image;
using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

std::string decode_error(const std::string& path) {
  return error_of([&] { decode_image(path); });
}

/// A photograph-like picture, so that compressed data are long.
void write_noise(const std::string& path, int height, int width, const std::vector<int>& options) {
  cv::Mat image(height, width, CV_8UC3);
  uint32_t state = 1;
  for (int i = 0; i < height * width * 3; ++i)
    image.data[i] = static_cast<uint8_t>((state = state * 1664525U + 1013904223U) >> 24);
  ASSERT_TRUE(cv::imwrite(path, image, options));
}

TEST(ImageFile, DecodesToRgb) {
  const TempFolder folder;
  write_image(folder / "a.png", 2, 3, {10, 20, 30});
  const Image image = decode_image(folder / "a.png");
  EXPECT_EQ(
      image,
      (Image{2, 3, 3, {30, 20, 10, 30, 20, 10, 30, 20, 10, 30, 20, 10, 30, 20, 10, 30, 20, 10}}));
}

TEST(ImageFile, GreyBecomesThreeEqualChannels) {
  const TempFolder folder;
  for (const char* name : {"a.png", "a.jpg"}) {
    write_image(folder / name, 16, 8, {77});
    const Image image = decode_image(folder / name);
    EXPECT_TRUE(image.grey);
    EXPECT_EQ(image.channels, 3);
    EXPECT_EQ(image.pixels.size(), 16U * 8 * 3);
    EXPECT_THAT(image.pixels, Each(77));
  }
}

TEST(ImageFile, SixteenBitsBecomeEight) {
  const TempFolder folder;
  cv::imwrite(folder / "a.png", cv::Mat(2, 2, CV_16UC3, cv::Scalar(0x1234, 0x5678, 0x9abc)));
  const Image image = decode_image(folder / "a.png");
  EXPECT_EQ(image.pixels[0], 0x9a);
  EXPECT_EQ(image.pixels[2], 0x12);
}

TEST(ImageFile, KnowsTheShapeWithoutDecoding) {
  const TempFolder folder;
  write_image(folder / "a.jpg", 17, 33, {1, 2, 3});
  write_image(folder / "b.png", 5, 300, {9});
  EXPECT_EQ(stored_shape(folder / "a.jpg").height, 17);
  EXPECT_EQ(stored_shape(folder / "a.jpg").width, 33);
  EXPECT_FALSE(stored_shape(folder / "a.jpg").grey);
  EXPECT_EQ(stored_shape(folder / "b.png").width, 300);
  EXPECT_TRUE(stored_shape(folder / "b.png").grey);
}

TEST(ImageFile, FindsTheFrameBehindALongHeader) {
  const TempFolder folder;
  write_image(folder / "a.jpg", 8, 9, {1, 2, 3});
  const std::string bytes = slurp(folder / "a.jpg");
  const std::string comment = std::string("\xff\xfe\xff\xff") + std::string(0xfffd, 'x');
  spill(folder / "b.jpg", bytes.substr(0, 2) + comment + comment + bytes.substr(2));
  EXPECT_EQ(stored_shape(folder / "b.jpg").width, 9);
  EXPECT_EQ(decode_image(folder / "b.jpg"), decode_image(folder / "a.jpg"));
}

TEST(ImageFile, OrientationIsIgnored) {
  const TempFolder folder;
  write_image(folder / "a.jpg", 8, 16, {1, 2, 3});
  const std::string bytes = slurp(folder / "a.jpg");
  // EXIF, little-endian, one entry: orientation (0x112), short, 1 value, 6 (turned by 90 degrees).
  const std::vector<uint8_t> exif = {0xff, 0xe1, 0, 0x22, 'E', 'x', 'i', 'f', 0,    0, 'I', 'I',
                                     '*',  0,    8, 0,    0,   0,   1,   0,   0x12, 1, 3,   0,
                                     1,    0,    0, 0,    6,   0,   0,   0,   0,    0, 0,   0};
  std::string turned = bytes.substr(0, 2);
  turned.append(exif.begin(), exif.end());
  spill(folder / "b.jpg", turned.append(bytes, 2));
  EXPECT_EQ(decode_image(folder / "b.jpg").height, 8);
}

TEST(ImageFile, AJpegCutAnywhereIsNamed) {
  const TempFolder folder;
  for (const int progressive : {0, 1}) {
    write_noise(folder / "a.jpg", 16, 16, {cv::IMWRITE_JPEG_PROGRESSIVE, progressive});
    const std::string bytes = slurp(folder / "a.jpg");
    decode_image(folder / "a.jpg");
    for (size_t length = (bytes.size() - 1) % 5; length < bytes.size(); length += 5) {
      spill(folder / "b.jpg", bytes.substr(0, length));
      ASSERT_THAT(decode_error(folder / "b.jpg"), HasSubstr(folder / "b.jpg")) << length;
    }
    EXPECT_THAT(decode_error(folder / "b.jpg"), HasSubstr("cut short: the file ends at offset " +
                                                          std::to_string(bytes.size() - 1)));
  }
}

TEST(ImageFile, APngCutAnywhereIsNamed) {
  const TempFolder folder;
  write_noise(folder / "a.png", 8, 8, {});
  const std::string bytes = slurp(folder / "a.png");
  for (size_t length = 0; length < bytes.size(); ++length) {
    spill(folder / "b.png", bytes.substr(0, length));
    ASSERT_THAT(decode_error(folder / "b.png"), HasSubstr(folder / "b.png")) << length;
  }
}

TEST(ImageFile, ADamagedByteInAPngIsFound) {
  const TempFolder folder;
  write_noise(folder / "a.png", 8, 8, {});
  const std::string bytes = slurp(folder / "a.png");
  for (size_t i = 0; i < bytes.size(); i += 2) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x04);
    spill(folder / "b.png", damaged);
    ASSERT_THAT(decode_error(folder / "b.png"), HasSubstr(folder / "b.png")) << i;
  }
}

TEST(ImageFile, ADamagedJpegNeverCrashes) {
  const TempFolder folder;
  write_noise(folder / "a.jpg", 16, 16, {});
  const std::string bytes = slurp(folder / "a.jpg");
  for (size_t i = 0; i < bytes.size(); i += 13) {  // libjpeg says much to standard error
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0xff);
    spill(folder / "b.jpg", damaged);
    const std::string said = decode_error(folder / "b.jpg");
    EXPECT_THAT(said, testing::AnyOf("no error", HasSubstr(folder / "b.jpg"))) << i;
  }
}

TEST(ImageFile, AnotherKindOfFileIsNamedWithItsFirstBytes) {
  const TempFolder folder;
  spill(folder / "a.jpg", "RIFF....WEBP");
  EXPECT_THAT(decode_error(folder / "a.jpg"),
              AllOf(HasSubstr("offset 0: neither a JPEG nor a PNG"), HasSubstr("52 49 46 46")));
  spill(folder / "a.jpg", "");
  EXPECT_THAT(decode_error(folder / "a.jpg"), HasSubstr("the file is empty"));
}

TEST(ImageFile, AHostileSizeTakesNoMemory) {
  const TempFolder folder;
  write_image(folder / "a.png", 2, 2, {1, 2, 3});
  std::string bytes = slurp(folder / "a.png");
  bytes.replace(16, 8, "\x7f\xff\xff\xff\x7f\xff\xff\xff");
  spill(folder / "a.png", bytes);
  EXPECT_THAT(error_of([&] { stored_shape(folder / "a.png"); }),
              HasSubstr("2147483647x2147483647"));
  EXPECT_THAT(decode_error(folder / "a.png"), HasSubstr("2147483647x2147483647"));
}

}  // namespace
}  // namespace instantnet::images
