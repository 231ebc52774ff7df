// Losses on logits and their gradients, in closed form and double precision: the same bytes for any
// number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "instantnet/train/options.h"

namespace instantnet::train {

/// A loss of logits (n, classes) and its gradient.
struct LossTerm {
  double value = 0;
  at::Tensor gradient;  // d value / d logits, (n, classes) float64, on the device of the logits
};

/// Mean over the batch of -sum_k q_k log softmax(logits)_k, q = (1 - smoothing) * one-hot +
/// smoothing / classes (Szegedy et al., CVPR 2016, section 7). labels (n) int64.
LossTerm cross_entropy(const at::Tensor& logits, const at::Tensor& labels, double smoothing = 0);

/// Mean over batch and classes of (student - teacher)^2, as nn.MSELoss. The teacher, same shape, is
/// a constant.
LossTerm mean_squared(const at::Tensor& student, const at::Tensor& teacher);

/// temperature^2 times the mean over the batch of KL(softmax(teacher / temperature) ||
/// softmax(student / temperature)) (Hinton et al., "Distilling the knowledge in a neural network",
/// 2015). The teacher is a constant.
LossTerm kl_divergence(const at::Tensor& student, const at::Tensor& teacher, double temperature);

/// Loss of one bit-width in one minibatch.
struct WidthLoss {
  double ce = 0;        // cross-entropy
  double distill = 0;   // what is added to it: beta times the sum (or mean) over teachers
  double total = 0;     // scale * (ce + distill)
  at::Tensor gradient;  // d total / d logits, (n, classes) float32
};

/// `teachers` as chosen by teachers_of; none: cross-entropy alone, byte for byte. beta is
/// LossOptions::weight after the ramp; `scale` multiplies everything (weight of the width, 1 /
/// number of widths).
WidthLoss width_loss(const at::Tensor& logits, const at::Tensor& labels,
                     const std::vector<at::Tensor>& teachers, const LossOptions& options,
                     double beta, double scale);

/// Logits a minibatch has produced so far.
struct WidthLogits {
  int bits = 0;
  at::Tensor logits;  // (n, classes), without gradient
};

/// The logits that teach a student of `bits`, among those computed already: cdt and max_loss all
/// higher, sp the highest of all widths, recursive the nearest higher; joint and independent none.
/// `highest` is the highest width trained.
std::vector<at::Tensor> teachers_of(LossKind kind, int bits, int highest,
                                    const std::vector<WidthLogits>& computed);

/// Beta at `epochs` (with a fraction) into the joint phase: linear from 0 to LossOptions::weight
/// over ramp_epochs.
double distill_weight(const LossOptions& options, double epochs);

}  // namespace instantnet::train
