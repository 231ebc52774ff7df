#include "instantnet/mapper/exact_lattice.h"

#include <algorithm>
#include <limits>

namespace instantnet::mapper::exact {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Outermost in memory first. Loops over K make rows: only inputs depend on them, linearly.
constexpr std::array<Dim, kDims> kLayout = {Dim::G, Dim::N, Dim::R, Dim::S,
                                            Dim::P, Dim::Q, Dim::C, Dim::K};

double real(int64_t x) { return static_cast<double>(x); }

}  // namespace

LayerFacts facts_of(const LayerShape& layer) {
  LayerFacts facts;
  facts.layer = layer;
  facts.bounds = bounds_of(layer);
  const auto bound = [&](Dim d) { return real(facts.bounds[at(d)]); };
  facts.weights = bound(Dim::G) * bound(Dim::K) * bound(Dim::C) * bound(Dim::R) * bound(Dim::S);
  facts.outputs = bound(Dim::N) * bound(Dim::G) * bound(Dim::K) * bound(Dim::P) * bound(Dim::Q);
  facts.planes = bound(Dim::N) * bound(Dim::G) * bound(Dim::C);
  const auto rows = [&](int64_t p, int64_t r) {
    return real(distinct_sums(layer.stride, p, layer.dilation, r));
  };
  facts.inputs_touched = facts.planes * rows(layer.p, layer.r) * rows(layer.q, layer.s);
  const bool moves = layer.p > 1 || layer.q > 1, filters = layer.r > 1 || layer.s > 1;
  facts.dense = (layer.stride == 1 || !moves) && (layer.dilation == 1 || !filters);
  return facts;
}

AxisRows rows_outside(const LayerShape& layer, int64_t p, int64_t np, int64_t r, int64_t nr) {
  const int64_t extent = window(layer, p, r);
  const auto slide = [&](int64_t n, int64_t shift) {
    return real(extent + (n - 1) * std::min(extent, shift));
  };
  return {real(np * nr * extent), real(nr) * slide(np, layer.stride * p),
          real(np) * slide(nr, layer.dilation * r)};
}

/// What a table holds at a point before any minimum is taken: prices of traffic with DRAM under its
/// best order, plus traffic that each tensor cannot avoid elsewhere.
struct Lattice::Job {
  Table* table = nullptr;
  Each price{};  // of an element between DRAM and the buffer
  double constant = 0;
  double weights = 0;   // times the visits of loops that make weights be fetched again
  double outputs = 0;   // likewise
  bool blocks = false;  // only tiles that the array can hold at once
};

/// Words between DRAM and the buffer that no order may exceed.
struct Lattice::Cap {
  Each price{};
  double words = 0;
};

/// Walks the lattice row by row.
class Lattice::Filler {
 public:
  Filler(const LayerFacts& facts, const Space& space, const Capacity& capacity,
         double largest_block, std::vector<Job> jobs, std::vector<Cap> caps)
      : facts_(facts),
        space_(space),
        capacity_(capacity),
        largest_block_(largest_block),
        jobs_(std::move(jobs)),
        caps_(std::move(caps)) {
    const DimSpace& dim = space_[at(Dim::K)];
    for (const int64_t count : dim.counts) counts_.push_back(real(count));
  }

  bool run() {
    walk(0, 0);
    return any_;
  }

 private:
  void walk(size_t depth, size_t index) {
    const Dim d = kLayout[depth];
    if (d == Dim::K) return row(index);
    if (d == Dim::C) prepare();
    const DimSpace& dim = space_[at(d)];
    for (int i = 0; i < dim.size(); ++i) {
      if (!dim.outermost[i]) continue;
      tile_[at(d)] = dim.least_tiles[i], count_[at(d)] = dim.counts[i];
      walk(depth + 1,
           (index + static_cast<size_t>(i)) * (size_t)space_[at(kLayout[depth + 1])].size());
    }
  }

