#include "mapper/row_stationary.h"

#include <limits>
#include <vector>

namespace instantnet::mapper {
namespace {

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

std::vector<int64_t> divisors(int64_t n) {
  std::vector<int64_t> all;
  for (int64_t f = 1; f <= n; ++f)
    if (n % f == 0) all.push_back(f);
  return all;
}

constexpr std::array<std::array<Dim, 3>, 6> kOuterOrders = {{{Dim::N, Dim::K, Dim::P},
                                                             {Dim::N, Dim::P, Dim::K},
                                                             {Dim::K, Dim::N, Dim::P},
                                                             {Dim::K, Dim::P, Dim::N},
                                                             {Dim::P, Dim::N, Dim::K},
                                                             {Dim::P, Dim::K, Dim::N}}};

/// Tries the loops outside the array for one way of filling it.
class Best {
 public:
  Best(const LayerShape& layer, const Accelerator& device)
      : layer_(layer), device_(device), evaluator_(layer, {16, 16}, device) {}

  void try_outside(RowStationary mapping, int64_t strips) {
    const PerDim bounds = bounds_of(layer_);
    for (const int64_t inside : divisors(strips))
      for (const int64_t times : divisors(bounds[at(Dim::K)] / (mapping.p * mapping.t)))
        for (const int64_t n : divisors(layer_.n)) {
          mapping.strips = inside, mapping.m = times * mapping.p * mapping.t, mapping.n = n;
          for (const bool weights : {false, true})
            for (const auto& outer : kOuterOrders) {
              mapping.buffer_weights = weights, mapping.outer = outer;
              try_one(mapping);
            }
        }
  }

  std::optional<RowStationary> best() const { return best_; }

 private:
  void try_one(const RowStationary& mapping) {
    Score score;
    if (!evaluator_.score(nest_of(layer_, device_, mapping), score) || score.energy_pj >= least_)
      return;
    least_ = score.energy_pj;
    best_ = mapping;
  }

  const LayerShape& layer_;
  const Accelerator& device_;
  Evaluator evaluator_;
  double least_ = std::numeric_limits<double>::infinity();
  std::optional<RowStationary> best_;
};

}  // namespace

Nest nest_of(const LayerShape& layer, const Accelerator& device, const RowStationary& mapping) {
  const PerDim bounds = bounds_of(layer);
  const auto of = [&](Dim d) { return bounds[at(d)]; };
  const auto set = [](std::array<int32_t, kDims>& factors, Dim d, int64_t value) {
    factors[at(d)] = static_cast<int32_t>(value);
  };
  Nest nest = empty_nest(3);
  auto &dram = nest.temporal[0], &buffer = nest.temporal[1], &array = nest.spatial[1],
       &pe = nest.temporal[2];
  set(pe, Dim::K, mapping.p), set(pe, Dim::C, mapping.q), set(pe, Dim::S, of(Dim::S));
  // More rows than columns fold onto several rows of the array.
  const int64_t columns = device.levels[1].fanout_x;
  const int64_t rows_at_once =
      mapping.e <= columns ? mapping.e : columns * ceil_divide(mapping.e, columns);
  set(array, Dim::P, rows_at_once), set(array, Dim::R, of(Dim::R));
  set(array, Dim::C, mapping.r), set(array, Dim::K, mapping.t);
  set(buffer, Dim::K, mapping.m / (mapping.p * mapping.t)), set(buffer, Dim::N, mapping.n);
  set(buffer, Dim::P, mapping.strips), set(buffer, Dim::Q, of(Dim::Q));
  set(dram, Dim::G, of(Dim::G)), set(dram, Dim::N, ceil_divide(of(Dim::N), mapping.n));
  set(dram, Dim::K, ceil_divide(of(Dim::K), mapping.m));
  set(dram, Dim::P, ceil_divide(of(Dim::P), rows_at_once * mapping.strips));
  set(dram, Dim::C, ceil_divide(of(Dim::C), mapping.q * mapping.r));
  nest.order[0] = {Dim::R,           Dim::S,           Dim::Q,           Dim::G,
                   mapping.outer[0], mapping.outer[1], mapping.outer[2], Dim::C};
  nest.order[1] = {Dim::G, Dim::C, Dim::R, Dim::S, Dim::K, Dim::N, Dim::P, Dim::Q};
  nest.keeps = {7, static_cast<uint8_t>(mapping.buffer_weights ? 7 : 6), 7};
  return nest;
}

int64_t passes(const LayerShape& layer, const RowStationary& mapping) {
  const PerDim bounds = bounds_of(layer);
  return bounds[at(Dim::G)] * ceil_divide(layer.n, mapping.n) *
         ceil_divide(bounds[at(Dim::K)], mapping.p * mapping.t) * ceil_divide(layer.p, mapping.e) *
         ceil_divide(bounds[at(Dim::C)], mapping.q * mapping.r);
}

std::optional<RowStationary> best_row_stationary(const LayerShape& layer,
                                                 const Accelerator& device) {
  const PerDim bounds = bounds_of(layer);
  const int64_t columns = device.levels[1].fanout_x, rows = device.levels[1].fanout_y;
  const int64_t strips = ceil_divide(layer.p, columns);
  RowStationary mapping;
  mapping.e = ceil_divide(layer.p, strips);
  const int64_t sets = (rows / layer.r) * (columns / mapping.e);
  Best best(layer, device);
  for (const int64_t r : divisors(bounds[at(Dim::C)]))
    for (const int64_t t : divisors(bounds[at(Dim::K)])) {
      if (r * t > sets) continue;
      for (const int64_t q : divisors(bounds[at(Dim::C)] / r))
        for (const int64_t p : divisors(bounds[at(Dim::K)] / t)) {
          if (p * q * layer.s > device.levels[2].capacity_words) continue;
          mapping.r = r, mapping.t = t, mapping.q = q, mapping.p = p;
          best.try_outside(mapping, strips);
        }
    }
  return best.best();
}

}  // namespace instantnet::mapper
