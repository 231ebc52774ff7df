#include "instantnet/bundle/budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bundle/small_bundle.h"
#include "instantnet/core/error.h"

namespace instantnet::bundle {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was wrong";
}

BudgetOptions policy(const std::string& text) {
  const std::string path = own_folder() + "policy.yaml";
  write_text(path, text);
  return read_policy(path);
}

std::string policy_refusal(const std::string& text) {
  return refusal([&] { policy(text); });
}

std::string trace_refusal(const std::string& text) {
  return refusal([&] { parse_trace(text, "t.csv"); });
}

/// 2 bits: 1 uJ, 1 ms; 4: 2, 2; 8: 4, 4.
Bundle three_widths() {
  Bundle bundle;
  for (const int bits : {2, 4, 8}) {
    Width width;
    width.bits = bits;
    width.energy_pj = 0.5e6 * bits;
    width.latency_ms = 0.5 * bits;
    width.accuracy = 0.1 * bits;
    bundle.manifest.widths.push_back(width);
  }
  for (const int from : {2, 4, 8})
    for (const int to : {2, 4, 8}) {
      mapper::Switch change;
      change.from = from, change.to = to, change.energy_pj = 10;
      if (from != to) bundle.plan.switches.push_back(change);
    }
  return bundle;
}

TEST(Trace, ReadsBudgetsWithAndWithoutCounts) {
  EXPECT_EQ(parse_trace("budget\n1\n2.5\n", "t"), (std::vector<TraceLine>{{1, 1}, {2.5, 1}}));
  EXPECT_EQ(parse_trace("budget, inferences\r\n1e-3, 7\r\n0,1", "t"),
            (std::vector<TraceLine>{{1e-3, 7}, {0, 1}}));
}

TEST(Trace, NamesTheLineThatIsWrong) {
  EXPECT_THAT(trace_refusal(""), HasSubstr("t.csv: is empty"));
  EXPECT_THAT(trace_refusal("1\n2\n"), HasSubstr("t.csv:1: the header is '1'"));
  EXPECT_THAT(trace_refusal("budget\n"), HasSubstr("has a header but no budgets"));
  EXPECT_THAT(trace_refusal("budget\n1\n\n2\n"), HasSubstr("t.csv:3: is empty"));
  EXPECT_THAT(trace_refusal("budget\n1\n1,2\n"), HasSubstr("t.csv:3: has 2 fields"));
  EXPECT_THAT(trace_refusal("budget,inferences\n1\n"), HasSubstr("t.csv:2: has 1 fields"));
  for (const char* bad : {"x", "-1", "nan", "inf", "1x", "", "1e999"})
    EXPECT_THAT(trace_refusal(std::string("budget,inferences\n") + bad + ",1\n"),
                HasSubstr("t.csv:2: the budget is"));
  for (const char* bad : {"0", "-1", "1.5", "x", "", "10000001"})
    EXPECT_THAT(trace_refusal(std::string("budget,inferences\n1,") + bad + "\n"),
                HasSubstr("t.csv:2: inferences is"));
  EXPECT_THAT(trace_refusal("budget,inferences\n1,9000000\n1,9000000\n"),
              HasSubstr("t.csv:3: is where the trace exceeds"));
}

TEST(PolicyFile, ReadsWhatItSays) {
  const BudgetOptions options =
      policy("budget: battery\nbits: [2, 8]\nlevels: [0, 50]\nhold: 5\nwhen_nothing_fits: skip\n");
  EXPECT_EQ(options.budget, BudgetKind::Battery);
  EXPECT_EQ(options.levels, (std::vector<double>{0, 50}));
  EXPECT_EQ(options.hold, 5);
  EXPECT_EQ(options.when_nothing_fits, NothingFits::Skip);
  EXPECT_EQ(unit_of(options), "percent");
}

TEST(PolicyFile, RefusesMistakes) {
  EXPECT_THAT(policy_refusal("budgt: energy\n"), HasSubstr("budget"));
  EXPECT_THAT(policy_refusal("budget: energy\nunit: ms\n"),
              HasSubstr("unit is 'ms'; give uJ, pJ, nJ, mJ, x."));
  EXPECT_THAT(policy_refusal("budget: battery\nbits: [4, 8]\nlevels: [0]\n"),
              HasSubstr("levels has 1 entries for 2 bits"));
  EXPECT_THAT(policy_refusal("levels: [1]\nbits: [4]\n"), HasSubstr("for 'budget: battery' only"));
  EXPECT_THAT(policy_refusal("hold: 0\n"), HasSubstr("hold"));
  EXPECT_THAT(policy_refusal("[1]\n"), HasSubstr("the policy is a list"));
}

