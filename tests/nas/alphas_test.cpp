#include "instantnet/nas/alphas.h"

#include <gtest/gtest.h>

#include <cmath>

#include "instantnet/nas/cost.h"
#include "instantnet/nas/mixture.h"

namespace instantnet::nas {
namespace {

Rows drawn(Rng& rng, size_t cells, size_t operators) {
  Rows rows(cells);
  for (auto& row : rows)
    for (size_t k = 0; k < operators; ++k) row.push_back(rng.normal());
  return rows;
}

double dot(const Rows& a, const Rows& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t k = 0; k < a[i].size(); ++k) sum += a[i][k] * b[i][k];
  return sum;
}

TEST(Alphas, TheCostsGradientIsItsSlope) {
  Rng rng(1);
  Rows alpha = drawn(rng, 4, 5);
  const Rows costs = drawn(rng, 4, 5), noise = gumbel(alpha, Rng(7));
  for (const double temperature : {1.0, 3.0, 0.2}) {
    const auto value = [&] { return dot(sample_soft(alpha, noise, temperature).weights, costs); };
    const Rows ours = backward(sample_soft(alpha, noise, temperature), costs);
    for (size_t i = 0; i < 4; ++i)
      for (size_t k = 0; k < 5; ++k) {
        const double kept = alpha[i][k], step = 1e-5;
        alpha[i][k] = kept + step;
        const double above = value();
        alpha[i][k] = kept - step;
        const double below = value();
        alpha[i][k] = kept;
        EXPECT_NEAR(ours[i][k], (above - below) / (2 * step), 1e-6 / temperature);
      }
  }
}

TEST(Alphas, AHardSampleDrawsEachOperatorByItsProbability) {
  const Rows alpha = {{0.0, 1.0, -1.0}};
  const Rows probability = softmax(alpha);
  std::vector<int> counts(3, 0);
  constexpr int kDraws = 20000;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const Sample sample = sample_hard(alpha, gumbel(alpha, Rng(3, 1, i)), 2.0);
    ++counts[best_of(sample.weights)[0]];
  }
  for (size_t k = 0; k < 3; ++k)
    EXPECT_NEAR(counts[k] / static_cast<double>(kDraws), probability[0][k], 0.015);
}

TEST(Alphas, AHardSamplePassesGradientsThroughTheSoftOne) {
  const Rows alpha = {{0.3, -0.2, 0.1}}, noise = {{0.0, 2.0, 0.0}};
  const Sample sample = sample_hard(alpha, noise, 1.5);
  EXPECT_EQ(sample.weights, (Rows{{0, 1, 0}}));
  const Rows gradient = backward(sample, {{0, 2, 0}});
  const std::vector<double>& s = sample.soft[0];
  EXPECT_NEAR(gradient[0][0], -s[0] * 2 * s[1] / 1.5, 1e-12);
  EXPECT_NEAR(gradient[0][1], s[1] * 2 * (1 - s[1]) / 1.5, 1e-12);
}

TEST(Alphas, AdamFollowsTheGradient) {
  Rows alpha = {{1.0, -2.0}};
  AlphaAdam adam;
  for (int i = 0; i < 3000; ++i) adam.step(alpha, {{2 * alpha[0][0], 2 * alpha[0][1]}}, 1e-2);
  EXPECT_NEAR(alpha[0][0], 0, 0.05);
  EXPECT_NEAR(alpha[0][1], 0, 0.05);
}

TEST(Alphas, AreUndecidedWhenEven) {
  EXPECT_NEAR(undecided({{0.5, 0.5, 0.5}}), 1, 1e-12);
  EXPECT_LT(undecided({{50, 0, 0}}), 1e-6);
}

TEST(Mixture, GatesCarryWeightsAndBringGradientsBack) {
  const Supernet supernet = supernet_of({}, {});
  Rng rng(4);
  const Rows weights = softmax(drawn(rng, 22, 9));
  const nn::Gates gates = gates_of(supernet, weights);
  EXPECT_NEAR(gates.at("cells.0.mix").at(8), 1, 1e-12);  // the identity, of all operators
  EXPECT_EQ(gates.at("cells.1.mix").at(8), weights[1][8]);
  // A loss that is linear in gates is linear in weights, with these gradients.
  nn::Gates gradients = gates;
  for (auto& [name, values] : gradients)
    for (double& one : values) one = rng.normal();
  double by_gates = 0;
  for (const auto& [name, values] : gates)
    for (size_t k = 0; k < values.size(); ++k) by_gates += values[k] * gradients.at(name)[k];
  EXPECT_NEAR(dot(weights, weight_gradients(supernet, gradients)), by_gates, 1e-9);
}

}  // namespace
}  // namespace instantnet::nas
