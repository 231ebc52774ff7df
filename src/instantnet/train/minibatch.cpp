#include "instantnet/train/minibatch.h"

#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"
#include "instantnet/train/loss.h"

namespace instantnet::train {
namespace {

[[noreturn]] void not_finite(const std::string& what, const StepPlan& plan, int bits) {
  const std::string width = bits == 0 ? "all bit-widths together" : fmt::format("{} bits", bits);
  fail("train",
       fmt::format("{} is not finite in the {}, at {}; give a smaller optimizer.lr, or set "
                   "optimizer.clip_norm. {}",
                   what, plan.place, width, plan.kept));
}

}  // namespace

/// A width about to learn: the last forward pass was its.
struct MinibatchTrainer::Student {
  int bits;
  at::Tensor logits;
  std::vector<at::Tensor> teachers;
  double scale;
};

at::Tensor MinibatchTrainer::forward(int bits, size_t position, const StepPlan& plan) {
  executor_.noise_seed(mix(plan.noise_seed, position));
  return executor_.forward(bits, nn::Mode::Train);
}

WidthRecord MinibatchTrainer::learn(const Student& student, const at::Tensor& labels,
                                    const StepPlan& plan) {
  const WidthLoss loss = width_loss(student.logits, labels.to(student.logits.device()),
                                    student.teachers, loss_, plan.beta, student.scale);
  if (!std::isfinite(loss.total))
    not_finite(fmt::format("the loss ({})", loss.total), plan, student.bits);
  executor_.backward(loss.gradient);
  return {student.bits, loss.ce, loss.distill, labels.size(0)};
}

/// The optimiser's turn. `bits` is 0 when several widths' gradients are in it.
void MinibatchTrainer::update(const StepPlan& plan, int bits) {
  executor_.finish();
  std::vector<at::Tensor> gradients = optimizer_.gradients();
  exchange_.exchange(gradients);
  const double norm = gradient_norm(gradients);
  if (!std::isfinite(norm)) not_finite("the gradient", plan, bits);
  if (plan.clip_norm > 0) clip_gradients(gradients, norm, plan.clip_norm);
  optimizer_.step(plan.lr);
  optimizer_.zero_gradients();
  executor_.weights_changed();
}

std::vector<WidthRecord> MinibatchTrainer::run_widths(const data::Batch& batch,
                                                      const StepPlan& plan) {
  const bool accumulate = plan.update == Update::Accumulate;
  const int highest = *std::max_element(plan.widths.begin(), plan.widths.end());
  const double share =
      accumulate && loss_.mean ? 1.0 / static_cast<double>(plan.widths.size()) : 1.0;
  std::vector<WidthRecord> records;
  std::vector<WidthLogits> computed;
  for (size_t i = 0; i < plan.widths.size(); ++i) {
    const int bits = plan.widths[i];
    const at::Tensor logits = forward(bits, i, plan);
    records.push_back(learn(
        {bits, logits, teachers_of(plan.kind, bits, highest, computed), share * plan.weights[i]},
        batch.labels, plan));
    computed.push_back({bits, logits});
    if (!accumulate) update(plan, bits);
  }
  if (accumulate) update(plan, plan.widths.size() == 1 ? plan.widths[0] : 0);
  return records;
}

/// The authors' max_loss: every width runs, the one with the largest cross-entropy runs again and
/// learns, taught by all higher ones.
std::vector<WidthRecord> MinibatchTrainer::run_max_loss(const data::Batch& batch,
                                                        const StepPlan& plan) {
  std::vector<WidthLogits> computed;
  size_t chosen = 0;
  double largest = -1;
  for (size_t i = 0; i < plan.widths.size(); ++i) {
    const at::Tensor logits = forward(plan.widths[i], i, plan);
    computed.push_back({plan.widths[i], logits});
    const double ce =
        cross_entropy(logits, batch.labels.to(logits.device()), loss_.label_smoothing).value;
    if (!std::isfinite(ce)) not_finite(fmt::format("the loss ({})", ce), plan, plan.widths[i]);
    if (ce > largest) {
      largest = ce;
      chosen = i;
    }
  }
  const int bits = plan.widths[chosen];
  const int highest = *std::max_element(plan.widths.begin(), plan.widths.end());
  const at::Tensor logits = forward(bits, chosen, plan);
  const WidthRecord record =
      learn({bits, logits, teachers_of(plan.kind, bits, highest, computed), plan.weights[chosen]},
            batch.labels, plan);
  update(plan, bits);
  return {record};
}

std::vector<WidthRecord> MinibatchTrainer::run(const data::Batch& batch, const StepPlan& plan) {
  executor_.begin(batch.images);
  return plan.kind == LossKind::MaxLoss ? run_max_loss(batch, plan) : run_widths(batch, plan);
}

}  // namespace instantnet::train
