// Row-stationary mappings by the parameters of the Eyeriss papers, for replaying and for searching.
#pragma once

#include <cstdint>
#include <optional>

#include "instantnet/mapper/cost.h"
#include "instantnet/mapper/mapping.h"

namespace instantnet::mapper {

/// Chen et al., JSSC 2017, table III. A PE works on rows: R along one side of the array, rows of
/// output along the other, a whole row of output over time.
struct RowStationary {
  int64_t m = 1;                // filters whose partial sums are in the buffer, a multiple of p t
  int64_t n = 1;                // images whose partial sums are in the buffer
  int64_t e = 1;                // rows of output worked on at once
  int64_t p = 1;                // filters of one PE
  int64_t q = 1;                // input channels of one PE
  int64_t r = 1;                // sets of PEs on different channels
  int64_t t = 1;                // sets of PEs on different filters
  int64_t strips = 1;           // of e rows whose partial sums are in the buffer
  bool buffer_weights = false;  // else they come past the buffer
  std::array<Dim, 3> outer = {Dim::N, Dim::K, Dim::P};  // DRAM's loops outside that over channels
};

/// The nest on a device of three levels.
Nest nest_of(const LayerShape& layer, const Accelerator& device, const RowStationary& mapping);

/// Times that the array is loaded with filters.
int64_t passes(const LayerShape& layer, const RowStationary& mapping);

/// The mapping of least energy, when one PE set has as many rows of output as the array allows
/// (equal strips) and its replicas stand beside each other: the rules of the ISCA 2016 paper as
/// nn_dataflow reads them. Factors divide the layer's loops.
std::optional<RowStationary> best_row_stationary(const LayerShape& layer,
                                                 const Accelerator& device);

}  // namespace instantnet::mapper
