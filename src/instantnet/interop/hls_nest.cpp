#include "instantnet/interop/hls_nest.h"

#include <fmt/format.h>

#include <algorithm>

#include "instantnet/core/error.h"

namespace instantnet::interop::hls {
namespace {

using mapper::at;
using mapper::kAllDims;
using mapper::kAllTensors;
using mapper::Mapping;
using mapper::relevant;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Builds a nest from the innermost loop out.
class Builder {
 public:
  Builder(const LayerShape& layer, const Mapping& mapping, const mapper::Accelerator& device)
      : mapping_(mapping) {
    nest_.layer = layer;
    nest_.bounds = mapper::bounds_of(layer);
    for (const mapper::StorageLevel& level : device.levels) nest_.levels.push_back(level.name);
    for (const mapper::LevelLoops& level : mapping.levels) nest_.keeps.push_back(level.keeps);
  }

  Nest build() {
    const size_t levels = nest_.levels.size();
    size_.fill(1);
    nest_.tile.assign(levels + 1, size_);
    for (size_t l = levels; l-- > 0;) {
      put_space(l);
      put_time(l);
      for (const Dim d : kAllDims)
        nest_.tile[l][at(d)] = std::min(size_[at(d)], nest_.bounds[at(d)]);
    }
    for (const Dim d : kAllDims) nest_.imperfect[at(d)] = size_[at(d)] != nest_.bounds[at(d)];
    std::stable_sort(nest_.space.begin(), nest_.space.end(),
                     [](const NestLoop& a, const NestLoop& b) { return a.level < b.level; });
    count_instances();
    for (const Tensor t : kAllTensors) find_transfers(t);
    count_steps();
    find_finish();
    return std::move(nest_);
  }

 private:
  /// A loop around what is inside, no longer than the layer needs.
  NestLoop cut_loop(size_t level, Dim d, int64_t bound) {
    NestLoop loop{level, d, bound, size_[at(d)], {}};
    loop.bound = std::min(bound, ceil_div(nest_.bounds[at(d)], size_[at(d)]));
    size_[at(d)] *= loop.bound;
    return loop;
  }

  void put_space(size_t level) {
    PerDim children;
    children.fill(1);
    const mapper::LevelLoops& loops = mapping_.levels[level];
    for (const auto* list : {&loops.spatial_y, &loops.spatial_x})
      for (const mapper::Loop& loop : *list) children[at(loop.dim)] *= loop.bound;
    for (const Dim d : kAllDims) {
      NestLoop loop = cut_loop(level, d, children[at(d)]);
      if (loop.bound == 1) continue;
      loop.name = fmt::format("{}{}u", mapper::to_string(d), level);
      nest_.space.push_back(loop);
    }
  }

  void put_time(size_t level) {
    const auto& temporal = mapping_.levels[level].temporal;
    std::array<int, mapper::kDims> repeats{};
    for (auto from = temporal.rbegin(); from != temporal.rend(); ++from) {
      NestLoop loop = cut_loop(level, from->dim, from->bound);
      if (loop.bound == 1) continue;
      loop.name = fmt::format("{}{}", mapper::to_string(from->dim), level);
      if (const int repeat = repeats[at(from->dim)]++; repeat > 0)
        loop.name += fmt::format("_{}", repeat);
      nest_.time.insert(nest_.time.begin(), loop);
    }
  }

  void count_instances() {
    nest_.instances.assign(nest_.levels.size() + 1, 1);
    for (const NestLoop& loop : nest_.space)
      for (size_t l = loop.level + 1; l <= nest_.levels.size(); ++l)
        nest_.instances[l] *= loop.bound;
  }

  void find_transfers(Tensor t) {
    size_t outer = 0;
    for (size_t l = 1; l < nest_.levels.size(); ++l) {
      if (!nest_.keeps[l][t]) continue;
      Transfer transfer{t, outer, l, 0};
      for (size_t i = 0; i < nest_.time.size(); ++i)
        if (nest_.time[i].level < l && relevant(t, nest_.time[i].dim)) transfer.loops = i + 1;
      nest_.transfers.push_back(transfer);
      outer = l;
    }
  }

