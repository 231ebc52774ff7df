#include "instantnet/mapper/simulator.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"

namespace instantnet::mapper {

namespace {

/// The five coordinates of an element in one number.
using Element = int64_t;
using Elements = std::vector<Element>;  // ascending
using Values = std::map<Element, int64_t>;

constexpr int kCoordinateBits = 12;
/// Of elements that a level fetched and that its parent does not hold: edge windows are fetched
/// whole, also where they reach out of the parent's tile. They count when the window first reaches
/// them and arrive when the parent has them; no multiplication may use them before.
constexpr int64_t kMissing = INT64_MIN;

Element element(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e) {
  Element key = 0;
  for (const int64_t coordinate : {a, b, c, d, e}) {
    if (coordinate >= int64_t{1} << kCoordinateBits) bug("the layer is too large to simulate.");
    key = key << kCoordinateBits | coordinate;
  }
  return key;
}

/// A box of loop indices: from `at[d]`, `size[d]` long.
struct Box {
  PerDim at{}, size{};
};

int64_t get(const PerDim& values, Dim d) { return values[at(d)]; }

/// One loop over time.
struct TimeLoop {
  size_t level = 0;
  Dim dim = Dim::N;
  int64_t bound = 1;
  int64_t stride = 1;  // iterations of the dim inside it
};

/// One of the copies of a level (of the multipliers, behind the last level).
struct Instance {
  PerDim at{};  // where its share of the layer begins, before loops over time
  std::array<Values, kTensors> buffer;
};

/// What goes to one or more children together.
struct Stream {
  Elements elements;
  std::vector<int64_t> copies;  // of children it reaches, by level from the sender's in
};

/// A level that keeps a tensor and the next one in that does, or the multipliers.
struct Boundary {
  Tensor tensor = Tensor::Weights;
  size_t outer = 0, inner = 0;
  size_t loops = 0;  // so many of the loops over time, outermost first, move the inner tiles
  std::vector<int64_t> last;                  // their indices at the last transfer
  std::vector<std::vector<int64_t>> last_of;  // likewise, of each outer instance with work
  std::vector<std::set<Element>> summed;      // outputs that came up to each outer instance
  bool begun = false;
};

class Simulator {
 public:
  Simulator(const LayerShape& layer, const Accelerator& device, const Mapping& mapping,
            uint64_t seed)
      : layer_(layer), device_(device), mapping_(mapping), bounds_(bounds_of(layer)) {
    if (mapping.levels.size() != device.levels.size())
      bug("the mapping has not as many levels as the device.");
    cut_loops();
    place_instances();
    draw_tensors(seed);
    for (const Tensor t : kAllTensors) find_boundaries(t);
    counts_.levels.resize(levels());
    counts_.network.resize(levels());
  }

  Simulation run() {
    index_.assign(loops_.size(), 0);
    do {
      if (step_is_outside()) continue;
      ++counts_.steps;
      for (auto b = boundaries_.rbegin(); b != boundaries_.rend(); ++b)
        if (due(*b)) drain(*b);
      for (Boundary& b : boundaries_)
        if (due(b)) transfer(b);
      multiply();
    } while (next_step());
    for (auto b = boundaries_.rbegin(); b != boundaries_.rend(); ++b) drain(*b);
    counts_.instances = static_cast<int64_t>(busy_.size());
    return {counts_, outputs(), direct_convolution()};
  }

 private:
  size_t levels() const { return device_.levels.size(); }

  // ---- Setting up.

  /// From the innermost loop out: how much each loop covers, none longer than the layer needs.
  void cut_loops() {
    PerDim size;
    size.fill(1);
    sizes_.assign(levels() + 1, size);
    children_.resize(levels());
    for (size_t l = levels(); l-- > 0;) {
      sizes_[l + 1] = size;
      children_[l].fill(1);
      for (const auto* loops : {&mapping_.levels[l].spatial_x, &mapping_.levels[l].spatial_y})
        for (const Loop& loop : *loops) children_[l][at(loop.dim)] *= loop.bound;
      for (const Dim d : kAllDims) cut(children_[l][at(d)], size[at(d)], d);
      const auto& temporal = mapping_.levels[l].temporal;
      for (auto loop = temporal.rbegin(); loop != temporal.rend(); ++loop) {
        TimeLoop time{l, loop->dim, loop->bound, get(size, loop->dim)};
        cut(time.bound, size[at(loop->dim)], loop->dim);
        if (time.bound > 1) loops_.insert(loops_.begin(), time);
      }
    }
    sizes_[0] = size;
    for (const Dim d : kAllDims)
      if (get(size, d) < get(bounds_, d)) bug("the mapping does not cover the layer.");
  }

