#include "instantnet/nas/alphas.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "instantnet/nas/cost.h"

namespace instantnet::nas {
namespace {

template <class F>
Rows combine(const Rows& a, const Rows& b, const F& f) {
  Rows result = a;
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t k = 0; k < a[i].size(); ++k) result[i][k] = f(a[i][k], b[i][k]);
  return result;
}

}  // namespace

Rows rows_like(const Rows& rows, double value) {
  Rows result = rows;
  for (auto& row : result) std::fill(row.begin(), row.end(), value);
  return result;
}

Rows log_softmax(const Rows& rows) {
  Rows result = rows;
  for (auto& row : result) {
    const double most = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const double one : row) sum += std::exp(one - most);
    for (double& one : row) one -= most + std::log(sum);
  }
  return result;
}

Rows softmax(const Rows& rows, double temperature) {
  Rows result = rows;
  for (auto& row : result)
    for (double& one : row) one /= temperature;
  result = log_softmax(result);
  for (auto& row : result)
    for (double& one : row) one = std::exp(one);
  return result;
}

Rows softmax_backward(const Rows& s, const Rows& gradient, double temperature) {
  Rows result = s;
  for (size_t i = 0; i < s.size(); ++i) {
    double mean = 0;
    for (size_t k = 0; k < s[i].size(); ++k) mean += s[i][k] * gradient[i][k];
    for (size_t k = 0; k < s[i].size(); ++k)
      result[i][k] = s[i][k] * (gradient[i][k] - mean) / temperature;
  }
  return result;
}

Rows gumbel(const Rows& like, Rng rng) {
  Rows noise = like;
  for (auto& row : noise)
    for (double& one : row) one = -std::log(-std::log(rng.uniform() + 0x1p-54));
  return noise;
}

Sample sample_soft(const Rows& alpha, const Rows& noise, double temperature) {
  const Rows soft = softmax(combine(alpha, noise, std::plus<>()), temperature);
  return {soft, soft, temperature};
}

Sample sample_hard(const Rows& alpha, const Rows& noise, double temperature) {
  const Rows moved = combine(alpha, noise, std::plus<>());
  return {weights_of(best_of(moved), alpha[0].size()), softmax(moved, temperature), temperature};
}

Rows backward(const Sample& sample, const Rows& weight_gradient) {
  return softmax_backward(sample.soft, weight_gradient, sample.temperature);
}

Rows weights_of(const Architecture& architecture, size_t operators) {
  Rows rows(architecture.size(), std::vector<double>(operators, 0.0));
  for (size_t i = 0; i < rows.size(); ++i) rows[i][architecture[i]] = 1;
  return rows;
}

double undecided(const Rows& alpha) {
  double sum = 0;
  for (const auto& row : log_softmax(alpha)) {
    double entropy = 0;
    for (const double one : row) entropy -= std::exp(one) * one;
    sum += entropy / std::log(static_cast<double>(row.size()));
  }
  return sum / static_cast<double>(alpha.size());
}

void AlphaAdam::step(Rows& alpha, const Rows& gradient, double lr) {
  if (average.empty()) average = square = rows_like(alpha, 0.0);
  ++steps;
  const auto t = static_cast<double>(steps);
  const double rate = lr / (1 - std::pow(beta1, t)), root = std::sqrt(1 - std::pow(beta2, t));
  for (size_t i = 0; i < alpha.size(); ++i)
    for (size_t k = 0; k < alpha[i].size(); ++k) {
      const double g = gradient[i][k];
      average[i][k] = beta1 * average[i][k] + (1 - beta1) * g;
      square[i][k] = beta2 * square[i][k] + (1 - beta2) * g * g;
      alpha[i][k] -= rate * average[i][k] / (std::sqrt(square[i][k]) / root + epsilon);
    }
}

}  // namespace instantnet::nas
