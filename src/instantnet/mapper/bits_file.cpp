#include "instantnet/mapper/bits_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "instantnet/core/error.h"

namespace instantnet::mapper {

void set_bits(NetworkLayers& network, const Tree& bits) {
  if (bits.kind != Tree::Kind::Map)
    fail(bits.where(),
         fmt::format("the bit-widths are {}; give a map such as conv1: 8.", bits.given()));
  for (const auto& entry : bits.entries) {
    const std::string& name = entry.first;
    const Tree& value = entry.second;
    const auto layer = std::find_if(network.layers.begin(), network.layers.end(),
                                    [&](const Workload& one) { return one.name == name; });
    if (layer == network.layers.end()) {
      std::vector<std::string> names;
      for (const Workload& one : network.layers) names.push_back(one.name);
      const std::string near = nearest(name, names);
      fail(value.where(),
           fmt::format("{} has no layer '{}'{}", network.network, name,
                       near.empty() ? "." : fmt::format(", did you mean '{}'?", near)));
    }
    const int64_t width = value.as_int();
    if ((width < 0 || width > 16) && width != 32)
      fail(value.where(), fmt::format("{} has {} bits; give 1 to 16 or 32, or 0 for those of the "
                                      "network.",
                                      name, width));
    layer->bits = static_cast<int>(width);
  }
}

}  // namespace instantnet::mapper
