// Words for the sentences that say why a mapping does not fit.
#pragma once

#include <cstdint>
#include <string>

#include "instantnet/mapper/workload.h"

namespace instantnet::mapper {

constexpr uint8_t bit(Tensor t) { return static_cast<uint8_t>(1u << at(t)); }

/// "weights", "inputs and outputs", "weights, inputs and outputs": a set of tensors as bits.
std::string listed(uint8_t tensors);
/// Whole where they are, else rounded up to hundredths.
std::string words_text(double words);

}  // namespace instantnet::mapper
