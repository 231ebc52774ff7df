#include "mapper/exact_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "instantnet/core/rng.h"
#include "instantnet/core/tree.h"
#include "instantnet/mapper/exact.h"
#include "instantnet/mapper/mapping.h"

namespace instantnet::mapper {

namespace {

constexpr double kSame = 1e-9;

int64_t from_to(Rng& rng, int64_t least, int64_t most) {
  return least + static_cast<int64_t>(rng.below(static_cast<uint64_t>(most - least + 1)));
}

template <class T>
T one_of(Rng& rng, std::initializer_list<T> values) {
  return values.begin()[rng.below(values.size())];
}

// --- layers -----------------------------------------------------------------------------------

/// Bounds that are 1 but for a few dims, which are small.
LayerShape draw_layer(Rng& rng, CaseKind kind) {
  const auto size = [&] { return one_of<int64_t>(rng, {2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9}); };
  LayerShape layer;
  const bool windows = kind == CaseKind::Windows || kind == CaseKind::Halo;
  int64_t left = from_to(rng, 2, 4);  // dims above 1
  const auto maybe = [&](int64_t& bound, double chance) {
    if (left > 0 && rng.flip(chance)) bound = size(), --left;
  };
  if (windows) {
    layer.p = size(), layer.r = from_to(rng, 2, 4), left -= 2;
    if (rng.flip()) std::swap(layer.p, layer.q), std::swap(layer.r, layer.s);
    maybe(layer.c, 0.4), maybe(layer.k, 0.4);
    if (left > 0 && rng.flip(0.2)) layer.p = layer.q = 3, layer.r = layer.s = 2, left = 0;
  }
  if (rng.flip(0.2)) layer.groups = from_to(rng, 2, 4), --left;
  maybe(layer.n, 0.15);
  for (int tries = 0; tries < 3; ++tries) {
    if (layer.p == 1) maybe(layer.p, 0.35);
    if (layer.q == 1) maybe(layer.q, 0.3);
    if (layer.r == 1 && left > 0 && rng.flip(0.35)) layer.r = from_to(rng, 2, 4), --left;
    if (layer.s == 1 && left > 0 && rng.flip(0.3)) layer.s = from_to(rng, 2, 4), --left;
    if (layer.k == 1) maybe(layer.k, 0.35);
    if (layer.c == 1) maybe(layer.c, 0.35);
  }
  layer.k *= layer.groups;
  const double moves = kind == CaseKind::Windows ? 0.7 : 0.25;
  if (rng.flip(moves)) layer.stride = from_to(rng, 1, 4);
  if (rng.flip(moves)) layer.dilation = from_to(rng, 1, 3);
  return layer;
}

// --- devices ----------------------------------------------------------------------------------

double draw_energy(Rng& rng) { return one_of<double>(rng, {0, 0.5, 1, 1, 2, 3.7, 6, 20, 200}); }

Bandwidth draw_bandwidth(Rng& rng, double chance) {
  const auto one = [&] {
    return rng.flip(chance) ? one_of<double>(rng, {0.3, 0.5, 1, 1, 2, 4, 7, 8, 16}) : 0.0;
  };
  return {one(), one(), rng.flip(0.4) ? one() : 0};
}

/// The outermost level comes first, the innermost last.
StorageLevel draw_level(Rng& rng, const std::string& name, CaseKind kind, bool outermost,
                        bool innermost) {
  StorageLevel level;
  level.name = name;
  level.word_bits = one_of(rng, {16, 16, 16, 8, 64});
  level.packing = rng.flip(0.8) ? Packing::Tight : Packing::Whole;
  const bool plain = rng.flip(0.3);
  const double energy = draw_energy(rng);
  const bool limited = kind == CaseKind::Bandwidth || rng.flip(0.4);
  if (limited) level.bandwidth = draw_bandwidth(rng, 0.6);
  for (const Tensor t : kAllTensors) {
    level.read_pj[t] = plain ? energy : draw_energy(rng);
    level.write_pj[t] = plain ? energy : draw_energy(rng);
    if (kind == CaseKind::Bandwidth && rng.flip(0.4))
      level.tensor_bandwidth[t] = draw_bandwidth(rng, 0.5);
    if (!outermost && !innermost)
      level.keep[t] = one_of(rng, {Keep::Always, Keep::Always, Keep::Never, Keep::Search});
  }
  if (outermost) return level;
  level.capacity_words = innermost ? from_to(rng, 3, 40) : from_to(rng, 6, 200);
  if (rng.flip(0.15)) level.capacity_words = 0;
  if (rng.flip(0.35))
    for (const Tensor t : kAllTensors)
      if (rng.flip(0.7)) level.tensor_capacity_words[t] = from_to(rng, 2, innermost ? 20 : 90);
  level.double_buffered = level.capacity_words != 1 && rng.flip(0.1);
  return level;
}

void draw_array(Rng& rng, StorageLevel& level) {
  level.fanout_x = from_to(rng, 1, 5), level.fanout_y = from_to(rng, 1, 4);
  level.multicast = rng.flip(0.85), level.reduction = rng.flip(0.85);
  if (rng.flip(0.3)) level.network_pj = draw_energy(rng);
}

Accelerator draw_device(Rng& rng, CaseKind kind) {
  Accelerator device;
  device.name = "random";
  device.levels.push_back(draw_level(rng, "DRAM", kind, true, false));
  if (rng.flip(0.88)) device.levels.push_back(draw_level(rng, "GLB", kind, false, false));
  draw_array(rng, device.levels.back());
  device.levels.push_back(draw_level(rng, "RF", kind, false, true));
  if (kind == CaseKind::Surviving)  // hardly any room in the registers, and little reason to loop
    for (StorageLevel& level : device.levels)
      if (level.name == "RF") level.capacity_words = 3, level.tensor_capacity_words = {};
  if (rng.flip(0.2)) device.static_mw = one_of<double>(rng, {1, 20, 400});
  device.mac.kind = one_of(rng, {MacKind::Fixed, MacKind::Fixed, MacKind::BitSerial,
                                 MacKind::Composable, MacKind::Packed});
  device.mac.energy_pj = draw_energy(rng);
  if (rng.flip(0.3)) device.psum.extra_bits = one_of(rng, {4, 8, 16});
  if (rng.flip(0.1)) device.psum.fixed_bits = 32;
  return device;
}

// --- constraints ------------------------------------------------------------------------------

std::vector<Dim> draw_dims(Rng& rng, size_t count) {
  std::vector<Dim> dims(kAllDims.begin(), kAllDims.end());
  for (size_t i = 0; i < count; ++i) std::swap(dims[i], dims[i + rng.below(dims.size() - i)]);
  dims.resize(count);
  return dims;
}

Constraints draw_constraints(Rng& rng, const LayerShape& layer, const Accelerator& device) {
  Constraints constraints;
  const PerDim bounds = bounds_of(layer);
  for (size_t l = 0; l < device.levels.size(); ++l) {
    LevelConstraint one;
    one.level = device.levels[l].name;
    const bool array = l + 2 == device.levels.size();
    if (rng.flip(0.4)) one.order = draw_dims(rng, static_cast<size_t>(from_to(rng, 1, 4)));
    for (const Dim d : kAllDims) {
      const int64_t bound = bounds[at(d)];
      if (bound > 1 && rng.flip(0.08)) one.temporal.push_back({d, from_to(rng, 1, bound)});
      if (array && bound > 1 && rng.flip(0.06))
        one.spatial.push_back({d, one.spatial.empty()
                                      ? from_to(rng, 1, std::min(bound, device.levels[l].fanout_x))
                                      : 1});
      const bool is_fixed = !one.spatial.empty() && one.spatial.back().dim == d;
      if (array && !is_fixed && bound > 1 && rng.flip(0.1))
        one.spatial_most.push_back({d, from_to(rng, 1, 3)});
    }
    if (array && rng.flip(0.3)) {
      one.spatial_dims = draw_dims(rng, 4);
      for (const Loop& loop : one.spatial) one.spatial_dims->push_back(loop.dim);
      std::sort(one.spatial_dims->begin(), one.spatial_dims->end());
      one.spatial_dims->erase(std::unique(one.spatial_dims->begin(), one.spatial_dims->end()),
                              one.spatial_dims->end());
    }
    for (const Tensor t : kAllTensors)
      if (device.levels[l].keep[t] == Keep::Search && rng.flip(0.3)) one.keeps[t] = rng.flip();
    constraints.levels.push_back(one);
  }
  return constraints;
}

// --- brute force ------------------------------------------------------------------------------

struct Factor {
  int32_t registers = 1, array = 1, buffer = 1, outermost = 1;
};

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Whether `factor` is the least that leaves as few of `count` as it does, or divides it.
bool balanced(int64_t count, int64_t factor, bool perfect) {
  if (perfect) return count % factor == 0;
  const int64_t left = ceil_div(count, factor);
  return factor == 1 || ceil_div(count, factor - 1) > left;
}

const LevelConstraint* constraint_at(const ExactCase& one, size_t level) {
  for (const LevelConstraint& c : one.constraints.levels)
    if (c.level == one.device.levels[level].name) return &c;
  return nullptr;
}

int64_t fixed(const std::vector<Loop>& loops, Dim d) {
  for (const Loop& loop : loops)
    if (loop.dim == d) return loop.bound;
  return 0;
}

class BruteForcer {
 public:
  explicit BruteForcer(const ExactCase& one)
      : case_(one),
        levels_(one.device.levels.size()),
        evaluator_(one.layer, one.precision, one.device) {
    const PerDim bounds = bounds_of(one.layer);
    for (const Dim d : kAllDims) factors_[at(d)] = factors_of_dim(d, bounds[at(d)]);
    const uint8_t masks = levels_ == 3 ? 8 : 1;
    for (uint8_t mask = 0; mask < masks; ++mask)
      if (levels_ == 2 || may_keep(mask)) masks_.push_back(mask);
  }

