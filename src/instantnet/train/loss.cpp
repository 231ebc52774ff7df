#include "instantnet/train/loss.h"

#include <torch/torch.h>

#include <algorithm>

#include "instantnet/core/error.h"

namespace instantnet::train {
namespace {

at::Tensor in_double(const at::Tensor& logits) {
  if (logits.dim() != 2) bug("losses take logits (n, classes)");
  return logits.detach().to(at::kDouble);
}

/// Sum of one number a row, in the order of rows on the CPU: no parallel reduction, whose order
/// depends on threads.
double ordered_sum(const at::Tensor& rows) {
  const at::Tensor values = rows.to(at::kCPU).contiguous();
  const double* at = values.data_ptr<double>();
  double sum = 0;
  for (int64_t i = 0; i < values.numel(); ++i) sum += at[i];
  return sum;
}

double rows_of(const at::Tensor& logits) { return static_cast<double>(logits.size(0)); }

LossTerm distance(const at::Tensor& student, const at::Tensor& teacher,
                  const LossOptions& options) {
  return options.distance == Distance::Mse ? mean_squared(student, teacher)
                                           : kl_divergence(student, teacher, options.temperature);
}

}  // namespace

LossTerm cross_entropy(const at::Tensor& logits, const at::Tensor& labels, double smoothing) {
  const at::Tensor log_p = at::log_softmax(in_double(logits), 1);
  const at::Tensor truth = labels.view({-1, 1});
  const double classes = static_cast<double>(logits.size(1)), n = rows_of(logits);
  const at::Tensor right = log_p.gather(1, truth).squeeze(1);
  const at::Tensor rows = smoothing == 0
                              ? right.neg()
                              : right.mul(-(1 - smoothing)).sub(log_p.sum(1), smoothing / classes);
  at::Tensor gradient = log_p.exp();
  if (smoothing != 0) gradient.sub_(smoothing / classes);
  gradient.scatter_add_(1, truth, at::full_like(truth, -(1 - smoothing), gradient.options()));
  return {ordered_sum(rows) / n, gradient.div_(n)};
}

LossTerm mean_squared(const at::Tensor& student, const at::Tensor& teacher) {
  const at::Tensor difference = in_double(student).sub(in_double(teacher));
  const double numbers = static_cast<double>(student.numel());
  return {ordered_sum(difference.square().sum(1)) / numbers, difference.mul(2.0 / numbers)};
}

LossTerm kl_divergence(const at::Tensor& student, const at::Tensor& teacher, double temperature) {
  const at::Tensor log_s = at::log_softmax(in_double(student).div(temperature), 1);
  const at::Tensor log_t = at::log_softmax(in_double(teacher).div(temperature), 1);
  const at::Tensor t = log_t.exp();
  const double n = rows_of(student);
  const double value = ordered_sum(t.mul(log_t.sub(log_s)).sum(1)) / n;
  return {temperature * temperature * value, log_s.exp().sub_(t).mul_(temperature / n)};
}

WidthLoss width_loss(const at::Tensor& logits, const at::Tensor& labels,
                     const std::vector<at::Tensor>& teachers, const LossOptions& options,
                     double beta, double scale) {
  LossTerm ce = cross_entropy(logits, labels, options.label_smoothing);
  WidthLoss loss;
  loss.ce = ce.value;
  const double count = static_cast<double>(teachers.size());
  const double weight = options.per_teacher && count > 0 ? beta / count : beta;
  if (weight != 0) {
    for (const at::Tensor& teacher : teachers) {
      const LossTerm term = distance(logits, teacher, options);
      loss.distill += weight * term.value;
      ce.gradient.add_(term.gradient, weight);
    }
  }
  loss.total = scale * (loss.ce + loss.distill);
  loss.gradient = ce.gradient.mul_(scale).to(at::kFloat);
  return loss;
}

std::vector<at::Tensor> teachers_of(LossKind kind, int bits, int highest,
                                    const std::vector<WidthLogits>& computed) {
  std::vector<at::Tensor> teachers;
  int nearest_bits = 0;
  for (const WidthLogits& one : computed) {
    if (one.bits <= bits) continue;
    switch (kind) {
      case LossKind::Cdt:
      case LossKind::MaxLoss:
        teachers.push_back(one.logits);
        break;
      case LossKind::Sp:
        if (one.bits == highest) teachers = {one.logits};
        break;
      case LossKind::Recursive:
        if (nearest_bits == 0 || one.bits < nearest_bits) teachers = {one.logits};
        nearest_bits = nearest_bits == 0 ? one.bits : std::min(nearest_bits, one.bits);
        break;
      case LossKind::Joint:
      case LossKind::Independent:
        break;
    }
  }
  return teachers;
}

double distill_weight(const LossOptions& options, double epochs) {
  if (options.ramp_epochs <= 0) return options.weight;
  return options.weight * std::min(1.0, epochs / options.ramp_epochs);
}

}  // namespace instantnet::train
