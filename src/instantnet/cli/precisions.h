// Bit-widths and precisions as users write them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "instantnet/net/precision.h"
#include "instantnet/net/spec.h"

namespace instantnet::cli {

/// Error when a network has not this bit-width.
using CheckWidth = std::function<void(int)>;

/// "all" gives `all`; "4,8" those, each checked. Error for anything else, and for a repeated one.
std::vector<int> parse_bits(const std::string& text, const std::vector<int>& all,
                            const CheckWidth& check);

/// "layer=4,other=w4a8", or a YAML file of such pairs: one precision a convolution or linear layer,
/// in the order of the spec's layers; those not named run at `others` bits. Error for unknown
/// layers, for layers that always run at one width, and as parse_precision and `check`.
std::vector<Precision> parse_precisions(const std::string& given, const NetworkSpec& spec,
                                        int others, const CheckWidth& check);

}  // namespace instantnet::cli