  /// A loop around `size` iterations, no longer than needed; then `size` includes it.
  void cut(int64_t& bound, int64_t& size, Dim d) const {
    int64_t needed = 1;
    while (needed * size < get(bounds_, d)) ++needed;
    bound = std::min(bound, needed);
    size *= bound;
  }

  /// Every copy of every level, the children of one next to each other.
  void place_instances() {
    instances_.resize(levels() + 1);
    instances_[0].resize(1);
    for (size_t l = 0; l < levels(); ++l)
      for (const Instance& parent : instances_[l]) {
        PerDim child{};
        do {
          Instance& made = instances_[l + 1].emplace_back();
          for (const Dim d : kAllDims)
            made.at[at(d)] = get(parent.at, d) + get(child, d) * get(sizes_[l + 1], d);
        } while (advance(child, children_[l]));
      }
  }

  /// The next index in a box of bounds; false after the last.
  static bool advance(PerDim& index, const PerDim& bounds) {
    for (size_t d = kDims; d-- > 0;) {
      if (++index[d] < bounds[d]) return true;
      index[d] = 0;
    }
    return false;
  }

  void draw_tensors(uint64_t seed) {
    Rng rng(seed);
    Box all;
    all.size = bounds_;
    for (const Tensor t : {Tensor::Weights, Tensor::Inputs})
      for (const Element e : elements_of(t, all))
        instances_[0][0].buffer[at(t)][e] = static_cast<int64_t>(rng.below(17)) - 8;
    for (const Element e : elements_of(Tensor::Outputs, all))
      instances_[0][0].buffer[at(Tensor::Outputs)][e] = 0;
    drawn_ = instances_[0][0].buffer;
  }

  void find_boundaries(Tensor t) {
    size_t outer = 0;
    for (size_t l = 1; l <= levels(); ++l) {
      if (l < levels() && !mapping_.levels[l].keeps[t]) continue;
      Boundary b;
      b.tensor = t, b.outer = outer, b.inner = l;
      for (size_t i = 0; i < loops_.size(); ++i)
        if (l == levels() || (loops_[i].level < l && relevant(t, loops_[i].dim))) b.loops = i + 1;
      b.last_of.resize(instances_[outer].size());
      b.summed.resize(instances_[outer].size());
      boundaries_.push_back(b);
      outer = l;
    }
  }

  // ---- Time.

  bool next_step() {
    for (size_t i = loops_.size(); i-- > 0;) {
      if (++index_[i] < loops_[i].bound) return true;
      index_[i] = 0;
    }
    return false;
  }

  /// Where the first `count` loops over time stand; the others at their start.
  PerDim time(size_t count) const {
    PerDim now{};
    for (size_t i = 0; i < count; ++i) now[at(loops_[i].dim)] += index_[i] * loops_[i].stride;
    return now;
  }

  /// Nobody has work while the innermost level runs its loops.
  bool step_is_outside() const {
    size_t outside = 0;
    while (outside < loops_.size() && loops_[outside].level + 1 < levels()) ++outside;
    return !inside(time(outside));
  }

  bool inside(const PerDim& index) const {
    for (const Dim d : kAllDims)
      if (get(index, d) >= get(bounds_, d)) return false;
    return true;
  }

  // ---- Tiles.

  /// Output rows `p` and filter rows `r` of a box as one run of input rows, gaps included.
  static std::pair<int64_t, int64_t> window(const Box& box, Dim p, Dim r, int64_t stride,
                                            int64_t dilation) {
    const int64_t from = stride * get(box.at, p) + dilation * get(box.at, r);
    return {from, from + stride * (get(box.size, p) - 1) + dilation * (get(box.size, r) - 1) + 1};
  }

  /// Indices of a box along a dim that lie in the layer.
  std::pair<int64_t, int64_t> clipped(const Box& box, Dim d) const {
    return {get(box.at, d), std::min(get(box.at, d) + get(box.size, d), get(bounds_, d))};
  }

  /// What a box of loop indices touches: clipped to the layer, but windows of inputs whole.
  Elements elements_of(Tensor t, const Box& box) const {
    std::array<std::pair<int64_t, int64_t>, 5> range;
    if (t == Tensor::Weights)
      range = {clipped(box, Dim::G), clipped(box, Dim::K), clipped(box, Dim::C),
               clipped(box, Dim::R), clipped(box, Dim::S)};
    else if (t == Tensor::Outputs)
      range = {clipped(box, Dim::N), clipped(box, Dim::G), clipped(box, Dim::K),
               clipped(box, Dim::P), clipped(box, Dim::Q)};
    else
      range = {clipped(box, Dim::N), clipped(box, Dim::G), clipped(box, Dim::C),
               window(box, Dim::P, Dim::R, layer_.stride, layer_.dilation),
               window(box, Dim::Q, Dim::S, layer_.stride, layer_.dilation)};
    Elements found;
    for (int64_t a = range[0].first; a < range[0].second; ++a)
      for (int64_t b = range[1].first; b < range[1].second; ++b)
        for (int64_t c = range[2].first; c < range[2].second; ++c)
          for (int64_t d = range[3].first; d < range[3].second; ++d)
            for (int64_t e = range[4].first; e < range[4].second; ++e)
              found.push_back(element(a, b, c, d, e));
    return found;
  }

