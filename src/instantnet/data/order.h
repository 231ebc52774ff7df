// Which images come when: permutations, the validation split and subsets, each a function of the
// seed alone.
#pragma once

#include <cstdint>
#include <vector>

namespace instantnet::data {

/// The numbers 0 to count - 1 in an order chosen by (seed, epoch) (Fisher-Yates).
std::vector<int64_t> permutation(int64_t count, uint64_t seed, int64_t epoch);

/// Both ascending, disjoint, together all of the labels' indices.
struct Split {
  std::vector<int64_t> train, validation;
};

/// Takes `share` of each class (rounded to the nearest; at least one of a class of two or more and
/// never all of it) for validation, chosen by seed. share in (0, 1).
Split split(const std::vector<int64_t>& labels, int64_t classes, double share, uint64_t seed);

/// `count` of the indices, chosen by seed, in their old order.
std::vector<int64_t> subset(std::vector<int64_t> indices, int64_t count, uint64_t seed);

}  // namespace instantnet::data
