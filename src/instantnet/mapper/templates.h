// Expert dataflows: mappings as the designers of known accelerators chose them, as constraints.
#pragma once

#include <string>

#include "instantnet/mapper/search.h"

namespace instantnet::mapper {

/// What a dataflow fixes for a layer on a device: which loops the array spreads, which stay in the
/// registers, which run innermost above the array. The rest (tile sizes, the order of the other
/// loops, what is kept) is free: a search finds the best. Error for an unknown name, with the
/// nearest, or when the device has no array.
Constraints template_constraints(const std::string& name, const LayerShape& layer,
                                 const Accelerator& device);

/// Both; Error when they fix the same thing at the same level.
Constraints merged(const Constraints& from_template, const Constraints& from_user);

}  // namespace instantnet::mapper