  /// The tile of an instance while the boundary's loops stand where they are.
  Elements tile(const Boundary& b, size_t instance) const {
    Box box;
    box.at = time(b.loops);
    for (const Dim d : kAllDims) {
      box.at[at(d)] += get(instances_[b.inner][instance].at, d);
      box.size[at(d)] = std::min(get(sizes_[b.inner], d), get(bounds_, d));
    }
    return elements_of(b.tensor, box);
  }

  /// Instances of a level below one of another.
  size_t below(size_t outer, size_t inner) const {
    return instances_[inner].size() / instances_[outer].size();
  }

  // ---- Moving tiles.

  bool due(const Boundary& b) const {
    if (!b.begun || b.inner == levels()) return true;
    return !std::equal(b.last.begin(), b.last.end(), index_.begin());
  }

  /// Partial sums of the inner level are added to those of the outer one.
  void drain(const Boundary& b) {
    if (b.tensor != Tensor::Outputs || b.inner == levels()) return;
    for (size_t i = 0; i < instances_[b.inner].size(); ++i) {
      Values& sums = instances_[b.inner][i].buffer[at(b.tensor)];
      Values& into = instances_[b.outer][i / below(b.outer, b.inner)].buffer[at(b.tensor)];
      for (const auto& [e, sum] : sums) {
        if (!into.contains(e)) bug("a partial sum comes up to a level that does not hold it.");
        into[e] += sum;
      }
      sums.clear();
    }
  }

  /// Moves the inner tiles on, for every outer instance that has work.
  void transfer(Boundary& b) {
    b.begun = true;
    b.last.assign(index_.begin(), index_.begin() + static_cast<int64_t>(b.loops));
    for (size_t i = 0; i < instances_[b.outer].size(); ++i) {
      PerDim first = time(b.loops);
      for (const Dim d : kAllDims) first[at(d)] += get(instances_[b.outer][i].at, d);
      if (!inside(first)) continue;
      const bool sliding = slides(b, i);
      count(b, i, demand(b, b.outer, i, sliding));
      if (b.inner < levels()) load(b, i, sliding);
      b.last_of[i] = b.last;
    }
  }

  /// Only the innermost of the boundary's loops moved since the last transfer, by one.
  bool slides(const Boundary& b, size_t outer) const {
    std::vector<int64_t> before = b.last_of[outer];
    if (before.empty() || b.inner == levels()) return false;
    ++before.back();
    return before == b.last;
  }

  /// What an instance's inner tiles need, in streams of one transfer each.
  std::vector<Stream> demand(const Boundary& b, size_t level, size_t instance, bool sliding) const {
    if (level == b.inner) {
      Elements needed = tile(b, instance);
      if (sliding) {
        const Values& held = instances_[level][instance].buffer[at(b.tensor)];
        std::erase_if(needed, [&](Element e) { return held.contains(e); });
      }
      return {{needed, std::vector<int64_t>(b.inner - b.outer, 0)}};
    }
    const StorageLevel& storage = device_.levels[level];
    const bool shared = b.tensor == Tensor::Outputs ? storage.reduction : storage.multicast;
    std::vector<std::vector<Stream>> distinct;
    const size_t fanout = below(level, level + 1);
    for (size_t child = instance * fanout; child < (instance + 1) * fanout; ++child) {
      std::vector<Stream> streams = demand(b, level + 1, child, sliding);
      for (Stream& stream : streams) stream.copies[level - b.outer] = 1;
      const auto same = std::find_if(distinct.begin(), distinct.end(), [&](const auto& other) {
        return std::equal(
            streams.begin(), streams.end(), other.begin(), other.end(),
            [](const Stream& x, const Stream& y) { return x.elements == y.elements; });
      });
      if (!shared || same == distinct.end()) {
        distinct.push_back(streams);
        continue;
      }
      for (size_t i = 0; i < streams.size(); ++i)
        for (size_t l = 0; l < streams[i].copies.size(); ++l)
          (*same)[i].copies[l] += streams[i].copies[l];
    }
    std::vector<Stream> all;
    for (const auto& streams : distinct) all.insert(all.end(), streams.begin(), streams.end());
    return all;
  }

