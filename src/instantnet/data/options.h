// The user's options joined with what the data set wants.
#pragma once

#include "instantnet/data/loader.h"

namespace instantnet::data {

/// Replaces every "auto", empty list and zero size by the data set's own: afterwards augment is
/// "custom" or "none", resize "stretch" or "crop". Error when the options do not suit the data set.
DataOptions resolve(const DataOptions& options, const images::Dataset& dataset);

}  // namespace instantnet::data
