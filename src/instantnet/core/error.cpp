#include "instantnet/core/error.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace instantnet {

namespace {

/// Edit distance with insert, delete, replace and swap of neighbours (optimal string alignment).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

void fail(std::string_view where, std::string_view sentence) {
  std::string text(where);
  if (!where.empty()) text += ": ";
  throw Error(text.append(sentence));
}

void bug(std::string_view sentence) { throw Bug(std::string(sentence)); }

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t least = 0;
  for (const std::string& candidate : candidates) {
    const size_t longer = std::max(word.size(), candidate.size());
    const size_t shorter = std::min(word.size(), candidate.size());
    if (2 * (longer - shorter) >= longer) continue;  // at least that many inserts
    const size_t edits = distance(word, candidate);
    if (2 * edits >= longer || (!best.empty() && edits >= least)) continue;
    best = candidate;
    least = edits;
  }
  return best;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string near = nearest(word, candidates);
  if (!near.empty()) return ", did you mean '" + near + "'?";
  if (candidates.empty()) return "; none are known here.";
  std::string text = "; known are ";
  for (size_t i = 0; i < candidates.size(); ++i) text += (i == 0 ? "" : ", ") + candidates[i];
  return text + ".";
}

}  // namespace instantnet
