// What a policy did along a trace of budgets: `instantnet run --policy --trace`.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/report/pick.h"
#include "instantnet/report/sections.h"

namespace instantnet::report {
namespace {

constexpr const char* kNoOutcome = "it is not what 'instantnet run --policy --json' prints";
constexpr std::string_view kHeader = "inference,budget,bits,fits,energy_pj,right";
/// Stretches of equal lines that a page draws; of longer traces every n-th is shown.
constexpr size_t kMostStretches = 4000;

// ---- Totals

Tree outcome_tree(const Tree& outcome) {
  Tree tree = Tree::map();
  for (const char* key :
       {"inferences", "energy_pj", "switch_energy_pj", "violations", "skipped", "switches"})
    tree.set(key, number(need(outcome, key, kNoOutcome)));
  tree.set("inferences_by_bits", numbers(need(outcome, "inferences_by_bits", kNoOutcome)));
  copy_number(tree, outcome, "accuracy");
  copy_number(tree, outcome, "expected_accuracy");
  return tree;
}

Tree outcomes_tree(const Tree& file) {
  Tree fixed = Tree::map();
  const Tree& all = need(file, "fixed", kNoOutcome);
  if (all.kind != Tree::Kind::Map) fail(all.where(), "is no map by bit-width.");
  for (const auto& [bits, outcome] : all.entries) fixed.set(bits, outcome_tree(outcome));
  Tree tree = Tree::map();
  copy_text(tree, file, "budget");
  copy_text(tree, file, "unit");
  return tree.set("policy", outcome_tree(need(file, "policy", kNoOutcome)))
      .set("fixed", std::move(fixed));
}

// ---- The trace

/// Inferences in a row with the same budget, choice and energy.
struct Stretch {
  int64_t first = 0, count = 0, right = -1;  // right: -1 = not measured
  double budget = 0, energy_pj = 0;
  int64_t bits = 0, fits = 0;
  bool like(const Stretch& other) const {
    return budget == other.budget && bits == other.bits && fits == other.fits &&
           energy_pj == other.energy_pj && (right < 0) == (other.right < 0);
  }
};

template <class T>
bool parse(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// False for a line that is none.
bool parse_line(std::string_view line, Stretch& one) {
  std::vector<std::string_view> cells;
  for (size_t at = 0; at <= line.size();) {
    const size_t end = std::min(line.find(',', at), line.size());
    cells.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  one.count = 1;
  return cells.size() == 6 && parse(cells[0], one.first) && parse(cells[1], one.budget) &&
         parse(cells[2], one.bits) && parse(cells[3], one.fits) && parse(cells[4], one.energy_pj) &&
         (cells[5].empty() || parse(cells[5], one.right));
}

std::vector<Stretch> stretches_of(const std::string& text, const std::string& place) {
  std::vector<Stretch> all;
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    Stretch one;
    if (++number == 1) {
      if (line != kHeader)
        fail(fmt::format("{}:1", place), fmt::format("the header should be '{}'.", kHeader));
      continue;
    }
    if (!parse_line(line, one))
      fail(fmt::format("{}:{}", place, number),
           fmt::format("is no line '{}' of numbers; the file is damaged here.", kHeader));
    if (all.empty() || !all.back().like(one)) {
      all.push_back(one);
      continue;
    }
    ++all.back().count;
    if (one.right > 0) all.back().right += one.right;
  }
  return all;
}

/// [first, count, budget, bits, fits, energy_pj, right or null]
Tree stretch_tree(const Stretch& one) {
  return Tree::list({Tree::of(one.first), Tree::of(one.count), Tree::of(one.budget),
                     Tree::of(one.bits), Tree::of(one.fits), Tree::of(one.energy_pj),
                     one.right < 0 ? Tree() : Tree::of(one.right)});
}

Tree trace_tree(const std::vector<Stretch>& all) {
  const size_t step = (all.size() + kMostStretches - 1) / kMostStretches;
  Tree list = Tree::list();
  for (size_t i = 0; i < all.size(); i += std::max<size_t>(step, 1))
    list.items.push_back(stretch_tree(all[i]));
  return Tree::map()
      .set("stretches", Tree::of(static_cast<int64_t>(all.size())))
      .set("shown", std::move(list));
}

}  // namespace

Tree read_budgets(Source& source) {
  Tree list = Tree::list();
  for (const std::string& name : source.files("budget", ".json")) {
    const std::string path = joined("budget", name);
    Tree tree = outcomes_tree(source.map(path + ".json"));
    tree.set("device", Tree::of(name));
    if (source.has(path + ".csv"))
      tree.set("trace",
               trace_tree(stretches_of(source.text(path + ".csv"), source.place(path + ".csv"))));
    list.items.push_back(std::move(tree));
  }
  return list;
}

}  // namespace instantnet::report
