// DoReFa's weight transform in double, one number at a time: what DoReFa and AdaBits share.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace instantnet::test {

/// tanh(w) / (2 max |tanh(w)|) + 1/2 of all weights (DoReFa-Net, inside eq. 9).
inline std::vector<double> unit_weights(const std::vector<double>& weights) {
  double most = 0;
  for (const double w : weights) most = std::max(most, std::abs(std::tanh(w)));
  std::vector<double> unit;
  for (const double w : weights) unit.push_back(std::tanh(w) / (2 * most) + 0.5);
  return unit;
}

/// Derivatives of sum(upstream * (2 unit - 1)) with respect to each weight, by central differences.
inline std::vector<double> tanh_differences(const std::vector<float>& weights,
                                            const std::vector<float>& upstream) {
  std::vector<double> moved(weights.begin(), weights.end()), result;
  const auto total = [&] {
    const std::vector<double> unit = unit_weights(moved);
    double sum = 0;
    for (size_t i = 0; i < unit.size(); ++i)
      sum += static_cast<double>(upstream[i]) * (2 * unit[i] - 1);
    return sum;
  };
  constexpr double kMove = 1e-6;
  for (double& weight : moved) {
    const double before = weight;
    weight = before + kMove;
    const double above = total();
    weight = before - kMove;
    result.push_back((above - total()) / (2 * kMove));
    weight = before;
  }
  return result;
}

}  // namespace instantnet::test
