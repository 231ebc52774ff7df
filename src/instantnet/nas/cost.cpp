#include "instantnet/nas/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "instantnet/core/error.h"

namespace instantnet::nas {
namespace {

using Scores = std::vector<std::vector<double>>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// ---- Pricing

using Key = std::array<int64_t, 12>;

Key key_of(const LayerShape& shape, Precision precision) {
  return {shape.n,        shape.k,      shape.c,          shape.p,
          shape.q,        shape.r,      shape.s,          shape.stride,
          shape.dilation, shape.groups, precision.weight, precision.activation};
}

/// Each shape once.
class PricedOnce {
 public:
  PricedOnce(const Price& price, int bits) : price_(price), bits_(bits) {}

  double operator()(const NamedLayer& layer) {
    const int width = layer.bits == 0 ? bits_ : layer.bits;
    const Precision precision{width, width};
    const auto [found, fresh] = known_.try_emplace(key_of(layer.shape, precision), 0.0);
    if (fresh) found->second = asked(layer, precision);
    return found->second;
  }

  int64_t shapes() const { return static_cast<int64_t>(known_.size()); }

 private:
  double asked(const NamedLayer& layer, Precision precision) const {
    const LayerShape& s = layer.shape;
    const std::string where = fmt::format(
        "price of '{}' (k={} c={} p={} q={} r={} s={} stride={} groups={} at {} bits)", layer.name,
        s.k, s.c, s.p, s.q, s.r, s.s, s.stride, s.groups, to_string(precision));
    double value = 0;
    try {
      value = price_(layer.shape, precision);
    } catch (const Error& error) {
      fail(where, error.what());
    }
    if (!std::isfinite(value) || value < 0)
      fail(where, fmt::format("is {}; a price is a finite number >= 0.", value));
    return value;
  }

  const Price& price_;
  int bits_;
  std::map<Key, double> known_;
};

// ---- The best inside a window

struct Extremes {
  double least = 0, most = 0;
};

/// Largest sum of score - multiplier * cost over the cells, plus multiplier * the window's nearer
/// end: no network inside has a larger sum of scores.
double relaxed(const CostTable& table, const Window& rest, const Scores& scores,
               double multiplier) {
  double bound = multiplier * (multiplier > 0 ? rest.most : rest.least);
  for (size_t i = 0; i < scores.size(); ++i) {
    double best = -kInfinity;
    for (size_t k = 0; k < scores[i].size(); ++k)
      best = std::max(best, scores[i][k] - multiplier * table.cells[i][k]);
    bound += best;
  }
  return bound;
}

/// The multiplier of the least relaxed bound: it is convex in the multiplier, so the golden section
/// finds it.
double best_multiplier(const CostTable& table, const Window& rest, const Scores& scores) {
  double scale = 0, spread = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    const auto [low, high] = std::minmax_element(scores[i].begin(), scores[i].end());
    const auto [cheap, dear] = std::minmax_element(table.cells[i].begin(), table.cells[i].end());
    spread = std::max(spread, *high - *low);
    if (*dear > *cheap) scale = scale == 0 ? *dear - *cheap : std::min(scale, *dear - *cheap);
  }
  if (scale == 0 || spread == 0) return 0;
  double left = -1000 * spread / scale, right = 1000 * spread / scale;
  const double ratio = (std::sqrt(5.0) - 1) / 2;
  for (int i = 0; i < 200; ++i) {
    const double a = right - ratio * (right - left), b = left + ratio * (right - left);
    if (relaxed(table, rest, scores, a) <= relaxed(table, rest, scores, b))
      right = b;
    else
      left = a;
  }
  return (left + right) / 2;
}

class Branching {
 public:
  Branching(const CostTable& table, const Window& window, const Scores& scores, int64_t nodes)
      : table_(table),
        rest_{window.least - table.fixed, window.most - table.fixed},
        scores_(scores),
        nodes_(nodes) {
    multiplier_ = best_multiplier(table, rest_, scores);
    const size_t cells = scores.size();
    reach_.resize(cells + 1);
    bound_.resize(cells + 1, 0.0);
    order_.resize(cells);
    for (size_t i = cells; i-- > 0;) {
      const std::vector<double>& costs = table.cells[i];
      reach_[i] = {reach_[i + 1].least + *std::min_element(costs.begin(), costs.end()),
                   reach_[i + 1].most + *std::max_element(costs.begin(), costs.end())};
      for (size_t k = 0; k < costs.size(); ++k) order_[i].push_back(k);
      std::stable_sort(order_[i].begin(), order_[i].end(),
                       [&](size_t a, size_t b) { return reduced(i, a) > reduced(i, b); });
      bound_[i] = bound_[i + 1] + reduced(i, order_[i][0]);
    }
    now_.resize(cells);
  }

  std::optional<Inside> run() {
    descend(0, 0, 0);
    if (best_.architecture.empty()) return std::nullopt;
    best_.proven = nodes_ > 0;
    return best_;
  }

 private:
  double reduced(size_t cell, size_t op) const {
    return scores_[cell][op] - multiplier_ * table_.cells[cell][op];
  }

