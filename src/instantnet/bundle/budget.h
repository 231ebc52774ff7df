// A policy over a bundle's bit-widths, and what it does on a trace of budgets.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "instantnet/bundle/bundle.h"
#include "instantnet/core/config.h"
#include "instantnet/runtime/policy.h"

namespace instantnet::bundle {

/// What a budget is about.
enum class BudgetKind {
  Energy,   // of one inference
  Latency,  // of one inference
  Battery,  // charge in percent; BudgetOptions::levels says what may run
};
const EnumNames<BudgetKind>& names_of(BudgetKind);

enum class NothingFits { Lowest, Skip };
const EnumNames<NothingFits>& names_of(NothingFits);

/// policy.yaml.
struct BudgetOptions {
  BudgetKind budget = BudgetKind::Energy;
  /// Of the budgets in the trace: pJ, nJ, uJ, mJ; us, ms, s; percent; x: times what the cheapest of
  /// the widths takes, so that one trace suits any device. Empty: uJ, ms, percent.
  std::string unit;
  /// Bit-widths that may run; empty: all.
  std::vector<int> bits;
  /// Battery: the charge from which each of `bits` may run.
  std::vector<double> levels;
  int64_t hold = 1;   // as runtime::PolicyOptions
  double margin = 0;  // as runtime::PolicyOptions
  NothingFits when_nothing_fits = NothingFits::Lowest;
};
Fields fields(BudgetOptions& options);
/// Error with file and line.
BudgetOptions read_policy(const std::string& path);

/// A budget that holds for some inferences.
struct TraceLine {
  double budget = 0;
  int64_t inferences = 1;
  bool operator==(const TraceLine&) const = default;
};
/// CSV: a header "budget" or "budget,inferences", then a line each. Error with file and line for an
/// empty line, a field too many or too few, a number that is none, or more than 10 million
/// inferences.
std::vector<TraceLine> parse_trace(const std::string& text, const std::string& where);

/// The widths of a bundle as the policy sees them: cost in the trace's unit, accuracy from the
/// manifest, or the bit-width itself where it has none. Error for an unknown unit or bit-width, and
/// for levels that are not one a bit-width.
std::vector<runtime::PolicyWidth> policy_widths(const Manifest& manifest,
                                                const BudgetOptions& options,
                                                const std::string& where);
/// "uJ"
std::string unit_of(const BudgetOptions& options);

/// One inference.
struct Decision {
  double budget = 0;
  int bits = 0;  // 0: skipped
  bool fits = false;
  bool operator==(const Decision&) const = default;
};
/// The policy along the trace. Error naming the least cost when nothing ever fits.
std::vector<Decision> decide(const std::vector<runtime::PolicyWidth>& widths,
                             const BudgetOptions& options, const std::vector<TraceLine>& trace,
                             const std::string& where);
/// The same budgets at one width throughout.
std::vector<Decision> decide_fixed(const runtime::PolicyWidth& width,
                                   const std::vector<TraceLine>& trace);

/// What a sequence of decisions came to.
struct Outcome {
  int64_t inferences = 0, skipped = 0, violations = 0, switches = 0;
  double energy_pj = 0;                     // of the inferences
  double switch_energy_pj = 0;              // of the switches (mapper::Switch), not in the above
  std::optional<double> accuracy;           // measured, 0..1; skipped inferences are wrong
  std::optional<double> expected_accuracy;  // by the manifest
  std::vector<std::pair<int, int64_t>> inferences_by_bits;
  bool operator==(const Outcome&) const = default;
};
/// Whether inference number `index` is right at a bit-width; empty: not known.
using IsRight = std::function<bool(int bits, int64_t index)>;
Outcome outcome_of(const Bundle& bundle, const std::vector<Decision>& decisions,
                   const IsRight& is_right);

/// CSV, a line an inference: inference,budget,bits,fits,energy_pj,right (empty where not known).
std::string decisions_csv(const Bundle& bundle, const std::vector<Decision>& decisions,
                          const IsRight& is_right);

}  // namespace instantnet::bundle