  /// Weights and inputs go down. Partial sums come up, and went down before unless they are new.
  void count(Boundary& b, size_t outer, const std::vector<Stream>& streams) {
    Accesses& sender = counts_.levels[b.outer][b.tensor];
    for (const Stream& stream : streams) {
      const auto size = static_cast<int64_t>(stream.elements.size());
      int64_t down = size, up = 0;
      if (b.tensor == Tensor::Outputs) {
        for (const Element e : stream.elements)
          if (b.summed[outer].insert(e).second) --down;
        up = size;
      }
      sender.reads += down;
      sender.updates += up;
      for (size_t l = b.outer; l < b.inner; ++l)
        counts_.network[l][b.tensor] += (down + up) * stream.copies[l - b.outer];
      if (b.inner < levels())
        counts_.levels[b.inner][b.tensor].fills += down * stream.copies.back();
    }
  }

  /// Fills the inner buffers: what they hold stays, the rest comes from the outer buffer.
  void load(const Boundary& b, size_t outer, bool sliding) {
    const Values& from = instances_[b.outer][outer].buffer[at(b.tensor)];
    const size_t count = below(b.outer, b.inner);
    for (size_t child = outer * count; child < (outer + 1) * count; ++child) {
      Values& buffer = instances_[b.inner][child].buffer[at(b.tensor)];
      Values filled;
      for (const Element e : tile(b, child)) {
        if (b.tensor == Tensor::Outputs)
          filled[e] = 0;
        else if (sliding && buffer.contains(e) && buffer.at(e) != kMissing)
          filled[e] = buffer.at(e);
        else
          filled[e] = from.contains(e) ? from.at(e) : kMissing;
      }
      buffer = std::move(filled);
    }
  }

  // ---- Computing.

  /// The buffer a multiplier works on.
  Values& nearest_buffer(Tensor t, size_t multiplier) {
    size_t l = levels() - 1;
    while (l > 0 && !mapping_.levels[l].keeps[t]) --l;
    return instances_[l][multiplier / below(l, levels())].buffer[at(t)];
  }

  void multiply() {
    for (size_t m = 0; m < instances_[levels()].size(); ++m) {
      PerDim i = time(loops_.size());
      for (const Dim d : kAllDims) i[at(d)] += get(instances_[levels()][m].at, d);
      if (!inside(i)) continue;
      const auto [n, g, k, c, p, q, r, s] = i;
      const Values& weights = nearest_buffer(Tensor::Weights, m);
      const Values& inputs = nearest_buffer(Tensor::Inputs, m);
      Values& outputs = nearest_buffer(Tensor::Outputs, m);
      const auto weight = weights.find(element(g, k, c, r, s));
      const auto input = inputs.find(element(n, g, c, layer_.stride * p + layer_.dilation * r,
                                             layer_.stride * q + layer_.dilation * s));
      const auto output = outputs.find(element(n, g, k, p, q));
      if (weight == weights.end() || input == inputs.end() || output == outputs.end() ||
          weight->second == kMissing || input->second == kMissing)
        bug("a multiplier needs what its buffers do not hold.");
      output->second += weight->second * input->second;
      ++counts_.macs;
      busy_.insert(m);
    }
  }

  std::vector<int64_t> outputs() const {
    std::vector<int64_t> values;
    for (const auto& [e, value] : instances_[0][0].buffer[at(Tensor::Outputs)])
      values.push_back(value);
    return values;
  }

  std::vector<int64_t> direct_convolution() const {
    Values sums = drawn_[at(Tensor::Outputs)];
    PerDim i{};
    do {
      const auto [n, g, k, c, p, q, r, s] = i;
      sums[element(n, g, k, p, q)] +=
          drawn_[at(Tensor::Weights)].at(element(g, k, c, r, s)) *
          drawn_[at(Tensor::Inputs)].at(element(n, g, c, layer_.stride * p + layer_.dilation * r,
                                                layer_.stride * q + layer_.dilation * s));
    } while (advance(i, bounds_));
    std::vector<int64_t> values;
    for (const auto& [e, value] : sums) values.push_back(value);
    return values;
  }

  const LayerShape layer_;
  const Accelerator& device_;
  const Mapping& mapping_;
  const PerDim bounds_;
  std::vector<TimeLoop> loops_;                   // outermost first, none of bound 1
  std::vector<int64_t> index_;                    // where each stands
  std::vector<PerDim> sizes_;                     // of a level's tile: all loops from it in
  std::vector<PerDim> children_;                  // of one instance of a level, along each dim
  std::vector<std::vector<Instance>> instances_;  // by level, multipliers last
  std::vector<Boundary> boundaries_;              // of each tensor, outermost first
  std::array<Values, kTensors> drawn_;            // weights, inputs, and outputs of zero
  std::set<size_t> busy_;                         // multipliers that had work
  AccessCounts counts_;
};

}  // namespace

Simulation simulate(const LayerShape& layer, const Accelerator& device, const Mapping& mapping,
                    uint64_t seed) {
  return Simulator(layer, device, mapping, seed).run();
}

}  // namespace instantnet::mapper
