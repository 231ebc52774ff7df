#include "instantnet/mapper/space.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "instantnet/core/error.h"

namespace instantnet::mapper {

namespace {

constexpr int64_t kLargestFactor = std::numeric_limits<int32_t>::max();

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

std::vector<int64_t> divisors_of(int64_t n) {
  std::vector<int64_t> small, large;
  for (int64_t f = 1; f <= n / f; ++f)
    if (n % f == 0) {
      small.push_back(f);
      if (f != n / f) large.push_back(n / f);
    }
  small.insert(small.end(), large.rbegin(), large.rend());
  return small;
}

/// `innermost` (its first dim is the innermost loop), the other loops outside in any order.
Order order_with(const std::vector<Dim>& innermost) {
  Order order{};
  size_t place = 0;
  for (const Dim d : kAllDims)
    if (std::find(innermost.begin(), innermost.end(), d) == innermost.end()) order[place++] = d;
  for (auto d = innermost.rbegin(); d != innermost.rend(); ++d) order[place++] = *d;
  return order;
}

/// The order with some dims moved inside all others.
Order with_inner(const Order& order, const std::vector<Dim>& inner) {
  std::vector<Dim> innermost(inner.rbegin(), inner.rend());
  for (auto d = order.rbegin(); d != order.rend(); ++d)
    if (std::find(inner.begin(), inner.end(), *d) == inner.end()) innermost.push_back(*d);
  return order_with(innermost);
}

/// Orders that differ only in loops of one step are the same.
bool same_loops(const Order& a, const Order& b, const PerDim& bounds) {
  size_t i = 0, j = 0;
  const auto skip = [&](const Order& order, size_t& at_) {
    while (at_ < order.size() && bounds[at(order[at_])] == 1) ++at_;
  };
  for (;;) {
    skip(a, i);
    skip(b, j);
    if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
    if (a[i++] != b[j++]) return false;
  }
}

size_t level_of(const Accelerator& device, const std::string& name) {
  for (size_t i = 0; i < device.levels.size(); ++i)
    if (device.levels[i].name == name) return i;
  bug("constraints that were not checked");
}

}  // namespace

bool divides_only(Dim d, Factors factors) {
  return factors == Factors::Perfect || d == Dim::R || d == Dim::S;
}

std::vector<int64_t> factors_of(int64_t n, bool divide) {
  if (divide) return divisors_of(n);
  std::vector<int64_t> all;
  for (int64_t f = 1; f <= n;) {
    all.push_back(f);
    if (f == n) break;
    const int64_t steps = ceil_div(n, f);
    f = ceil_div(n, steps - 1);  // the least factor with fewer steps
  }
  return all;
}

int64_t least_factor(int64_t n, int64_t f) { return f >= n ? n : ceil_div(n, ceil_div(n, f)); }

std::vector<Order> stationary_orders(const LayerShape& layer) {
  const PerDim bounds = bounds_of(layer);
  // Windows overlap along an axis when consecutive output or filter positions share inputs.
  const auto slides = [&](int64_t outputs, int64_t taps) { return outputs > 1 && taps > 1; };
  const bool rows = slides(layer.p, layer.r), columns = slides(layer.q, layer.s);
  std::vector<Order> orders;
  const auto add = [&](const std::vector<Dim>& innermost) {
    const Order order = order_with(innermost);
    for (const Order& other : orders)
      if (same_loops(order, other, bounds)) return;
    orders.push_back(order);
  };
  add({Dim::R, Dim::S, Dim::C});
  if (columns) add({Dim::S, Dim::R, Dim::C});
  add({Dim::P, Dim::Q, Dim::N});
  if (columns) add({Dim::Q, Dim::P, Dim::N});
  add({Dim::K, Dim::P});
  if (columns) add({Dim::K, Dim::Q});
  if (rows) add({Dim::K, Dim::R});
  if (columns) add({Dim::K, Dim::S});
  return orders;
}

Space::Space(const LayerShape& layer, const Accelerator& device, const Constraints& constraints,
             Factors factors)
    : levels_(static_cast<int>(device.levels.size())), bounds_(bounds_of(layer)) {
  for (const Dim d : kAllDims) {
    divides_[at(d)] = divides_only(d, factors);
    if (bounds_[at(d)] > kLargestFactor)
      fail("search", fmt::format("loop {} has {} steps; loops of up to {} can be mapped.",
                                 to_string(d), bounds_[at(d)], kLargestFactor));
    if (divides_[at(d)]) divisors_[at(d)] = divisors_of(bounds_[at(d)]);
  }
  read_levels(device);
  fixed_order_.resize(device.levels.size());
  for (const LevelConstraint& one : constraints.levels)
    apply(one, static_cast<int>(level_of(device, one.level)));
  const std::vector<Order> all = stationary_orders(layer);
  for (size_t level = 0; level < device.levels.size(); ++level) {
    std::vector<Order> orders;
    for (const Order& order : all) {
      const Order one = with_inner(order, fixed_order_[level]);
      if (std::none_of(orders.begin(), orders.end(),
                       [&](const Order& other) { return same_loops(one, other, bounds_); }))
        orders.push_back(one);
      if (level + 1 == device.levels.size()) break;
    }
    orders_.push_back(orders);
  }
  find_sinks();
}

void Space::read_levels(const Accelerator& device) {
  for (int level = levels_ - 1; level >= 0; --level) {
    const StorageLevel& one = device.levels[static_cast<size_t>(level)];
    PerDim free{}, any{}, children{};
    any.fill(kLargestFactor);
    children.fill(one.fanout_x * one.fanout_y);
    if (one.fanout_x * one.fanout_y > 1) {
      slots_.push_back({level, true});
      fixed_.push_back(free);
      most_.push_back(children);
      children_.push_back(one.fanout_x * one.fanout_y);
    }
    slots_.push_back({level, false});
    fixed_.push_back(free);
    most_.push_back(any);
    children_.push_back(1);
  }
  for (size_t level = 0; level < device.levels.size(); ++level) {
    std::vector<uint8_t> masks;
    for (int mask = 7; mask >= 0; --mask) {
      bool possible = true;
      for (const Tensor t : kAllTensors) {
        const bool kept = (mask >> at(t) & 1) != 0;
        const Keep keep = level == 0 ? Keep::Always : device.levels[level].keep[t];
        if (keep != Keep::Search && kept != (keep == Keep::Always)) possible = false;
      }
      if (possible) masks.push_back(static_cast<uint8_t>(mask));
    }
    keeps_.push_back(masks);
  }
}

void Space::apply(const LevelConstraint& constraint, int level) {
  fixed_order_[static_cast<size_t>(level)] = constraint.order;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].level != level) continue;
    for (const Loop& loop : slots_[i].spatial ? constraint.spatial : constraint.temporal)
      fixed_[i][at(loop.dim)] = loop.bound;
    if (!slots_[i].spatial) continue;
    for (const Loop& loop : constraint.spatial_most)
      most_[i][at(loop.dim)] = std::min(most_[i][at(loop.dim)], loop.bound);
    if (!constraint.spatial_dims) continue;
    for (const Dim d : kAllDims)
      if (std::find(constraint.spatial_dims->begin(), constraint.spatial_dims->end(), d) ==
          constraint.spatial_dims->end())
        most_[i][at(d)] = 1;
  }
  std::erase_if(keeps_[static_cast<size_t>(level)], [&](uint8_t mask) {
    return std::any_of(kAllTensors.begin(), kAllTensors.end(), [&](Tensor t) {
      const std::optional<bool>& keep = constraint.keeps[t];
      return keep.has_value() && *keep != ((mask >> at(t) & 1) != 0);
    });
  });
}

