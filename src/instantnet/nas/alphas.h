// Architecture parameters: one number a cell and operator, how an architecture is drawn from them,
// how gradients get back to them, and how they move.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/core/rng.h"
#include "instantnet/net/search_space.h"

namespace instantnet::nas {

/// A number for each cell and operator.
using Rows = std::vector<std::vector<double>>;

Rows rows_like(const Rows& rows, double value);

/// softmax of each row / temperature.
Rows softmax(const Rows& rows, double temperature = 1);
/// log softmax of each row.
Rows log_softmax(const Rows& rows);
/// Gradient of the rows, given that of s = softmax(rows / temperature):
/// s_k (g_k - sum_j g_j s_j) / temperature.
Rows softmax_backward(const Rows& s, const Rows& gradient, double temperature);

/// Standard Gumbel noise, -log(-log(uniform)).
Rows gumbel(const Rows& like, Rng rng);

/// Weights of the operators in one step, and how a gradient of them becomes one of the alphas.
struct Sample {
  Rows weights;  // what the cells mix with: soft, or one 1 a cell
  Rows soft;     // softmax((alpha + noise) / temperature)
  double temperature = 1;
};
/// Gumbel softmax (Jang et al., ICLR 2017): all operators, weighted.
Sample sample_soft(const Rows& alpha, const Rows& noise, double temperature);
/// One operator a cell, argmax(alpha + noise), so k with probability softmax(alpha)_k. Backward
/// straight through the soft sample, from the chosen operator alone (GDAS, Dong and Yang, CVPR
/// 2019): the others were not computed.
Sample sample_hard(const Rows& alpha, const Rows& noise, double temperature);
/// Gradient of the alphas.
Rows backward(const Sample& sample, const Rows& weight_gradient);

/// One 1 a cell.
Rows weights_of(const Architecture& architecture, size_t operators);

/// Mean entropy of the rows' softmax, relative to that of a uniform one: 1 undecided, 0 decided.
double undecided(const Rows& alpha);

/// Adam (Kingma and Ba, ICLR 2015) with torch's placing of epsilon, in double precision.
struct AlphaAdam {
  double beta1 = 0.5, beta2 = 0.999, epsilon = 1e-8;
  Rows average, square;
  int64_t steps = 0;

  void step(Rows& alpha, const Rows& gradient, double lr);
};

}  // namespace instantnet::nas
