#include "instantnet/data/order.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "instantnet/core/rng.h"

namespace instantnet::data {

namespace {

// Streams: one for each thing that is drawn, so that none depends on another.
constexpr uint64_t kOrderStream = 0x6f72646572;  // "order"
constexpr uint64_t kSplitStream = 0x73706c6974;  // "split"
constexpr uint64_t kLimitStream = 0x6c696d6974;  // "limit"

void shuffle(std::vector<int64_t>& values, Rng rng) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[rng.below(i)]);
}

std::vector<std::vector<int64_t>> by_class(const std::vector<int64_t>& labels, int64_t classes) {
  std::vector<std::vector<int64_t>> members(static_cast<size_t>(classes));
  for (size_t i = 0; i < labels.size(); ++i) members[labels[i]].push_back(static_cast<int64_t>(i));
  return members;
}

int64_t validation_count(int64_t members, double share) {
  if (members < 2) return 0;
  const int64_t wanted = std::llround(share * static_cast<double>(members));
  return std::clamp<int64_t>(wanted, 1, members - 1);
}

}  // namespace

std::vector<int64_t> permutation(int64_t count, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  shuffle(order, Rng(seed, kOrderStream, static_cast<uint64_t>(epoch)));
  return order;
}

Split split(const std::vector<int64_t>& labels, int64_t classes, double share, uint64_t seed) {
  Split result;
  std::vector<std::vector<int64_t>> members = by_class(labels, classes);
  for (size_t k = 0; k < members.size(); ++k) {
    std::vector<int64_t>& of_class = members[k];
    shuffle(of_class, Rng(seed, kSplitStream, k));
    const auto cut =
        of_class.begin() + validation_count(static_cast<int64_t>(of_class.size()), share);
    result.validation.insert(result.validation.end(), of_class.begin(), cut);
    result.train.insert(result.train.end(), cut, of_class.end());
  }
  std::sort(result.train.begin(), result.train.end());
  std::sort(result.validation.begin(), result.validation.end());
  return result;
}

std::vector<int64_t> subset(std::vector<int64_t> indices, int64_t count, uint64_t seed) {
  shuffle(indices, Rng(seed, kLimitStream));
  indices.resize(static_cast<size_t>(count));
  std::sort(indices.begin(), indices.end());
  return indices;
}

}  // namespace instantnet::data