void Space::find_sinks() {
  for (const Dim d : kAllDims) {
    size_t& sink = sink_[at(d)];
    sink = slots_.size();
    for (const bool spatial : {false, true})
      for (size_t i = slots_.size(); i-- > 0 && sink == slots_.size();)
        if (slots_[i].spatial == spatial && fixed(i, d) == 0) sink = i;
  }
}

std::vector<int64_t> Space::choices(size_t slot, Dim d, int64_t n) const {
  std::vector<int64_t> all;
  if (divides(d)) {
    for (const int64_t f : divisors_[at(d)])
      if (n % f == 0) all.push_back(f);
  } else {
    all = factors_of(n, false);
  }
  while (!all.empty() && all.back() > most(slot, d)) all.pop_back();
  return all;
}

bool Space::settle(Dim d, Nest& nest) const {
  const size_t sink = this->sink(d);
  int64_t left = bounds_[at(d)];  // steps that the slots so far leave
  for (size_t i = 0; i < slots_.size(); ++i) {
    int32_t& factor = factor_at(nest, slots_[i], d);
    int64_t f = factor;
    if (fixed(i, d) > 0) {
      f = fixed(i, d);
      if (divides(d) && left % f != 0) return false;
    } else if (i == sink) {
      int64_t outside = 1;
      for (size_t j = i + 1; j < slots_.size(); ++j)
        outside *= fixed(j, d) > 0 ? fixed(j, d) : factor_at(nest, slots_[j], d);
      if (divides(d) && left % outside != 0) return false;
      f = ceil_div(left, outside);
      if (f > most(i, d)) return false;
    } else if (divides(d)) {
      f = std::min(f, most(i, d));
      while (left % f != 0) --f;
    } else {
      f = least_factor(left, std::min(f, most(i, d)));
    }
    factor = static_cast<int32_t>(f);
    left = ceil_div(left, f);
  }
  return left == 1;
}