  /// Mappings, or more than `most`.
  double size(double most) {
    double count = 0;
    walk(0, [&] {
      count += orders(0).size() * (levels_ == 3 ? orders(1).size() : 1) * masks_.size();
      return count <= most;
    });
    return count;
  }

  BruteForce run(bool keep_all) {
    BruteForce result;
    walk(0, [&] {
      try_orders(result, keep_all);
      return true;
    });
    return result;
  }

 private:
  const LevelConstraint* at_level(size_t level) const { return constraint_at(case_, level); }

  bool may_keep(uint8_t mask) const {
    for (const Tensor t : kAllTensors) {
      const bool kept = (mask >> at(t) & 1) != 0;
      if (case_.device.levels[1].keep[t] == (kept ? Keep::Never : Keep::Always)) return false;
      const LevelConstraint* c = at_level(1);
      if (c && c->keeps[t].has_value() && *c->keeps[t] != kept) return false;
    }
    return true;
  }

  bool may_spread(Dim d, int64_t factor) const {
    const LevelConstraint* c = at_level(levels_ - 2);
    if (!c) return true;
    if (const int64_t wanted = fixed(c->spatial, d); wanted > 0 && wanted != factor) return false;
    const bool listed =
        !c->spatial_dims || std::count(c->spatial_dims->begin(), c->spatial_dims->end(), d) > 0;
    const int64_t most = fixed(c->spatial_most, d);
    return (factor == 1 || listed) && (most == 0 || factor <= most);
  }

