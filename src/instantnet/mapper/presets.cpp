#include "instantnet/mapper/presets.h"

#include <algorithm>
#include <iterator>

namespace instantnet::mapper {

const std::vector<Accelerator>& accelerator_presets() {
  static const std::vector<Accelerator> presets = [] {
    std::vector<Accelerator> all;
    for (const auto& list :
         {reference_presets(), eyeriss_presets(), asic_presets(), fpga_presets()})
      all.insert(all.end(), list.begin(), list.end());
    return all;
  }();
  return presets;
}

}  // namespace instantnet::mapper