TEST(PolicyWidths, HaveCostsInTheUnitOfTheTrace) {
  const Bundle bundle = three_widths();
  const auto first = [&](const std::string& text) {
    return policy_widths(bundle.manifest, policy(text), "p").front();
  };
  EXPECT_EQ(first("budget: energy\n"), (runtime::PolicyWidth{2, 1, 0.2}));
  EXPECT_EQ(first("budget: energy\nunit: nJ\nbits: [8]\n"), (runtime::PolicyWidth{8, 4000, 0.8}));
  EXPECT_EQ(first("budget: latency\nunit: us\n"), (runtime::PolicyWidth{2, 1000, 0.2}));
  EXPECT_EQ(first("unit: x\n"), (runtime::PolicyWidth{2, 1, 0.2}));
  EXPECT_EQ(policy_widths(bundle.manifest, policy("unit: x\nbits: [4, 8]\n"), "p").back().cost, 2);
  EXPECT_EQ(first("budget: battery\nbits: [4]\nlevels: [30]\n"),
            (runtime::PolicyWidth{4, 30, 0.4}));
  EXPECT_THAT(refusal([&] { first("bits: [3]\n"); }),
              HasSubstr("bits has 3, which the bundle has not; it has 2, 4, 8."));
}

TEST(PolicyWidths, AreBetterWithMoreBitsWhereNoAccuracyIsKnown) {
  Bundle bundle = three_widths();
  for (Width& one : bundle.manifest.widths) one.accuracy.reset();
  EXPECT_EQ(policy_widths(bundle.manifest, {}, "p").back().accuracy, 8);
}

TEST(Decide, SaysTheMinimumWhenNothingEverFits) {
  const auto widths = policy_widths(three_widths().manifest, {}, "p");
  EXPECT_THAT(refusal([&] {
                decide(widths, {}, {{0.5, 3}}, "p");
              }),
              AllOf(HasSubstr("the largest budget is 0.5 uJ"), HasSubstr("(2 bits) needs 1")));
}

TEST(Outcome, CountsEnergySwitchesViolationsAndWhatIsRight) {
  const Bundle bundle = three_widths();
  const auto widths = policy_widths(bundle.manifest, {}, "p");
  const std::vector<TraceLine> trace = {{4, 2}, {0.5, 1}, {2, 1}};
  const auto right = [](int bits, int64_t index) { return bits == 8 && index == 0; };
  const Outcome outcome = outcome_of(bundle, decide(widths, {}, trace, "p"), right);
  EXPECT_EQ(outcome.inferences, 4);
  EXPECT_EQ(outcome.energy_pj, (4 + 4 + 1 + 2) * 1e6);
  EXPECT_EQ(outcome.switches, 2);
  EXPECT_EQ(outcome.switch_energy_pj, 20);
  EXPECT_EQ(outcome.violations, 1);
  EXPECT_EQ(outcome.accuracy, 0.25);
  EXPECT_NEAR(*outcome.expected_accuracy, (0.8 + 0.8 + 0.2 + 0.4) / 4, 1e-12);
  const Outcome fixed = outcome_of(bundle, decide_fixed(widths[2], trace), {});
  EXPECT_EQ(fixed.violations, 2);
  EXPECT_EQ(fixed.switches, 0);
  EXPECT_FALSE(fixed.accuracy);
}

TEST(Outcome, SkippedInferencesCostNothingAndAreWrong) {
  const Bundle bundle = three_widths();
  BudgetOptions options;
  options.when_nothing_fits = NothingFits::Skip;
  const auto widths = policy_widths(bundle.manifest, options, "p");
  const auto decisions = decide(widths, options, {{1, 1}, {0.5, 1}}, "p");
  const auto right = [](int, int64_t) { return true; };
  const Outcome outcome = outcome_of(bundle, decisions, right);
  EXPECT_EQ(outcome.skipped, 1);
  EXPECT_EQ(outcome.violations, 0);
  EXPECT_EQ(outcome.energy_pj, 1e6);
  EXPECT_EQ(outcome.accuracy, 0.5);
  EXPECT_EQ(decisions_csv(bundle, decisions, right),
            "inference,budget,bits,fits,energy_pj,right\n0,1,2,1,1000000,1\n1,0.5,0,1,0,0\n");
}

}  // namespace
}  // namespace instantnet::bundle
