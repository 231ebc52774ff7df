#include "instantnet/flow/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "flow/toy_flow.h"
#include "instantnet/core/rng.h"

namespace instantnet::flow {
namespace {

using test::error_of;
using test::slurp;
using test::TempFolder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FlowTest : public testing::Test {
 protected:
  FlowTest() {
    write_file_atomic(given_, "x");
    request_.folder = folder_.path();
    request_.program = "instantnet 1";
  }

  std::vector<Stage> stages() const { return diamond(given_); }

  FlowResult run(ToyProgram& program) {
    return run_flow(stages(), request_, std::ref(program),
                    [](size_t, size_t, const Step&, bool) {});
  }
  /// What runs, in order.
  std::vector<std::string> ran() {
    ToyProgram program(stages(), folder_.path());
    run(program);
    return program.ran;
  }
  std::vector<std::string> reasons() {
    request_.dry_run = true;
    ToyProgram program(stages(), folder_.path());
    std::vector<std::string> all;
    for (const Step& step : run(program).steps) all.push_back(step.why);
    EXPECT_THAT(program.ran, IsEmpty());
    request_.dry_run = false;
    return all;
  }

  TempFolder folder_, elsewhere_;
  std::string given_ = elsewhere_ / "given";
  FlowRequest request_;
};

TEST_F(FlowTest, RunsEveryStageOnceAndNoneTwice) {
  EXPECT_THAT(ran(), ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(slurp(folder_ / "d"), "d(b(a(x))c(a(x)))");
  EXPECT_THAT(ran(), IsEmpty());
}

TEST_F(FlowTest, RunsWhatDependsOnAChangeAndNothingElse) {
  ran();
  write_file_atomic(given_, "y");
  EXPECT_THAT(ran(), ElementsAre("a", "b", "c", "d"));
  write_file_atomic(folder_ / "b", "meddled with");
  EXPECT_THAT(ran(), ElementsAre("b"));  // makes the same bytes again: d has nothing new
  std::filesystem::remove(folder_ / "c");
  EXPECT_THAT(ran(), ElementsAre("c"));
}

TEST_F(FlowTest, RunsAgainWithAnotherProgramVersion) {
  ran();
  request_.program = "instantnet 2";
  EXPECT_THAT(ran(), ElementsAre("a", "b", "c", "d"));
}

TEST_F(FlowTest, SaysWhyAStageRuns) {
  EXPECT_THAT(reasons(), ElementsAre("never run", "never run", "never run", "never run"));
  ran();
  EXPECT_THAT(reasons(), ElementsAre("", "", "", ""));
  write_file_atomic(given_, "y");
  EXPECT_THAT(reasons(), ElementsAre(HasSubstr("given changed"), "a is made before",
                                     "a is made before", "c is made before"));
}

TEST_F(FlowTest, ToStopsBehindAStage) {
  request_.to = "b";
  EXPECT_THAT(ran(), ElementsAre("a", "b"));
  request_.to = "";
  EXPECT_THAT(ran(), ElementsAre("c", "d"));
}

TEST_F(FlowTest, FromRunsAStageThatIsUpToDate) {
  ran();
  request_.from = "c";
  EXPECT_THAT(ran(), ElementsAre("c"));
}

TEST_F(FlowTest, FromNeedsWhatComesBefore) {
  request_.from = "c";
  EXPECT_THAT(error_of([&] { ran(); }),
              HasSubstr("stage 'a' comes before c and is not up to date (never run)"));
}

TEST_F(FlowTest, NamesTheStagesWhenThereIsNoneOfThatName) {
  request_.to = "e";
  EXPECT_THAT(error_of([&] { ran(); }),
              HasSubstr("--to: there is no stage 'e'; there are a, b, c, d."));
  request_.from = "d";
  request_.to = "a";
  EXPECT_THAT(error_of([&] { ran(); }), HasSubstr("d comes after --to a"));
}

TEST_F(FlowTest, StopsAtAStageThatFails) {
  ToyProgram program(stages(), folder_.path());
  program.fails_in = "b";
  const FlowResult result = run(program);
  EXPECT_EQ(result.failed, "b");
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(program.ran, ElementsAre("a", "b"));
  EXPECT_THAT(ran(), ElementsAre("b", "c", "d"));
}

TEST_F(FlowTest, ContinuesAnInterruptedStageOnlyWhenAskedAndUnchanged) {
  const auto interrupt_and_run = [&](bool resume, const std::string& given) -> bool {
    request_.resume = false;
    write_file_atomic(given_, "x");
    ToyProgram first(stages(), folder_.path());
    first.fails_in = "a";
    request_.force = true;
    run(first);
    request_.force = false;
    request_.resume = resume;
    write_file_atomic(given_, given);
    ToyProgram second(stages(), folder_.path());
    run(second);
    return second.resumed.at(0);
  };
  EXPECT_TRUE(interrupt_and_run(true, "x"));
  EXPECT_FALSE(interrupt_and_run(false, "x"));
  EXPECT_FALSE(interrupt_and_run(true, "y"));
}

TEST_F(FlowTest, IsTheSameWhenKilledAnywhereAndResumed) {
  request_.resume = true;
  for (int steps = 0; steps < 12; ++steps) {
    const TempFolder fresh;
    request_.folder = fresh.path();
    ToyProgram program(stages(), fresh.path());
    program.killed_after = steps;
    EXPECT_THROW(run(program), Killed) << steps;
    ToyProgram again(stages(), fresh.path());
    run(again);
    EXPECT_EQ(slurp(fresh / "d"), "d(b(a(x))c(a(x)))") << steps;
    EXPECT_EQ(again.ran.size(), 4U - static_cast<size_t>(steps) / 3) << steps;
  }
}

TEST_F(FlowTest, RandomChangesLeaveNothingStale) {
  const uint64_t seed = 11;
  for (uint64_t i = 0; i < 40; ++i) {
    Rng rng(seed, i);
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", case " << i);
    const TempFolder fresh;
    request_.folder = fresh.path();
    std::string text = "x";
    for (int change = 0; change < 4; ++change) {
      text = std::string(1, static_cast<char>('a' + rng.below(26)));
      write_file_atomic(given_, text);
      const char* meddle[] = {"a", "b", "c", "d"};
      if (rng.below(2) == 0) write_file_atomic(fresh / meddle[rng.below(4)], "?");
      ToyProgram program(stages(), fresh.path());
      program.killed_after = static_cast<int>(rng.below(14));
      try {
        run(program);
      } catch (const Killed&) {
      }
    }
    ToyProgram last(stages(), fresh.path());
    run(last);
    EXPECT_EQ(slurp(fresh / "d"), "d(b(a(" + text + "))c(a(" + text + ")))");
  }
}

TEST_F(FlowTest, AMissingInputIsNamed) {
  std::filesystem::remove(given_);
  EXPECT_THAT(error_of([&] { ran(); }), HasSubstr("given: is not there; stage 'a' needs it"));
}

TEST_F(FlowTest, ADamagedRecordIsNamed) {
  ran();
  write_file_atomic(folder_ / kRecordFile, "{\"version\": 1}");
  EXPECT_THAT(error_of([&] { ran(); }), HasSubstr("stages.json"));
  write_file_atomic(folder_ / kRecordFile, "{\"version\": 2, \"program\": \"\", \"stages\": []}");
  EXPECT_THAT(error_of([&] { ran(); }),
              HasSubstr("is of version 2 of stages.json; this program reads versions up to 1"));
}

TEST_F(FlowTest, TheRecordSurvivesItsFile) {
  ran();
  const Record record = read_record(folder_.path());
  EXPECT_EQ(record.stages.size(), 4U);
  EXPECT_EQ(record_from_tree(parse_yaml(print_json(to_tree(record)))), record);
}

}  // namespace
}  // namespace instantnet::flow
