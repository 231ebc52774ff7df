// Beginning a network with the weights of another.
#pragma once

#include <string>

#include "instantnet/nn/model.h"

namespace instantnet::train {

/// Copies weights from `source` into `target`, which has the same layers. With the same bit-widths
/// and model options everything is copied. Otherwise a width that both have keeps its batch norms,
/// another takes those of the source's highest width, and activation ranges and weight steps are
/// found anew. Error (prefix `where`) when the layers differ.
void start_from(nn::SwitchableModel& target, const nn::SwitchableModel& source,
                const std::string& where);

}  // namespace instantnet::train
