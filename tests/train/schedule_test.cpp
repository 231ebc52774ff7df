#include "instantnet/train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <set>

namespace instantnet::train {
namespace {

LrOptions of_kind(LrKind kind, double warmup = 0) {
  LrOptions options;
  options.kind = kind;
  options.warmup_epochs = warmup;
  return options;
}

double lr(const LrOptions& options, int64_t step) {
  return learning_rate(options, 0.4, {step, 10, 100});
}

TEST(LearningRate, CosineGoesFromPeakToFinal) {
  LrOptions options = of_kind(LrKind::Cosine);
  options.final = 0.1;
  EXPECT_DOUBLE_EQ(lr(options, 0), 0.4);
  EXPECT_DOUBLE_EQ(lr(options, 50), 0.25);
  EXPECT_NEAR(lr(options, 99), 0.1, 1e-3);
}

TEST(LearningRate, PerEpochIsTheAuthorsCosineAnnealing) {
  LrOptions options = of_kind(LrKind::Cosine);
  options.per = Per::Epoch;
  options.final = 0.001;
  const int64_t epochs = 200, steps = 390;
  for (const int64_t epoch : {0, 1, 57, 199}) {
    const double expected =
        0.001 + (0.025 - 0.001) * (1 + std::cos(std::numbers::pi * epoch / epochs)) / 2;
    for (const int64_t step : {0, 389})
      EXPECT_DOUBLE_EQ(learning_rate(options, 0.025, {epoch * steps + step, steps, epochs * steps}),
                       expected);
  }
}

TEST(LearningRate, WarmsUpLinearlyThenStartsTheCurve) {
  const LrOptions options = of_kind(LrKind::Cosine, 2);
  EXPECT_DOUBLE_EQ(lr(options, 0), 0.02);
  EXPECT_DOUBLE_EQ(lr(options, 9), 0.2);
  EXPECT_DOUBLE_EQ(lr(options, 19), 0.4);
  EXPECT_DOUBLE_EQ(lr(options, 20), 0.4);
  EXPECT_DOUBLE_EQ(lr(options, 60), 0.2);
}

TEST(LearningRate, MultistepFallsAtEachMilestone) {
  LrOptions options = of_kind(LrKind::Multistep);
  options.milestones = {3, 6};
  EXPECT_DOUBLE_EQ(lr(options, 29), 0.4);
  EXPECT_DOUBLE_EQ(lr(options, 30), 0.04);
  EXPECT_NEAR(lr(options, 60), 0.004, 1e-15);
}

TEST(LearningRate, ExponentialMultipliesEveryEpoch) {
  LrOptions options = of_kind(LrKind::Exponential);
  options.gamma = 0.97;
  EXPECT_DOUBLE_EQ(lr(options, 20), 0.4 * 0.97 * 0.97);
  options.per = Per::Epoch;
  EXPECT_DOUBLE_EQ(lr(options, 29), 0.4 * 0.97 * 0.97);
}

TEST(LearningRate, LinearWaitsForTheMilestone) {
  LrOptions options = of_kind(LrKind::Linear);
  options.milestones = {5};
  EXPECT_DOUBLE_EQ(lr(options, 50), 0.4);
  EXPECT_DOUBLE_EQ(lr(options, 75), 0.2);
  options.milestones = {};
  EXPECT_DOUBLE_EQ(lr(options, 25), 0.3);
}

TEST(LearningRate, OneCycleRisesThenFalls) {
  const LrOptions options = of_kind(LrKind::OneCycle, 1);
  EXPECT_DOUBLE_EQ(lr(options, 0), 0.4 / 25);
  EXPECT_DOUBLE_EQ(lr(options, 30), 0.4);
  EXPECT_DOUBLE_EQ(lr(options, 65), 0.2);
  EXPECT_LT(lr(options, 99), 1e-3);
}

TEST(LearningRate, ConstantStays) { EXPECT_EQ(lr(of_kind(LrKind::Constant), 99), 0.4); }

std::vector<int> widths(WidthSchedule kind, int64_t epoch,
                        WidthOrder order = WidthOrder::HighFirst) {
  ScheduleOptions options;
  options.widths = kind;
  options.order = order;
  return widths_of_step({4, 8, 12, 16}, options, 7, {epoch * 10 + 3, 10, 1000});
}

TEST(Widths, FollowTheSchedule) {
  using Bits = std::vector<int>;
  EXPECT_EQ(widths(WidthSchedule::All, 0), (Bits{16, 12, 8, 4}));
  EXPECT_EQ(widths(WidthSchedule::All, 0, WidthOrder::LowFirst), (Bits{4, 8, 12, 16}));
  EXPECT_EQ(widths(WidthSchedule::Low2High, 0), (Bits{4, 8, 12, 16}));
  EXPECT_EQ(widths(WidthSchedule::High2Low, 0, WidthOrder::LowFirst), (Bits{16, 12, 8, 4}));
  EXPECT_EQ(widths(WidthSchedule::CurriculumLow, 19), (Bits{4}));
  EXPECT_EQ(widths(WidthSchedule::CurriculumLow, 20), (Bits{8, 4}));
  EXPECT_EQ(widths(WidthSchedule::CurriculumHigh, 45), (Bits{16, 12, 8}));
  EXPECT_EQ(widths(WidthSchedule::CurriculumHigh, 99), (Bits{16, 12, 8, 4}));
}

TEST(Widths, SandwichDrawsTwoFromTheMiddleBySeedAndStepAlone) {
  ScheduleOptions options;
  options.widths = WidthSchedule::Sandwich;
  const std::vector<int> bits = {2, 4, 6, 8, 32};
  std::set<std::vector<int>> seen;
  for (int64_t step = 0; step < 200; ++step) {
    const std::vector<int> drawn = widths_of_step(bits, options, 7, {step, 10, 1000});
    ASSERT_EQ(drawn.size(), 4U);
    EXPECT_EQ(drawn[0], 32);
    EXPECT_EQ(drawn[1], 2);
    for (const size_t i : {2, 3}) EXPECT_TRUE(drawn[i] > 2 && drawn[i] < 32);
    EXPECT_EQ(widths_of_step(bits, options, 7, {step, 10, 1000}), drawn);
    seen.insert(drawn);
  }
  EXPECT_EQ(seen.size(), 9U);
}

TEST(Widths, SandwichOfFewWidthsIsThoseThereAre) {
  ScheduleOptions options;
  options.widths = WidthSchedule::Sandwich;
  EXPECT_EQ(widths_of_step({8}, options, 1, {}), (std::vector<int>{8}));
  EXPECT_EQ(widths_of_step({4, 8}, options, 1, {}), (std::vector<int>{8, 4}));
}

TEST(Steps, RoundEpochsWithAFraction) {
  EXPECT_EQ(steps_of(4.5, 63), 284);
  EXPECT_EQ(steps_of(0, 63), 0);
  EXPECT_EQ(steps_of(0.001, 63), 1);
}

}  // namespace
}  // namespace instantnet::train
