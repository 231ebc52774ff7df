// From data sets and files to the pixels a network takes.
#include "instantnet/images/input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "images/helpers.h"
#include "instantnet/images/image_file.h"
#include "instantnet/images/memory.h"

namespace instantnet::images {
namespace {

using test::error_of;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(InputPixels, AreTheStoredOnesAtTheNetworksSize) {
  const auto set = synthetic_dataset(5, 5, 3, 6, 4, 1);
  EXPECT_EQ(input_pixels(*set, 3, 6, 4, Fit::Stretch), set->image(3).pixels);
  EXPECT_EQ(input_pixels(*set, 3, 6, 4, Fit::Crop), set->image(3).pixels);
}

TEST(InputPixels, AreStretchedOrCutOut) {
  const auto set = memory_dataset({{1, 4, 1, {10, 10, 90, 90}}}, {0}, 1);
  EXPECT_THAT(input_pixels(*set, 0, 1, 2, Fit::Stretch),
              ElementsAre(testing::Lt(40), testing::Gt(60)));
  Defaults photographs;
  photographs.centre_crop = true;
  EXPECT_EQ(fit_of(photographs), Fit::Crop);
  EXPECT_EQ(fit_of({}), Fit::Stretch);
  View view{set->pixels(0), 1, 4, 1};
  std::vector<uint8_t> memory, cut(1);
  resize(view, centre_box(view, 1, 1), 1, 1, cut.data());
  Image decoded;
  EXPECT_EQ(*fitted_view(stored_view(*set, 0, decoded), 1, 1, Fit::Crop, memory).pixels, cut[0]);
}

TEST(FilePixels, SuitNetworksOfOneOrThreeChannels) {
  const TempFolder folder;
  test::write_image(folder / "colour.png", 2, 2, {30, 20, 10});
  test::write_image(folder / "grey.png", 2, 2, {77});
  EXPECT_THAT(file_pixels(folder / "colour.png", 3, 1, 1, Fit::Stretch), ElementsAre(10, 20, 30));
  EXPECT_THAT(file_pixels(folder / "grey.png", 1, 1, 2, Fit::Stretch), ElementsAre(77, 77));
  EXPECT_THAT(file_pixels(folder / "grey.png", 3, 1, 1, Fit::Crop), ElementsAre(77, 77, 77));
  EXPECT_THAT(error_of([&] { file_pixels(folder / "colour.png", 1, 2, 2, Fit::Crop); }),
              HasSubstr("is a colour image, but the network takes grey ones"));
  EXPECT_THAT(error_of([&] { file_pixels(folder / "colour.png", 4, 2, 2, Fit::Crop); }),
              HasSubstr("suits networks of 1 or 3 channels"));
  EXPECT_THAT(error_of([&] { file_pixels(folder / "none.png", 3, 2, 2, Fit::Crop); }),
              HasSubstr("none.png"));
}

}  // namespace
}  // namespace instantnet::images