std::variant<Nest, Misfit> Space::smallest() const {
  Nest nest = empty_nest(levels_);
  for (const Dim d : kAllDims)
    if (!settle(d, nest)) {
      int64_t product = 1;
      for (size_t i = 0; i < slots_.size(); ++i) product *= std::max<int64_t>(1, fixed(i, d));
      return Misfit{fmt::format(
          "The constraints fix factors of {} with the product {}, but the layer has {} steps of "
          "{}{}.",
          to_string(d), product, bounds_[at(d)], to_string(d),
          divides(d) ? ", which the factors must divide" : "")};
    }
  for (int level = 0; level < levels_; ++level) {
    nest.order[static_cast<size_t>(level)] = orders(level).front();
    nest.keeps[static_cast<size_t>(level)] = keeps(level).back();
  }
  return nest;
}

Nest Space::draw(Rng& rng) const {
  Nest nest = empty_nest(levels_);
  std::vector<int64_t> children;  // that each slot's fan-out has left
  for (size_t i = 0; i < slots_.size(); ++i) {
    children.push_back(children_[i]);
    for (const Dim d : kAllDims) children[i] /= std::max<int64_t>(1, fixed(i, d));
  }
  Order dims = kAllDims;  // in random order: the first have most of the children to choose from
  for (size_t i = dims.size(); i > 1; --i) std::swap(dims[i - 1], dims[rng.below(i)]);
  for (const Dim d : dims) {
    int64_t left = bounds_[at(d)];
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (fixed(i, d) > 0 || i == sink(d)) continue;
      std::vector<int64_t> all = choices(i, d, left);
      if (slots_[i].spatial)
        while (all.back() > std::max<int64_t>(1, children[i])) all.pop_back();
      const int64_t f = all[rng.below(all.size())];
      factor_at(nest, slots_[i], d) = static_cast<int32_t>(f);
      left = ceil_div(left, f);
      if (slots_[i].spatial) children[i] /= f;
    }
    settle(d, nest);
  }
  for (int level = 0; level < levels_; ++level) {
    const auto i = static_cast<size_t>(level);
    nest.order[i] = orders(level)[rng.below(orders(level).size())];
    nest.keeps[i] = keeps(level)[rng.below(keeps(level).size())];
  }
  return nest;
}

double Space::chains(Dim d, size_t slot, int64_t n, Memo& memo) const {
  if (slot == slots_.size()) return n == 1 ? 1 : 0;
  if (fixed(slot, d) > 0) return chains(d, slot + 1, ceil_div(n, fixed(slot, d)), memo);
  if (slot + 1 == slots_.size()) return 1;
  const auto [known, fresh] = memo.try_emplace({slot, n}, 0.0);
  if (!fresh) return known->second;
  double count = 0;
  for (const int64_t f : choices(slot, d, n)) count += chains(d, slot + 1, ceil_div(n, f), memo);
  return memo[{slot, n}] = count;
}

double Space::size() const {
  double count = 1, permutations = 1;
  int loops = 0;
  for (const Dim d : kAllDims) {
    Memo memo;
    count *= chains(d, 0, bounds_[at(d)], memo);
    if (bounds_[at(d)] > 1) permutations *= ++loops;
  }
  for (int level = 0; level < levels_; ++level) {
    count *= static_cast<double>(keeps(level).size());
    if (level + 1 < levels_) count *= permutations;
  }
  return count;
}

}  // namespace instantnet::mapper