  /// A fixed factor is what it must be; a free one is balanced.
  bool may_loop(size_t level, Dim d, int64_t count, int64_t factor, bool perfect) const {
    const LevelConstraint* c = at_level(level);
    const int64_t wanted = c ? fixed(c->temporal, d) : 0;
    if (wanted > 0) return factor == wanted && (!perfect || count % factor == 0);
    return balanced(count, factor, perfect);
  }

  std::vector<Factor> factors_of_dim(Dim d, int64_t bound) const {
    const bool perfect = case_.factors == Factors::Perfect || d == Dim::R || d == Dim::S;
    std::vector<Factor> all;
    const LevelConstraint* array = at_level(levels_ - 2);
    const bool spread_is_fixed = array && fixed(array->spatial, d) > 0;
    for (int64_t a = 1; a <= bound; ++a) {
      if (!may_loop(levels_ - 1, d, bound, a, perfect)) continue;
      const int64_t na = ceil_div(bound, a);
      for (int64_t s = 1; s <= na; ++s) {
        if (!may_spread(d, s)) continue;
        if (spread_is_fixed ? perfect && na % s != 0 : !balanced(na, s, perfect)) continue;
        const int64_t nb = ceil_div(na, s);
        for (int64_t t = 1; t <= (levels_ == 3 ? nb : 1); ++t) {
          if (levels_ == 3 && !may_loop(1, d, nb, t, perfect)) continue;
          const int64_t nc = ceil_div(nb, t);
          const LevelConstraint* c = at_level(0);
          if (c && fixed(c->temporal, d) > 0 && fixed(c->temporal, d) != nc) continue;
          all.push_back({int32_t(a), int32_t(s), int32_t(t), int32_t(nc)});
        }
      }
    }
    return all;
  }

