#include "instantnet/mapper/exact_branch.h"

#include <algorithm>
#include <tuple>

#include "instantnet/mapper/mapping.h"

namespace instantnet::mapper::exact {

namespace {

constexpr int kCallsBetweenLooks = 256;
constexpr double kSecondsBetweenReports = 0.1;

/// A register tile: one of each group.
struct RegisterTile {
  Value bound;
  std::array<uint16_t, kGroups> tiles{};
};

class Search {
 public:
  Search(const Branches& branches, const Form& form, const Goal& goal, Clock& clock, Best& best)
      : in_(branches),
        form_(form),
        goal_(goal),
        clock_(clock),
        best_(best),
        pes_(branches.columns * branches.rows),
        mirrored_(is_mirrored(branches)) {
    left_.assign(static_cast<size_t>(pes_) + 1, 0);
    for (int64_t product = pes_; product > 0; --product)
      for (int64_t more = pes_ / product; more > 0 && left_[product] == 0; --more)
        if (fits_array(product * more, in_.columns, in_.rows))
          left_[product] = static_cast<double>(more);
  }

  Value run();

 private:
  static bool is_mirrored(const Branches& branches);
  void collect(int group, Each volume, double size, RegisterTile& tile);
  void order();
  void prepare(const RegisterTile& tile);
  void spread(int group, const Partial& done);
  void keep(const Partial& done);
  bool is_mirror() const;
  Value explore(Expander& expander);
  bool over(const Value& bound) { return clock_.over(best_.value.first, bound.first); }

  const Branches& in_;
  const Form& form_;
  const Goal& goal_;
  Clock& clock_;
  Best& best_;
  int64_t pes_;
  bool mirrored_;
  std::vector<double> left_;  // by how much a number of PEs can be multiplied
  const Bounds* bounds_ = nullptr;
  const Lattice* lattice_ = nullptr;
  std::vector<RegisterTile> registers_;
  double largest_tile_ = 0;
  std::array<Rest, kGroups + 1> rest_;  // of the register tile being spread, by groups spread
  ArrayTile current_;
  std::vector<ArrayTile> queue_;
  Value least_expanded_{kInfinity, kInfinity};
};

/// Whether rows and columns may be exchanged.
bool Search::is_mirrored(const Branches& in) {
  const auto dim = [&](Dim d) -> const DimSpace& { return in.space[at(d)]; };
  return in.inner.empty() && dim(Dim::P) == dim(Dim::Q) && dim(Dim::R) == dim(Dim::S);
}

/// All register tiles that fit, one group after the other.
void Search::collect(int group, Each volume, double size, RegisterTile& tile) {
  if (group == kGroups) {
    largest_tile_ = std::max(largest_tile_, size);
    registers_.push_back(tile);
    return;
  }
  const std::vector<GroupTile>& all = in_.groups[group];
  for (size_t i = 0; i < all.size(); ++i) {
    const GroupTile& one = all[i];
    if (mirrored_ && group == kGroups - 1 && i > tile.tiles[group - 1]) break;
    Each next = volume;
    for (int t = 0; t < kTensors; ++t) next[t] *= one.volume[t];
    if (one.spreads.empty() || !form_.registers.fits(next[kW], next[kI], next[kO])) continue;
    tile.tiles[group] = static_cast<uint16_t>(i);
    collect(group + 1, next, size * one.least_steps, tile);
  }
}

/// rest_ for a register tile.
void Search::prepare(const RegisterTile& tile) {
  rest_[kGroups] = {};
  for (int g = kGroups - 1; g >= 0; --g) {
    const GroupTile& group = in_.groups[g][tile.tiles[g]];
    Rest& rest = rest_[g] = rest_[g + 1];
    rest.alone *= group.alone;
    rest.extent *= group.extent;
    rest.least_steps *= group.least_steps;
    for (int t = 0; t < kTensors; ++t) rest.most_merged[t] *= group.most_merged[t];
    rest.most_spread *= group.most_spread;
    rest.most_pes *= group.most_pes;
    rest.slides.lower(group.slides);
    rest.index += lattice_->stride(kGroupDims[g][0]) * group.tiles[0].count;
    if (kGroupDims[g][1] != kGroupDims[g][0])
      rest.index += lattice_->stride(kGroupDims[g][1]) * group.tiles[1].count;
  }
}

/// Bounds of all register tiles; the most promising first.
void Search::order() {
  for (RegisterTile& tile : registers_) {
    prepare(tile);
    tile.bound = bounds_->partial({}, rest_[0], 0, best_.value);
  }
  std::sort(registers_.begin(), registers_.end(), [](const RegisterTile& a, const RegisterTile& b) {
    return std::tie(a.bound, a.tiles) < std::tie(b.bound, b.tiles);
  });
}

/// Of two array tiles that differ by exchanging rows and columns one is enough.
bool Search::is_mirror() const {
  const auto &tiles = current_.tiles, &spreads = current_.spreads;
  return mirrored_ && tiles[4] == tiles[5] && spreads[5] > spreads[4];
}

void Search::keep(const Partial& done) {
  const auto pes = static_cast<int64_t>(done.visits.pes);
  if (!fits_array(pes, in_.columns, in_.rows) || is_mirror()) return;
  const Value bound = bounds_->complete(done, best_.value);
  if (!less(bound, best_.value)) return;
  current_.bound = bound;
  current_.index = done.index;
  queue_.push_back(current_);
}

void Search::spread(int group, const Partial& done) {
  if (group == kGroups) return keep(done);
  const GroupTile& tile = in_.groups[group][current_.tiles[group]];
  const auto [first, second] = kGroupDims[group];
  for (size_t i = 0; i < tile.spreads.size(); ++i) {
    const Spread& one = tile.spreads[i];
    Partial next = done;
    next.visits *= one.visits;
    if (next.visits.pes > static_cast<double>(pes_)) continue;
    next.slides.lower(one.slides);
    next.instances *= one.instances;
    next.index += lattice_->stride(first) * one.steps[0].count;
    if (second != first) next.index += lattice_->stride(second) * one.steps[1].count;
    if (first == Dim::K) next.k = one.steps[0].count;
    const bool choice = tile.spreads.size() > 1 && group + 1 < kGroups;
    if (choice &&
        !less(bounds_->partial(next, rest_[group + 1], group + 1, best_.value), best_.value))
      continue;
    current_.spreads[group] = static_cast<uint16_t>(i);
    spread(group + 1, next);
  }
}

/// Expands what is queued, tiles of one size together, the most promising first.
Value Search::explore(Expander& expander) {
  struct Entry {
    PerDim block;
    ArrayTile tile;
  };
  std::vector<Entry> entries;
  for (const ArrayTile& tile : queue_)
    if (less(tile.bound, best_.value)) entries.push_back({expander.block(tile), tile});
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.block, a.tile.bound, a.tile.tiles, a.tile.spreads) <
           std::tie(b.block, b.tile.bound, b.tile.tiles, b.tile.spreads);
  });
  std::vector<ArrayTile> tiles;
  std::vector<std::pair<Value, std::span<const ArrayTile>>> runs;
  for (const Entry& entry : entries) tiles.push_back(entry.tile);
  for (size_t i = 0; i < entries.size();) {
    size_t end = i + 1;
    while (end < entries.size() && entries[end].block == entries[i].block) ++end;
    runs.emplace_back(tiles[i].bound, std::span(tiles).subspan(i, end - i));
    i = end;
  }
  std::stable_sort(runs.begin(), runs.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [bound, run] : runs) {
    if (!less(bound, best_.value)) continue;
    if (over(bound)) return bound;
    expander.expand(run, best_);
  }
  return best_.value;
}

