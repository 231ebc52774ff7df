#include "instantnet/data/dataset.h"

namespace instantnet::data {

const uint8_t* Dataset::pixels(int64_t) const { return nullptr; }

std::string Dataset::differing_sizes() const { return {}; }

}  // namespace instantnet::data