  /// Every combination of factors; stops when `visit` says so.
  template <class Visit>
  bool walk(size_t d, const Visit& visit) {
    if (d == kDims) return visit();
    for (const Factor& factor : factors_[d]) {
      now_[d] = factor;
      if (!walk(d + 1, visit)) return false;
    }
    return true;
  }

  bool allowed(size_t level, const std::vector<Dim>& loops) const {
    const LevelConstraint* c = at_level(level);
    if (!c || c->order.empty()) return true;
    size_t next = 0;  // loops innermost last; those of the constraint must come last, in its order
    bool inside = false;
    for (const Dim d : loops) {
      const auto found = std::find(c->order.begin(), c->order.end(), d);
      if (found == c->order.end()) {
        if (inside) return false;
        continue;
      }
      const auto place = static_cast<size_t>(found - c->order.begin());
      if (inside && place < next) return false;
      next = place, inside = true;
    }
    return true;
  }

  /// Every order of the loops above 1, outermost first.
  std::vector<std::vector<Dim>> orders(size_t level) const {
    std::vector<Dim> loops;
    for (const Dim d : kAllDims)
      if ((level == 0 ? now_[at(d)].outermost : now_[at(d)].buffer) > 1) loops.push_back(d);
    std::vector<std::vector<Dim>> all;
    do {
      if (allowed(level, loops)) all.push_back(loops);
    } while (std::next_permutation(loops.begin(), loops.end()));
    return all;
  }

  static void set_order(Nest& nest, size_t level, const std::vector<Dim>& loops) {
    size_t i = kDims;
    for (auto d = loops.rbegin(); d != loops.rend(); ++d) nest.order[level][--i] = *d;
    for (const Dim d : kAllDims)
      if (std::find(loops.begin(), loops.end(), d) == loops.end()) nest.order[level][--i] = d;
  }

  void try_orders(BruteForce& result, bool keep_all) {
    const size_t last = levels_ - 1;
    Nest nest = empty_nest(static_cast<int>(levels_));
    for (size_t d = 0; d < kDims; ++d) {
      nest.temporal[0][d] = now_[d].outermost, nest.spatial[last - 1][d] = now_[d].array;
      nest.temporal[last][d] = now_[d].registers;
      if (levels_ == 3) nest.temporal[1][d] = now_[d].buffer;
    }
    for (const uint8_t mask : masks_) {
      if (levels_ == 3) nest.keeps[1] = mask;
      Score score;
      if (!evaluator_.score(nest, score)) continue;
      for (const auto& outer : orders(0)) {
        set_order(nest, 0, outer);
        for (const auto& inner : levels_ == 3 ? orders(1) : std::vector<std::vector<Dim>>(1)) {
          if (levels_ == 3) set_order(nest, 1, inner);
          if (evaluator_.score(nest, score)) note(result, score, keep_all);
        }
      }
    }
  }

