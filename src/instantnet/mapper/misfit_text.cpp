#include "instantnet/mapper/misfit_text.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

namespace instantnet::mapper {

std::string listed(uint8_t tensors) {
  std::vector<std::string> names;
  for (const Tensor t : kAllTensors)
    if (tensors & bit(t)) names.push_back(to_string(t));
  if (names.size() < 2) return names.empty() ? "nothing" : names[0];
  const std::string last = names.back();
  names.pop_back();
  return fmt::format("{} and {}", fmt::join(names, ", "), last);
}

std::string words_text(double words) {
  if (words == std::floor(words)) return fmt::format("{:.0f}", words);
  return fmt::format("{:.2f}", std::ceil(words * 100) / 100);
}

}  // namespace instantnet::mapper
