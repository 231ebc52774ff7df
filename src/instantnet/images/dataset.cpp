#include "instantnet/images/dataset.h"

namespace instantnet::images {

const uint8_t* Dataset::pixels(int64_t) const { return nullptr; }

std::string Dataset::differing_sizes() const { return {}; }

}  // namespace instantnet::images