  static void note(BruteForce& result, const Score& score, bool keep_all) {
    ++result.mappings;
    if (keep_all) result.all.push_back(score);
    for (size_t i = 0; i < kThreeObjectives.size(); ++i) {
      const Value value = value_of(kThreeObjectives[i], score);
      std::optional<Value>& best = result.best[i];
      const bool better =
          !best || value.first < best->first * (1 - kSame) ||
          (value.first <= best->first * (1 + kSame) && value.second < best->second * (1 - kSame));
      if (better) best = value;
    }
  }

  const ExactCase& case_;
  size_t levels_;
  Evaluator evaluator_;
  std::array<std::vector<Factor>, kDims> factors_;
  std::vector<uint8_t> masks_;
  std::array<Factor, kDims> now_{};
};

bool same(double a, double b) { return std::abs(a - b) <= kSame * std::abs(b); }

std::string differs(const ExactCase& one, size_t objective, const std::optional<Value>& expected) {
  SearchOptions options;
  options.objective = kThreeObjectives[objective];
  options.factors = one.factors;
  const auto result = search_exact(one.layer, one.precision, one.device, one.constraints, options);
  const Found* found = std::get_if<Found>(&result);
  if (!found || !expected)
    return (found != nullptr) == expected.has_value() ? ""
           : found                                    ? "found a mapping where there is none"
                                                      : std::get<Misfit>(result).why;
  const Value value = value_of(options.objective, {found->cost.energy_pj, found->cost.cycles});
  if (!same(value.first, expected->first) || !same(value.second, expected->second))
    return fmt::format("found ({:.17g}, {:.17g}), best is ({:.17g}, {:.17g})", value.first,
                       value.second, expected->first, expected->second);
  if (!found->certified || !same(found->lower_bound, value.first)) return "not certified";
  if (const auto why = violated(one.constraints, found->mapping, one.device)) return *why;
  return "";
}

}  // namespace

ExactCase draw_exact_case(uint64_t seed, uint64_t index, CaseKind kind, double most) {
  for (uint64_t attempt = 0;; ++attempt) {
    Rng rng(mix(seed, static_cast<uint64_t>(kind)), index, attempt);
    ExactCase one;
    one.layer = draw_layer(rng, kind);
    one.device = draw_device(rng, kind);
    one.factors = rng.flip() ? Factors::Perfect : Factors::Any;
    const int bits = one_of(rng, {16, 16, 16, 8, 4, 12, 32});
    one.precision = {bits, rng.flip(0.8) ? bits : 8};
    if (kind == CaseKind::Constrained)
      one.constraints = draw_constraints(rng, one.layer, one.device);
    if (BruteForcer(one).size(most) <= most) return one;
  }
}

BruteForce brute_force(const ExactCase& one, bool keep_all) {
  return BruteForcer(one).run(keep_all);
}

std::string difference(const ExactCase& one, const BruteForce& expected) {
  for (size_t i = 0; i < kThreeObjectives.size(); ++i) {
    const std::string text = differs(one, i, expected.best[i]);
    if (!text.empty()) return fmt::format("{}: {}", names_of(Objective{})[i].second, text);
  }
  return "";
}

std::string describe(const ExactCase& one) {
  const LayerShape& l = one.layer;
  return fmt::format(
      "n {} k {} c {} p {} q {} r {} s {} stride {} dilation {} groups {}, {} factors, {} bits\n{}"
      "constraints:\n{}",
      l.n, l.k, l.c, l.p, l.q, l.r, l.s, l.stride, l.dilation, l.groups,
      one.factors == Factors::Perfect ? "perfect" : "any", instantnet::to_string(one.precision),
      print_yaml(to_tree(one.device)), print_yaml(to_tree(one.constraints)));
}

}  // namespace instantnet::mapper