  /// What does not depend on C and K.
  void prepare() {
    const auto tile = [&](Dim d) { return tile_[at(d)]; };
    const auto count = [&](Dim d) { return count_[at(d)]; };
    const AxisRows h =
        rows_outside(facts_.layer, tile(Dim::P), count(Dim::P), tile(Dim::R), count(Dim::R));
    const AxisRows w =
        rows_outside(facts_.layer, tile(Dim::Q), count(Dim::Q), tile(Dim::S), count(Dim::S));
    by_outputs_ =
        facts_.planes * std::min(h.sliding_outputs * w.plain, h.plain * w.sliding_outputs);
    by_filter_ = facts_.planes * std::min(h.sliding_filter * w.plain, h.plain * w.sliding_filter);
    visits_w_ = real(count(Dim::N) * count(Dim::P) * count(Dim::Q));
    window_ = real(window(facts_.layer, tile(Dim::P), tile(Dim::R))) *
              real(window(facts_.layer, tile(Dim::Q), tile(Dim::S)));
  }

  /// The largest tile of K that fits the buffer; less than 1: none.
  double largest_k() const {
    const auto tile = [&](Dim d) { return real(tile_[at(d)]); };
    const Capacity& c = capacity_;
    const double w = c.words[kW] * tile(Dim::G) * tile(Dim::C) * tile(Dim::R) * tile(Dim::S);
    const double o = c.words[kO] * tile(Dim::N) * tile(Dim::G) * tile(Dim::P) * tile(Dim::Q);
    const double i = c.words[kI] * tile(Dim::N) * tile(Dim::G) * tile(Dim::C) * window_;
    if (i > c.own[kI]) return 0;
    double most = kInfinity;
    if (w > 0) most = std::min(most, c.own[kW] / w);
    if (o > 0) most = std::min(most, c.own[kO] / o);
    const double shared = w * c.share[kW] + o * c.share[kO], left = c.shared - i * c.share[kI];
    if (left < 0) return 0;
    if (shared > 0) most = std::min(most, left / shared);
    return most * (1 + 1e-12);
  }

  void row(size_t index) {
    const DimSpace& dim = space_[at(Dim::K)];
    const double most = largest_k();
    int first = 0;
    while (first < dim.size() && real(dim.least_tiles[first]) > most) ++first;
    if (first == dim.size()) return;
    any_ = true;
    const double visits_o = real(count_[at(Dim::C)] * count_[at(Dim::R)] * count_[at(Dim::S)]);
    cut(visits_o);
    double block = 1;
    for (const Dim d : kAllDims)
      if (d != Dim::K) block *= real(tile_[at(d)]);
    for (const Job& job : jobs_) {
      int from = first;
      if (job.blocks)
        while (from < dim.size() && block * real(dim.least_tiles[from]) > largest_block_) ++from;
      fill(job, visits_o, index, from, dim);
    }
  }

  void fill(const Job& job, double visits_o, size_t index, int from, const DimSpace& dim) const {
    const double base = job.constant + job.weights * visits_w_ + job.outputs * visits_o;
    const double w = job.price[kW] * facts_.weights, o = job.price[kO] * facts_.outputs;
    const double i = job.price[kI];
    // Weights stay, outputs stay, inputs stay.
    const double a1 = base + w + o * visits_o, b1 = i * by_outputs_;
    const double a2 = base + w * visits_w_ + o, b2 = i * by_filter_;
    const double a3 = base + w * visits_w_ + o * visits_o + i * std::min(by_outputs_, by_filter_);
    double* to = job.table->data() + index;
    const double* counts = counts_.data();
    const int n = dim.size();
    if (caps_.empty()) {
      for (int k = from; k < n; ++k)
        to[k] = std::min(a3, std::min(a1 + b1 * counts[k], a2 + b2 * counts[k]));
    } else {
      for (int k = from; k < end_[kI]; ++k) to[k] = a3;
      for (int k = from; k < end_[kW]; ++k) to[k] = std::min(to[k], a1 + b1 * counts[k]);
      for (int k = from; k < end_[kO]; ++k) to[k] = std::min(to[k], a2 + b2 * counts[k]);
    }
    for (int k = from; k < n; ++k)
      if (!dim.outermost[k]) to[k] = kInfinity;
  }