Value Search::run() {
  RegisterTile tile;
  collect(0, {1, 1, 1}, 1, tile);
  if (registers_.empty()) return best_.value;
  const auto pes = static_cast<double>(pes_);
  const auto hopeless = [&](double energy) {
    return Bounds::alone_is_hopeless(form_, goal_, pes, static_cast<double>(in_.facts.layer.macs()),
                                     energy, best_.value);
  };
  const Lattice lattice(in_.facts, in_.space, form_, largest_tile_ * pes,
                        goal_.useful_cycles(best_.value), hopeless, in_.pool);
  if (lattice.empty()) return best_.value;
  const Bounds bounds(in_.facts, in_.space, form_, lattice, goal_, left_);
  lattice_ = &lattice, bounds_ = &bounds;
  const Context context{in_.facts, in_.space, in_.groups, form_, lattice, bounds, goal_, in_.inner};
  Expander expander(context);
  order();
  Value unseen = best_.value;
  for (const RegisterTile& registers : registers_) {
    if (!less(registers.bound, best_.value)) break;
    if (over(registers.bound)) {
      unseen = registers.bound;
      break;
    }
    prepare(registers);
    current_.tiles = registers.tiles;
    const size_t before = queue_.size();
    spread(0, {});
    // The best of these, at once, when it promises more than all before: good mappings early.
    const auto first = queue_.begin() + static_cast<std::ptrdiff_t>(before);
    const auto next = std::min_element(
        first, queue_.end(), [](const auto& a, const auto& b) { return a.bound < b.bound; });
    if (next == queue_.end() || !(next->bound < least_expanded_)) continue;
    least_expanded_ = next->bound;
    expander.expand(std::span(&*next, 1), best_);
  }
  const Value least = explore(expander);
  return less(unseen, least) ? unseen : least;
}

}  // namespace

Clock::Clock(double limit_s, const Watch& watch)
    : start_(Time::now()), told_(start_), limit_s_(limit_s), watch_(watch) {}

double Clock::seconds() const {
  return std::chrono::duration<double>(Time::now() - start_).count();
}

bool Clock::over(double best, double bound) {
  if (ended_ || (limit_s_ <= 0 && !watch_) || ++calls_ % kCallsBetweenLooks != 0) return ended_;
  const Time::time_point now = Time::now();
  if (limit_s_ > 0 && seconds() > limit_s_) ended_ = true;
  if (watch_ && std::chrono::duration<double>(now - told_).count() > kSecondsBetweenReports) {
    told_ = now;
    ended_ = ended_ || !watch_(best, std::min(best, bound));
  }
  return ended_;
}

Value search_space(const Branches& branches, const Form& form, const Goal& goal, Clock& clock,
                   Best& best) {
  return Search(branches, form, goal, clock, best).run();
}

}  // namespace instantnet::mapper::exact