  /// How often the loops of a dim over time stand inside the layer: equation (5).
  int64_t visits(Dim d) const {
    std::vector<int64_t> places = {0};
    int64_t inner = 1;
    for (const NestLoop& loop : nest_.time) {
      if (loop.dim != d) continue;
      if (loop.level + 1 == nest_.levels.size()) {
        inner *= loop.bound;
        continue;
      }
      std::vector<int64_t> next;
      for (const int64_t place : places)
        for (int64_t i = 0; i < loop.bound; ++i)
          if (place + i * loop.stride < nest_.bounds[at(d)])
            next.push_back(place + i * loop.stride);
      places = std::move(next);
    }
    return static_cast<int64_t>(places.size()) * inner;
  }

  void count_steps() {
    nest_.steps = 1;
    for (const Dim d : kAllDims) {
      const int64_t count = visits(d);
      nest_.steps *= count;
      if (count > 1) nest_.step_factors.emplace_back(mapper::to_string(d), count);
    }
  }

  void find_finish() {
    const Transfer* leaving = nullptr;
    for (const Transfer& transfer : nest_.transfers)
      if (transfer.tensor == Tensor::Outputs && leaving == nullptr) leaving = &transfer;
    if (leaving == nullptr) return;
    nest_.finishes_once = true;
    for (size_t i = 0; i < leaving->loops; ++i)
      if (!relevant(Tensor::Outputs, nest_.time[i].dim)) nest_.finishes_once = false;
    for (const NestLoop& loop : nest_.space)
      if (loop.level < leaving->inner && !relevant(Tensor::Outputs, loop.dim))
        nest_.finishes_once = false;
  }

  const Mapping& mapping_;
  Nest nest_;
  PerDim size_{};
};

}  // namespace

size_t Nest::home(Tensor t) const {
  size_t level = levels.size() - 1;
  while (level > 0 && !keeps[level][t]) --level;
  return level;
}

int64_t Nest::extent(size_t level, Dim position, Dim filter) const {
  return layer.stride * (tile[level][at(position)] - 1) +
         layer.dilation * (tile[level][at(filter)] - 1) + 1;
}

int64_t Nest::elements(size_t level, Tensor t) const {
  const auto of = [&](Dim d) { return tile[level][at(d)]; };
  switch (t) {
    case Tensor::Weights:
      return of(Dim::G) * of(Dim::K) * of(Dim::C) * of(Dim::R) * of(Dim::S);
    case Tensor::Inputs:
      return of(Dim::G) * of(Dim::C) * extent(level, Dim::P, Dim::R) *
             extent(level, Dim::Q, Dim::S);
    case Tensor::Outputs:
      return of(Dim::G) * of(Dim::K) * of(Dim::P) * of(Dim::Q);
  }
  return 0;
}

Linear Nest::coordinate(Dim d, size_t from, size_t to) const {
  Linear sum;
  for (const auto* loops : {&time, &space})
    for (const NestLoop& loop : *loops)
      if (loop.dim == d && loop.level >= from && loop.level < to)
        sum.add(loop.name, loop.stride, loop.bound - 1);
  return sum;
}

Linear Nest::position(Dim position, Dim filter, size_t from, size_t to) const {
  Linear sum;
  sum.add(coordinate(position, from, to), layer.stride);
  sum.add(coordinate(filter, from, to), layer.dilation);
  return sum;
}

std::vector<Index> Nest::instance(size_t level) const {
  std::vector<Index> indices;
  for (const NestLoop& loop : space) {
    if (loop.level >= level) continue;
    Linear at;
    at.add(loop.name, 1, loop.bound - 1);
    indices.push_back({at, loop.bound});
  }
  return indices;
}

Nest make_nest(const LayerShape& layer, const Mapping& mapping, const mapper::Accelerator& device,
               const std::string& where) {
  if (layer.n != 1)
    fail(where, fmt::format("its mapping is for {} images together (loops over n); the generated "
                            "design takes one at a time: map with --batch 1.",
                            layer.n));
  if (mapping.levels.size() != device.levels.size())
    fail(where, fmt::format("its mapping has {} levels, the device has {}.", mapping.levels.size(),
                            device.levels.size()));
  return Builder(layer, mapping, device).build();
}

}  // namespace instantnet::interop::hls