  /// end_ of a row: more tiles of K make DRAM send more inputs.
  void cut(double visits_o) {
    const int n = static_cast<int>(counts_.size());
    end_.fill(n);
    for (const Cap& cap : caps_) {
      const double w = cap.price[kW] * facts_.weights, o = cap.price[kO] * facts_.outputs;
      const double i = cap.price[kI], most = cap.words;
      const auto shorten = [&](int t, double words, double per_count) {
        while (end_[t] > 0 && words + per_count * counts_[end_[t] - 1] > most) --end_[t];
      };
      shorten(kW, w + o * visits_o, i * by_outputs_);
      shorten(kO, w * visits_w_ + o, i * by_filter_);
      shorten(kI, w * visits_w_ + o * visits_o + i * std::min(by_outputs_, by_filter_), 0);
    }
  }

  const LayerFacts& facts_;
  const Space& space_;
  const Capacity& capacity_;
  double largest_block_;
  std::vector<Job> jobs_;
  std::vector<Cap> caps_;
  std::array<int, kTensors> end_{};  // of the row, where this tensor stays
  std::vector<double> counts_;
  PerDim tile_{}, count_{};
  double by_outputs_ = 0, by_filter_ = 0, visits_w_ = 0, window_ = 0;
  bool any_ = false;
};

Table TablePool::take(size_t size) {
  Table table;
  if (!free_.empty()) table = std::move(free_.back()), free_.pop_back();
  table.resize(size);
  return table;
}

void TablePool::give(Table&& table) {
  if (table.capacity() > 0) free_.push_back(std::move(table));
}

Lattice::Lattice(const LayerFacts& facts, const Space& space, const Form& form,
                 double largest_block, double most_cycles, const Hopeless& hopeless,
                 TablePool& pool)
    : facts_(facts), space_(space), pool_(pool) {
  int64_t stride = 1;
  for (size_t i = kDims; i-- > 0;) {
    strides_[at(kLayout[i])] = stride;
    stride *= space[at(kLayout[i])].size();
  }
  size_ = static_cast<size_t>(stride);
  fill(space, form, largest_block, most_cycles);
  if (empty_) return;
  transform();
  any_alone_ = least_alone_ < kInfinity && !hopeless(least_alone_);
  if (any_alone_) transform_alone();
}

Lattice::~Lattice() {
  for (Table& table : outer_) pool_.give(std::move(table));
  for (Table& table : joint_) pool_.give(std::move(table));
  for (Table& table : inherited_) pool_.give(std::move(table));
  for (Table& table : alone_) pool_.give(std::move(table));
  for (Table& table : limits_) pool_.give(std::move(table));
}

void Lattice::fill(const Space& space, const Form& form, double largest_block, double most_cycles) {
  const Linear& energy = form.energy;
  Each own;  // energy of an element between buffer and registers, brought to one PE
  for (int t = 0; t < kTensors; ++t) own[t] = energy.buffer[t] + energy.fill[t];
  std::vector<Job> jobs;
  const auto job = [&](Table& table, const Each& price) -> Job& {
    table = pool_.take(size_);
    std::fill(table.begin(), table.end(), kInfinity);
    return jobs.emplace_back(Job{&table, price});
  };
  /// Adds what tensor t costs when it is fetched from the buffer as often as the buffer fetches it.
  const auto add_own = [&](Job& one, int t) {
    if (t == kI && !facts_.dense)
      one.constant += own[t] * facts_.inputs_touched;
    else
      one.price[t] += own[t];
  };
  jobs.reserve(7 + form.limits.size());
  job(outer_[kDims], energy.outer);
  job(joint_[0], energy.outer).weights = own[kW] * facts_.weights;
  job(joint_[1], energy.outer).outputs = own[kO] * facts_.outputs;
  for (int t = 0; t < kTensors; ++t) add_own(job(inherited_[t], energy.outer), t);
  Job& alone = job(alone_[kGroups], energy.outer);
  for (int t = 0; t < kTensors; ++t) add_own(alone, t);
  alone.blocks = true;
  limits_.resize(form.limits.size());
  for (size_t i = 0; i < form.limits.size(); ++i) {
    const Each& price = form.limits[i].words.outer;
    const auto used = std::count_if(price.begin(), price.end(), [](double x) { return x != 0; });
    const bool gaps = !facts_.dense && price[kI] != 0;
    if ((form.limits[i].outermost && used > 1) || gaps) job(limits_[i], price);
  }
  std::vector<Cap> caps;
  for (const Limit& limit : form.limits) {
    // A little more than most_cycles: what is left may be a small difference of large numbers.
    double words = most_cycles * limit.words_per_cycle * (1 + 1e-9) - limit.words.constant;
    for (const auto& [t, once] :
         {std::pair{kW, facts_.weights}, {kI, facts_.inputs_touched}, {kO, facts_.outputs}})
      words -= (limit.words.buffer[t] + limit.words.fill[t]) * once;
    if (limit.outermost && words < kInfinity) caps.push_back({limit.words.outer, words});
  }
  empty_ =
      !Filler(facts_, space, form.buffer, largest_block, std::move(jobs), std::move(caps)).run();
}

