#include "instantnet/net/precision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/expect_error.h"

namespace instantnet {
namespace {

using testing::HasSubstr;

TEST(Precision, IsWrittenAsOneNumberWhenBothAreAlike) {
  EXPECT_EQ(to_string(Precision{8, 8}), "8");
  EXPECT_EQ(to_string(Precision{4, 32}), "w4a32");
}

TEST(Precision, ReadsWhatItWrites) {
  std::vector<int> widths = {32};
  for (int b = 1; b <= 16; ++b) widths.push_back(b);
  for (const int w : widths)
    for (const int a : widths)
      EXPECT_EQ(parse_precision(to_string(Precision{w, a}), "test"), (Precision{w, a}))
          << w << " " << a;
}

TEST(Precision, ReadsAlikeWidthsInTheLongForm) {
  EXPECT_EQ(parse_precision("w4a4", "test"), (Precision{4, 4}));
}

TEST(Precision, IsFloatOnlyWhenBothAre32) {
  EXPECT_TRUE(Precision{}.is_float());
  EXPECT_FALSE((Precision{8, 32}).is_float());
}

TEST(Precision, RefusesWhatIsNotAPrecision) {
  for (const char* text : {"", "eight", "-4", "4.0", "4 ", " 4", "w4", "wa", "w4a", "wa4", "w4a4x",
                           "a4w4", "w4b4", "99999999999"})
    EXPECT_THAT(error_of([&] { parse_precision(text, "eval --bits"); }),
                HasSubstr("eval --bits: '" + std::string(text) +
                          "' is not a precision; write bits such as 8, or w4a8"));
}

TEST(Precision, RefusesWidthsThatDoNotExist) {
  EXPECT_EQ(error_of([] { parse_precision("w4a17", "bits"); }),
            "bits: 'w4a17' asks for 17 bits; a bit-width is 1..16, or 32 for float.");
  EXPECT_EQ(error_of([] { parse_precision("0", "bits"); }),
            "bits: '0' asks for 0 bits; a bit-width is 1..16, or 32 for float.");
}

TEST(Bits, MayBeAnyAscendingWidths) {
  EXPECT_NO_THROW(check_bits({2, 4, 8, 32}, "bits"));
  EXPECT_NO_THROW(check_bits({1}, "bits"));
  EXPECT_NO_THROW(check_bits({16, 32}, "bits"));
}

TEST(Bits, MustBeAtLeastOne) {
  EXPECT_EQ(error_of([] { check_bits({}, "bits"); }),
            "bits: no bit-width is given; give at least one, for example [4, 8].");
}

TEST(Bits, OutOfRangeAreNamedWithWhatWouldBeRight) {
  EXPECT_EQ(error_of([] {
              check_bits({4, 17, 32}, "bits");
            }),
            "bits: 17 in [4, 17, 32] is not a bit-width; each is 1..16, or 32 for float, for "
            "example [4, 32].");
  EXPECT_EQ(
      error_of([] { check_bits({-1}, "bits"); }),
      "bits: -1 in [-1] is not a bit-width; each is 1..16, or 32 for float, for example [4, 8].");
}

TEST(Bits, OutOfOrderOrRepeatedAreShownInOrder) {
  EXPECT_EQ(error_of([] {
              check_bits({8, 4, 32}, "bits");
            }),
            "bits: bit-widths [8, 4, 32] must ascend without repeats; write [4, 8, 32].");
  EXPECT_EQ(error_of([] {
              check_bits({4, 4, 8}, "bits");
            }),
            "bits: bit-widths [4, 4, 8] must ascend without repeats; write [4, 8].");
}

}  // namespace
}  // namespace instantnet
