#include "instantnet/images/transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace instantnet::images {
namespace {

using testing::Each;
using testing::ElementsAre;

std::vector<uint8_t> noise(int64_t count, uint64_t seed) {
  Rng rng(seed);
  std::vector<uint8_t> values(count);
  for (uint8_t& value : values) value = static_cast<uint8_t>(rng.below(256));
  return values;
}

std::vector<uint8_t> resized(const View& image, const Box& box, int64_t height, int64_t width) {
  std::vector<uint8_t> to(height * width * image.channels);
  resize(image, box, height, width, to.data());
  return to;
}

TEST(Resize, TheSameSizeChangesNothing) {
  const std::vector<uint8_t> pixels = noise(5 * 7 * 3, 1);
  const View image{pixels.data(), 5, 7, 3};
  EXPECT_EQ(resized(image, whole_box(image), 5, 7), pixels);
}

TEST(Resize, AWholeBoxOfPixelsIsCutOutUnchanged) {
  const std::vector<uint8_t> pixels = noise(5 * 7 * 3, 2);
  const View image{pixels.data(), 5, 7, 3};
  const std::vector<uint8_t> cut = resized(image, {1, 2, 3, 4}, 3, 4);
  for (int64_t y = 0; y < 3; ++y)
    for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(cut[y * 12 + i], pixels[((y + 1) * 7 + 2) * 3 + i]);
}

TEST(Resize, OneColourStaysOneColour) {
  const std::vector<uint8_t> pixels(13 * 9, 201);
  const View image{pixels.data(), 13, 9, 1};
  for (const auto& [height, width] : {std::pair{4, 4}, {30, 17}, {1, 1}, {13, 40}})
    EXPECT_THAT(resized(image, whole_box(image), height, width), Each(201));
}

TEST(Resize, EnlargingIsBilinear) {
  const std::vector<uint8_t> pixels = {0, 100};
  const View image{pixels.data(), 1, 2, 1};
  EXPECT_THAT(resized(image, whole_box(image), 1, 4), ElementsAre(0, 25, 75, 100));
}

TEST(Resize, ShrinkingUsesEveryPixel) {
  const std::vector<uint8_t> pixels = {0, 0, 0, 84, 0, 0, 0, 0};
  const View image{pixels.data(), 1, 8, 1};
  // The triangle of the left target pixel has its centre at 2 and reaches 4: 5 7 7 5 3 1 0 0 of 28;
  // the right one mirrors it.
  EXPECT_THAT(resized(image, whole_box(image), 1, 2), ElementsAre(84 * 5 / 28, 84 * 3 / 28));
}

/// Bilinear with a triangle of the width of a target pixel, written as the definition says.
std::vector<uint8_t> slow_resize(const View& image, const Box& box, int64_t height, int64_t width) {
  const auto weight = [](double at, double centre, double reach) {
    return std::max(0.0, 1.0 - std::abs(at + 0.5 - centre) / reach);
  };
  const double down = box.height / height, right = box.width / width;
  std::vector<uint8_t> to;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < image.channels; ++c) {
        double sum = 0, weights = 0;
        for (int64_t v = 0; v < image.height; ++v)
          for (int64_t u = 0; u < image.width; ++u) {
            const double w = weight(v, box.top + (y + 0.5) * down, std::max(down, 1.0)) *
                             weight(u, box.left + (x + 0.5) * right, std::max(right, 1.0));
            sum += w * image.pixels[(v * image.width + u) * image.channels + c];
            weights += w;
          }
        to.push_back(static_cast<uint8_t>(sum / weights + 0.5));
      }
  return to;
}

TEST(Resize, AgreesWithTheDefinitionUpToRounding) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    const int64_t h = 1 + rng.below(20), w = 1 + rng.below(20), c = 1 + rng.below(3);
    const std::vector<uint8_t> pixels = noise(h * w * c, seed);
    const View image{pixels.data(), h, w, c};
    const Box box = rng.flip() ? whole_box(image) : random_box(image, 0.1, rng);
    const int64_t height = 1 + rng.below(24), width = 1 + rng.below(24);
    const auto fast = resized(image, box, height, width);
    const auto slow = slow_resize(image, box, height, width);
    for (size_t i = 0; i < slow.size(); ++i) ASSERT_NEAR(fast[i], slow[i], 1) << i;
  }
}

TEST(Boxes, TheMiddleKeepsProportions) {
  const View image{nullptr, 512, 256, 3};
  EXPECT_EQ(centre_box(image, 224, 224), (Box{144, 16, 224, 224}));
  EXPECT_EQ(centre_box(image, 112, 112), (Box{144, 16, 224, 224}));
}

TEST(Boxes, RandomPartsStayInsideAndKeepTheirPromise) {
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    Rng rng(seed);
    const View image{nullptr, static_cast<int64_t>(50 + rng.below(200)),
                     static_cast<int64_t>(50 + rng.below(200)), 3};
    const Box box = random_box(image, 0.2, rng);
    const double area = box.height * box.width / static_cast<double>(image.height * image.width);
    ASSERT_GE(box.top, 0) << "seed " << seed;
    ASSERT_GE(box.left, 0) << "seed " << seed;
    ASSERT_LE(box.top + box.height, image.height) << "seed " << seed;
    ASSERT_LE(box.left + box.width, image.width) << "seed " << seed;
    ASSERT_GT(area, 0.19) << "seed " << seed;
    ASSERT_NEAR(std::log(box.width / box.height), 0, std::log(4.0 / 3) + 0.05) << "seed " << seed;
  }
}

TEST(Boxes, ANarrowImageFallsBackToItsMiddle) {
  Rng rng(1);
  const Box box = random_box({nullptr, 10, 1000, 3}, 1.0, rng);
  EXPECT_EQ(box.height, 10);
  EXPECT_NEAR(box.width, 40.0 / 3, 1e-9);
  EXPECT_NEAR(box.left, (1000 - 40.0 / 3) / 2, 1e-9);
}

/// What write() does, written pixel by pixel.
std::vector<float> slow_write(const View& image, const Placement& placement,
                              const std::vector<double>& mean,
                              const std::vector<double>& deviation) {
  std::vector<float> to;
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x)
      for (int64_t c = 0; c < image.channels; ++c) {
        const int64_t from_y = y - placement.down;
        const int64_t from_x = (placement.flip ? image.width - 1 - x : x) - placement.right;
        const bool inside =
            from_y >= 0 && from_y < image.height && from_x >= 0 && from_x < image.width;
        const double value =
            inside ? image.pixels[(from_y * image.width + from_x) * image.channels + c] : 0;
        to.push_back(static_cast<float>((value / 255.0 - mean[c]) / deviation[c]));
      }
  return to;
}

TEST(Normaliser, AgreesWithTheDefinitionBitForBit) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    const int64_t c = 1 + rng.below(4), h = 1 + rng.below(9), w = 1 + rng.below(9);
    std::vector<double> mean, deviation;
    for (int64_t i = 0; i < c; ++i)
      mean.push_back(rng.uniform()), deviation.push_back(rng.uniform(0.1, 1));
    const std::vector<uint8_t> pixels = noise(h * w * c, seed);
    const Placement placement{static_cast<int64_t>(rng.below(25)) - 12,
                              static_cast<int64_t>(rng.below(25)) - 12, rng.flip()};
    std::vector<float> to(h * w * c, -1e9F);
    Normaliser(mean, deviation).write({pixels.data(), h, w, c}, placement, to.data());
    ASSERT_EQ(to, slow_write({pixels.data(), h, w, c}, placement, mean, deviation));
  }
}

}  // namespace
}  // namespace instantnet::images
