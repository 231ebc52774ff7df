// The exact search for devices with up to three storage levels: the best mapping of the space that
// docs/exact-mapper.md describes, with proof, or at the time limit the best so far with what it can
// at most be improved to.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "instantnet/mapper/search.h"

namespace instantnet::mapper {

/// Why the exact search cannot be used: the device has more levels, fan-out elsewhere than above
/// the innermost level, or constraints that its space cannot express. Nothing when it can.
std::optional<std::string> exact_refuses(const LayerShape& layer, const Accelerator& device,
                                         const Constraints& constraints);

/// Error when exact_refuses(). Throughput is latency.
std::variant<Found, Misfit> search_exact(const LayerShape& layer, Precision precision,
                                         const Accelerator& device, const Constraints& constraints,
                                         const SearchOptions& options, const Watch& watch = {});

/// One result a precision, in their order. Widest first: what is best there starts the next.
std::vector<std::variant<Found, Misfit>> search_exact_all(
    const LayerShape& layer, const std::vector<Precision>& precisions, const Accelerator& device,
    const Constraints& constraints, const SearchOptions& options, const Watch& watch = {});

/// The exact trade-off between energy and cycles: least energy first, fewest cycles last. Each
/// point has the least energy of all mappings that take no more cycles.
std::vector<Found> exact_front(const LayerShape& layer, Precision precision,
                               const Accelerator& device, const Constraints& constraints,
                               const SearchOptions& options);

}  // namespace instantnet::mapper
