#include "instantnet/core/units.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "instantnet/core/error.h"

namespace instantnet {
namespace {

TEST(Si, KeepsFourDigits) {
  EXPECT_EQ(si(25557032), "25.56 M");
  EXPECT_EQ(si(4089184256.0), "4.089 G");
  EXPECT_EQ(si(138357544), "138.4 M");
  EXPECT_EQ(si(1000), "1.000 k");
  EXPECT_EQ(si(0), "0");
  EXPECT_EQ(si(512), "512");
  EXPECT_EQ(si(2.5), "2.5");
  EXPECT_EQ(si(-1536), "-1.536 k");
  EXPECT_EQ(si(0.00123), "1.230 m");
  EXPECT_EQ(si(3e-12), "3.000 p");
}

TEST(Si, CarriesIntoTheNextPrefix) {
  EXPECT_EQ(si(999.94), "999.9");
  EXPECT_EQ(si(999.96), "1.000 k");
  EXPECT_EQ(si(999960), "1.000 M");
  EXPECT_EQ(si(9999.6), "10.00 k");
  EXPECT_EQ(si(99996), "100.0 k");
  EXPECT_EQ(si(0.99996), "1");
}

TEST(Si, TakesAnyNumber) {
  EXPECT_EQ(si(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(si(std::nan("")), "nan");
  EXPECT_EQ(si(2e21), "2000.0 E");
}

TEST(BytesText, UsesBinaryUnits) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(bytes_text(~uint64_t{0}), "16.0 EiB");
}

TEST(DurationText, CountsMinutesThenHours) {
  EXPECT_EQ(duration_text(0), "0:00");
  EXPECT_EQ(duration_text(93.4), "1:33");
  EXPECT_EQ(duration_text(3599.9), "59:59");
  EXPECT_EQ(duration_text(4000), "1:06:40");
  EXPECT_EQ(duration_text(360000), "100:00:00");
}

TEST(DurationText, TakesAnyNumber) {
  EXPECT_EQ(duration_text(-1), "0:00");
  EXPECT_EQ(duration_text(std::nan("")), "?");
  EXPECT_EQ(duration_text(std::numeric_limits<double>::infinity()), "?");
}

TEST(WrapText, BreaksBetweenWordsAndIndentsEveryLine) {
  EXPECT_EQ(wrap_text("one two three", 9), "one two\nthree");
  EXPECT_EQ(wrap_text("one two three", 9, 2), "  one two\n  three");
  EXPECT_EQ(wrap_text("h\xC3\xA9 he", 5), "h\xC3\xA9 he");
  EXPECT_EQ(wrap_text("a longerthanall b", 4, 1), " a\n longerthanall\n b");
  EXPECT_EQ(wrap_text("", 4), "");
}

TEST(TableText, AlignsNumbersRightAndTextLeft) {
  EXPECT_EQ(table_text({"layer", "MACs", "bits"}, {{"conv1", "1.5 M", "4"}, {"fc", "512", "-"}}),
            "layer   MACs  bits\n"
            "-----  -----  ----\n"
            "conv1  1.5 M     4\n"
            "fc       512     -\n");
}

TEST(TableText, CountsCharactersNotBytes) {
  EXPECT_EQ(table_text({"a", "b"}, {{"h\xC3\xA9", "x"}, {"hey", "y"}}),
            "a    b\n---  -\nh\xC3\xA9   x\nhey  y\n");
}

TEST(TableText, ShortRowsAreFilledAndLongOnesAreABug) {
  EXPECT_EQ(table_text({"a", "b"}, {{"x"}}), "a  b\n-  -\nx\n");
  EXPECT_EQ(table_text({"a", "b"}, {}), "a  b\n-  -\n");
  EXPECT_THROW(table_text({"a"}, {{"x", "y"}}), Bug);
}

}  // namespace
}  // namespace instantnet