void Lattice::minimise(Table& table, Dim d) const {
  const DimSpace& dim = space_[at(d)];
  const auto stride = static_cast<size_t>(strides_[at(d)]);
  const size_t block = stride * static_cast<size_t>(dim.size());
  if (dim.size() == 1) return;
  for (size_t base = 0; base < size_; base += block)
    for (const auto& [to, from] : dim.passes) {
      double* a = table.data() + base + static_cast<size_t>(to) * stride;
      const double* b = table.data() + base + static_cast<size_t>(from) * stride;
      for (size_t i = 0; i < stride; ++i) a[i] = std::min(a[i], b[i]);
    }
}

/// The same from another table, which stays.
void Lattice::minimise(const Table& from, Table& to, Dim d) const {
  to = pool_.take(size_);
  const DimSpace& dim = space_[at(d)];
  if (dim.perfect) {
    std::copy(from.begin(), from.end(), to.begin());
    return minimise(to, d);
  }
  // One pass of a running minimum.
  const auto stride = static_cast<size_t>(strides_[at(d)]);
  const size_t block = stride * static_cast<size_t>(dim.size());
  for (size_t base = 0; base < size_; base += block) {
    const double* a = from.data() + base;
    double* b = to.data() + base;
    std::copy(a, a + stride, b);
    for (size_t i = stride; i < block; ++i) b[i] = std::min(a[i], b[i - stride]);
  }
}

void Lattice::transform() {
  outer_of_[kDims] = kDims;
  for (size_t j = kDims; j-- > 0;) {
    outer_of_[j] = flat(kLoopOrder[j]) ? outer_of_[j + 1] : j;
    if (outer_of_[j] == j) minimise(outer_[outer_of_[j + 1]], outer_[j], kLoopOrder[j]);
  }
  for (const Dim d : kAllDims) {
    for (Table& table : joint_) minimise(table, d);
    for (Table& table : limits_)
      if (!table.empty()) minimise(table, d);
  }
  for (size_t t = 0; t < kTensors; ++t)
    for (const Dim d : kAllDims)
      if (!relevant(kAllTensors[t], d)) minimise(inherited_[t], d);
  least_alone_ = *std::min_element(alone_[kGroups].begin(), alone_[kGroups].end());
}

void Lattice::transform_alone() {
  alone_of_[kGroups] = kGroups;
  for (size_t g = kGroups; g-- > 0;) {
    const auto [first, second] = kGroupDims[g];
    const Table& before = alone_[alone_of_[g + 1]];
    alone_of_[g] = flat(first) && flat(second) ? alone_of_[g + 1] : g;
    if (alone_of_[g] != g) continue;
    minimise(before, alone_[g], first);
    if (second != first) minimise(alone_[g], second);
  }
}

double Lattice::least_outer(const Limit& limit) const {
  const Each& price = limit.words.outer;
  return price[kW] * facts_.weights + price[kI] * facts_.inputs_touched +
         price[kO] * facts_.outputs;
}

}  // namespace instantnet::mapper::exact
