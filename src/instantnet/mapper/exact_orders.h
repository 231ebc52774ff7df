// Orders of loops that can be best, and what a pair of them makes a mapping fetch.
#pragma once

#include <array>
#include <vector>

#include "instantnet/mapper/exact_lattice.h"
#include "instantnet/mapper/mapping.h"

namespace instantnet::mapper::exact {

/// Innermost first.
using LoopOrder = std::array<Dim, kDims>;

/// The tensor that stays while the innermost loops run, and the dim along which input windows slide
/// first: weights with P or Q, outputs with R or S, inputs (behind K) with any of the four. For
/// each mapping one of them at the buffer and one at DRAM are best (docs/exact-mapper.md).
struct OrderClass {
  int stays = kW;
  Dim slides = Dim::P;
};
inline constexpr int kClasses = 8;
inline constexpr std::array<OrderClass, kClasses> kOrderClasses = {{{kW, Dim::P},
                                                                    {kW, Dim::Q},
                                                                    {kO, Dim::R},
                                                                    {kO, Dim::S},
                                                                    {kI, Dim::P},
                                                                    {kI, Dim::Q},
                                                                    {kI, Dim::R},
                                                                    {kI, Dim::S}}};
/// The order of a class, behind dims that a constraint wants innermost (innermost first).
LoopOrder order_of(const OrderClass& one, const std::vector<Dim>& innermost = {});

/// Tiles and counts of a complete mapping.
struct Chain {
  PerDim registers{}, array{}, buffer{};                   // tile sizes; the array's is not clipped
  PerDim spread{}, loops{};                                // factors of the array and of the buffer
  PerDim register_count{}, array_count{}, buffer_count{};  // ceil(extent / tile)
};

/// Elements moved with these orders at the buffer and at DRAM.
Traffic traffic_of(const LayerFacts& facts, const Chain& chain, const LoopOrder& buffer,
                   const LoopOrder& dram);

}  // namespace instantnet::mapper::exact