  void descend(size_t cell, double cost, double score) {
    if (nodes_-- <= 0) return;
    if (cell == scores_.size()) {
      const double total = table_.fixed + table_.of_cells(now_);
      const Window whole{rest_.least + table_.fixed, rest_.most + table_.fixed};
      if (!whole.holds(total)) return;
      if (best_.architecture.empty() || score > best_.score) best_ = {now_, score, true};
      return;
    }
    // A little more than exact, so that rounding loses no network.
    const double slack = 1e-9 * std::max(1.0, std::abs(rest_.most));
    for (const size_t op : order_[cell]) {
      const double spent = cost + table_.cells[cell][op];
      if (spent + reach_[cell + 1].least > rest_.most + slack ||
          spent + reach_[cell + 1].most < rest_.least - slack)
        continue;
      const double gained = score + scores_[cell][op];
      const double limit = multiplier_ * ((multiplier_ > 0 ? rest_.most : rest_.least) - spent);
      if (!best_.architecture.empty() &&
          gained + bound_[cell + 1] + limit <= best_.score + 1e-12 * std::abs(best_.score))
        continue;
      now_[cell] = op;
      descend(cell + 1, spent, gained);
    }
  }

  const CostTable& table_;
  Window rest_;  // of the cells alone
  const Scores& scores_;
  int64_t nodes_;
  double multiplier_ = 0;
  std::vector<Extremes> reach_;             // of the cells from here on
  std::vector<double> bound_;               // of their reduced scores
  std::vector<std::vector<size_t>> order_;  // by cell, best reduced score first
  Architecture now_;
  Inside best_;
};

std::string cost_text(double cost) { return fmt::format("{:.6g}", cost); }

/// The nearest costs below and above that a network has, as far as they are found.
std::string neighbours(const Window& window, const CostTable& table) {
  Scores near(table.cells), far(table.cells);
  for (auto& row : far)
    for (double& one : row) one = -one;
  const auto below = best_inside(table, {table.least(), window.least}, near);
  const auto above = best_inside(table, {window.most, table.most()}, far);
  std::string text;
  if (below) text += fmt::format("one costs {}", cost_text(table.of(below->architecture)));
  if (above)
    text += fmt::format("{}{}", below ? ", the next " : "one costs ",
                        cost_text(table.of(above->architecture)));
  return text;
}

}  // namespace

double CostTable::of_cells(const Architecture& architecture) const {
  double sum = 0;
  for (size_t i = 0; i < cells.size(); ++i) sum += cells[i].at(architecture.at(i));
  return sum;
}

double CostTable::of(const Architecture& architecture) const {
  return fixed + of_cells(architecture);
}

double CostTable::least() const {
  double sum = 0;
  for (const auto& costs : cells) sum += *std::min_element(costs.begin(), costs.end());
  return fixed + sum;
}

double CostTable::most() const {
  double sum = 0;
  for (const auto& costs : cells) sum += *std::max_element(costs.begin(), costs.end());
  return fixed + sum;
}

CostTable price_space(const SearchSpace& space, const SpaceImage& image, int bits,
                      const Price& price) {
  const SpaceLayers all = layers_of(supernet_of(space, image));
  PricedOnce priced(price, bits);
  const auto sum = [&](const std::vector<NamedLayer>& layers) {
    double total = 0;
    for (const NamedLayer& layer : layers) total += priced(layer);
    return total;
  };
  CostTable table;
  table.fixed = sum(all.fixed);
  for (const auto& cell : all.cells) {
    table.cells.emplace_back();
    for (const auto& layers : cell) table.cells.back().push_back(sum(layers));
  }
  table.shapes = priced.shapes();
  return table;
}

double Window::miss(double cost) const {
  const double outside = cost < least ? cost - least : cost > most ? cost - most : 0;
  return middle() > 0 ? outside / middle() : outside;
}

std::optional<Inside> best_inside(const CostTable& table, const Window& window,
                                  const std::vector<std::vector<double>>& scores, int64_t nodes) {
  if (scores.size() != table.cells.size()) bug("one row of scores a cell");
  return Branching(table, window, scores, nodes).run();
}

void check_window(const Window& window, const CostTable& table) {
  const std::string given =
      fmt::format("from {} to {}", cost_text(window.least), cost_text(window.most));
  const std::string reach = fmt::format("networks of the space cost {} to {}",
                                        cost_text(table.least()), cost_text(table.most()));
  if (window.least > window.most)
    fail("cost", fmt::format("the window is {}; least must not be above most ({}).", given, reach));
  if (window.most < table.least() || window.least > table.most())
    fail("cost", fmt::format("no network is in the window {}: {}; move the window or change the "
                             "space.",
                             given, reach));
  const Scores alike(table.cells.size(), std::vector<double>(table.cells[0].size(), 0.0));
  if (!best_inside(table, window, alike))
    fail("cost", fmt::format("no network was found in the window {}: {}, and {}; give a wider "
                             "window.",
                             given, reach, neighbours(window, table)));
}

Architecture best_of(const std::vector<std::vector<double>>& scores) {
  Architecture best;
  for (const auto& row : scores)
    best.push_back(static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin()));
  return best;
}

}  // namespace instantnet::nas
