#include "instantnet/bundle/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <string_view>

#include "instantnet/core/error.h"

namespace instantnet::bundle {
namespace {

constexpr int64_t kMostInferences = 10'000'000;

struct Unit {
  BudgetKind kind;
  const char* name;
  double size;  // in pJ, ms or percent; 0: what the cheapest of the widths takes
};
constexpr Unit kUnits[] = {
    {BudgetKind::Energy, "uJ", 1e6}, {BudgetKind::Energy, "pJ", 1},
    {BudgetKind::Energy, "nJ", 1e3}, {BudgetKind::Energy, "mJ", 1e9},
    {BudgetKind::Latency, "ms", 1},  {BudgetKind::Latency, "us", 1e-3},
    {BudgetKind::Latency, "s", 1e3}, {BudgetKind::Battery, "percent", 1},
    {BudgetKind::Energy, "x", 0},    {BudgetKind::Latency, "x", 0},
};

/// The first of a kind is its default. Error listing the kind's units.
const Unit& unit_named(const BudgetOptions& options, const std::string& where) {
  std::vector<std::string> names;
  for (const Unit& one : kUnits) {
    if (one.kind != options.budget) continue;
    if (options.unit.empty() || options.unit == one.name) return one;
    names.emplace_back(one.name);
  }
  fail(where, fmt::format("unit is '{}'; give {}.", options.unit, fmt::join(names, ", ")));
}

const Width* width_of(const Manifest& manifest, int bits) {
  for (const Width& one : manifest.widths)
    if (one.bits == bits) return &one;
  return nullptr;
}

/// In pJ, ms or percent.
double cost_of(const Width& width, const BudgetOptions& options, size_t index) {
  switch (options.budget) {
    case BudgetKind::Energy:
      return width.energy_pj;
    case BudgetKind::Latency:
      return width.latency_ms;
    case BudgetKind::Battery:
      return options.levels.at(index);
  }
  bug("unknown kind of budget.");
}

void check_levels(const BudgetOptions& options, const std::string& where) {
  const bool battery = options.budget == BudgetKind::Battery;
  if (!battery && !options.levels.empty())
    fail(where, "levels are for 'budget: battery' only; remove them.");
  if (battery && (options.bits.empty() || options.levels.size() != options.bits.size()))
    fail(where, fmt::format("levels has {} entries for {} bits; give the charge in percent from "
                            "which each bit-width may run, for example bits: [4, 8] and levels: "
                            "[0, 50].",
                            options.levels.size(), options.bits.size()));
}

// ---- The trace

std::vector<std::string_view> split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(by, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

TraceLine trace_line(std::string_view line, size_t columns, const std::string& where) {
  if (trimmed(line).empty()) fail(where, "is empty; give a budget, or remove the line.");
  const std::vector<std::string_view> fields = split(line, ',');
  if (fields.size() != columns)
    fail(where, fmt::format("has {} fields where the header has {}.", fields.size(), columns));
  TraceLine one;
  const std::string_view budget = trimmed(fields[0]);
  if (!read_number(budget, one.budget) || !std::isfinite(one.budget) || one.budget < 0)
    fail(where, fmt::format("the budget is '{}'; give a number >= 0.", budget));
  if (columns == 1) return one;
  const std::string_view count = trimmed(fields[1]);
  if (!read_number(count, one.inferences) || one.inferences < 1 || one.inferences > kMostInferences)
    fail(where, fmt::format("inferences is '{}'; give a whole number from 1 to {}.", count,
                            kMostInferences));
  return one;
}

const mapper::Switch* switch_of(const Bundle& bundle, int from, int to) {
  for (const mapper::Switch& one : bundle.plan.switches)
    if (one.from == from && one.to == to) return &one;
  return nullptr;
}

const Width& need(const Bundle& bundle, int bits) {
  const Width* width = width_of(bundle.manifest, bits);
  if (width == nullptr) bug(fmt::format("a policy chose {} bits, which the bundle has not.", bits));
  return *width;
}

}  // namespace

const EnumNames<BudgetKind>& names_of(BudgetKind) {
  static const EnumNames<BudgetKind> names = {{BudgetKind::Energy, "energy"},
                                              {BudgetKind::Latency, "latency"},
                                              {BudgetKind::Battery, "battery"}};
  return names;
}

const EnumNames<NothingFits>& names_of(NothingFits) {
  static const EnumNames<NothingFits> names = {{NothingFits::Lowest, "lowest"},
                                               {NothingFits::Skip, "skip"}};
  return names;
}

Fields fields(BudgetOptions& options) {
  Fields all;
  all.add("budget", options.budget, "What a budget is about.");
  all.add(
      "unit", options.unit,
      "Of the budgets: pJ, nJ, uJ (default), mJ; us, ms (default), s; x: times what the cheapest "
      "width takes; percent.");
  all.add("bits", options.bits, "Bit-widths that may run; empty: all.", {1, 32, "bits"});
  all.add("levels", options.levels, "Battery: the charge from which each of bits may run.",
          {0, 100, "percent"});
  all.add("hold", options.hold,
          "A dearer width runs when the budget was enough for it so many inferences in a row.",
          {1, static_cast<double>(kMostInferences), "inferences"});
  all.add("margin", options.margin,
          "Or at once when the budget is (1 + margin) times what it takes; 0: not.", {0, 1e9});
  all.add("when_nothing_fits", options.when_nothing_fits,
          "Run the cheapest width, or skip the inference.");
  return all;
}

BudgetOptions read_policy(const std::string& path) {
  const Tree tree = read_yaml(path);
  if (tree.kind != Tree::Kind::Map)
    fail(path, fmt::format("the policy is {}; give lines such as 'budget: energy'.", tree.given()));
  BudgetOptions options;
  read_fields(fields(options), tree);
  unit_named(options, path);
  check_levels(options, path);
  return options;
}

std::vector<TraceLine> parse_trace(const std::string& text, const std::string& where) {
  std::vector<std::string_view> lines = split(text, '\n');
  if (lines.back().empty()) lines.pop_back();
  if (lines.empty()) fail(where, "is empty; give a header 'budget,inferences' and lines below it.");
  std::vector<std::string> header;
  for (const std::string_view one : split(lines.front(), ',')) header.emplace_back(trimmed(one));
  if (header != std::vector<std::string>{"budget"} &&
      header != std::vector<std::string>{"budget", "inferences"})
    fail(where + ":1", fmt::format("the header is '{}'; give 'budget' or 'budget,inferences'.",
                                   trimmed(lines.front())));
  std::vector<TraceLine> trace;
  int64_t inferences = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::string place = fmt::format("{}:{}", where, i + 1);
    trace.push_back(trace_line(lines[i], header.size(), place));
    inferences += trace.back().inferences;
    if (inferences > kMostInferences)
      fail(place, fmt::format("is where the trace exceeds {} inferences; give a shorter one.",
                              kMostInferences));
  }
  if (trace.empty()) fail(where, "has a header but no budgets; give a line for each.");
  return trace;
}

std::vector<runtime::PolicyWidth> policy_widths(const Manifest& manifest,
                                                const BudgetOptions& options,
                                                const std::string& where) {
  double unit = unit_named(options, where).size;
  check_levels(options, where);
  std::vector<int> bits = options.bits, all;
  for (const Width& one : manifest.widths) all.push_back(one.bits);
  if (bits.empty()) bits = all;
  std::vector<runtime::PolicyWidth> widths;
  for (size_t i = 0; i < bits.size(); ++i) {
    const Width* width = width_of(manifest, bits[i]);
    if (width == nullptr)
      fail(where, fmt::format("bits has {}, which the bundle has not; it has {}.", bits[i],
                              fmt::join(all, ", ")));
    widths.push_back({bits[i], cost_of(*width, options, i), width->accuracy.value_or(bits[i])});
  }
  const auto cheaper = [](const auto& a, const auto& b) { return a.cost < b.cost; };
  if (unit == 0 && !widths.empty())
    unit = std::min_element(widths.begin(), widths.end(), cheaper)->cost;
  for (runtime::PolicyWidth& one : widths) one.cost /= unit;
  return widths;
}

std::string unit_of(const BudgetOptions& options) { return unit_named(options, "policy").name; }

std::vector<Decision> decide(const std::vector<runtime::PolicyWidth>& widths,
                             const BudgetOptions& options, const std::vector<TraceLine>& trace,
                             const std::string& where) {
  runtime::Policy policy(
      widths, {options.hold, options.margin, options.when_nothing_fits == NothingFits::Skip});
  double most = 0;
  for (const TraceLine& one : trace) most = std::max(most, one.budget);
  if (most < policy.least_cost())
    fail(where,
         fmt::format("no bit-width ever fits: the largest budget is {} {}, and the cheapest "
                     "width ({} bits) needs {}.",
                     most, unit_of(options), policy.widths().front().bits, policy.least_cost()));
  std::vector<Decision> decisions;
  for (const TraceLine& one : trace)
    for (int64_t i = 0; i < one.inferences; ++i) {
      const runtime::PolicyChoice choice = policy.next(one.budget);
      decisions.push_back({one.budget, choice.bits, choice.fits});
    }
  return decisions;
}

std::vector<Decision> decide_fixed(const runtime::PolicyWidth& width,
                                   const std::vector<TraceLine>& trace) {
  std::vector<Decision> decisions;
  for (const TraceLine& one : trace)
    decisions.insert(decisions.end(), static_cast<size_t>(one.inferences),
                     {one.budget, width.bits, width.cost <= one.budget});
  return decisions;
}

Outcome outcome_of(const Bundle& bundle, const std::vector<Decision>& decisions,
                   const IsRight& is_right) {
  Outcome outcome;
  outcome.inferences = static_cast<int64_t>(decisions.size());
  for (const Width& one : bundle.manifest.widths)
    outcome.inferences_by_bits.emplace_back(one.bits, 0);
  int64_t right = 0;
  int last = 0;
  for (size_t i = 0; i < decisions.size(); ++i) {
    const Decision& one = decisions[i];
    if (one.bits == 0) {
      ++outcome.skipped;
      continue;
    }
    outcome.violations += one.fits ? 0 : 1;
    if (is_right && is_right(one.bits, static_cast<int64_t>(i))) ++right;
    for (auto& [bits, count] : outcome.inferences_by_bits) count += bits == one.bits ? 1 : 0;
    if (last != 0 && last != one.bits) {
      ++outcome.switches;
      const mapper::Switch* change = switch_of(bundle, last, one.bits);
      outcome.switch_energy_pj += change == nullptr ? 0 : change->energy_pj;
    }
    last = one.bits;
  }
  double expected = 0;
  bool known = !decisions.empty();
  for (const auto& [bits, runs] : outcome.inferences_by_bits) {
    if (runs == 0) continue;
    const Width& width = need(bundle, bits);
    const auto count = static_cast<double>(runs);
    outcome.energy_pj += count * width.energy_pj;
    expected += count * width.accuracy.value_or(0);
    known = known && width.accuracy.has_value();
  }
  const auto count = static_cast<double>(decisions.size());
  if (is_right && !decisions.empty()) outcome.accuracy = static_cast<double>(right) / count;
  if (known) outcome.expected_accuracy = expected / count;
  return outcome;
}

std::string decisions_csv(const Bundle& bundle, const std::vector<Decision>& decisions,
                          const IsRight& is_right) {
  std::string text = "inference,budget,bits,fits,energy_pj,right\n";
  for (size_t i = 0; i < decisions.size(); ++i) {
    const Decision& one = decisions[i];
    const double energy_pj = one.bits == 0 ? 0 : need(bundle, one.bits).energy_pj;
    fmt::format_to(std::back_inserter(text), "{},{},{},{},{},", i, one.budget, one.bits,
                   one.fits ? 1 : 0, energy_pj);
    if (is_right) text += one.bits != 0 && is_right(one.bits, static_cast<int64_t>(i)) ? "1" : "0";
    text += '\n';
  }
  return text;
}

}  // namespace instantnet::bundle
