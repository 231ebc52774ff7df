// What happens to one minibatch: forward at each bit-width, losses, backward, optimiser steps.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "instantnet/data/loader.h"
#include "instantnet/nn/executor.h"
#include "instantnet/train/meters.h"
#include "instantnet/train/optimizer.h"
#include "instantnet/train/options.h"

namespace instantnet::train {

/// Everything that is decided before a minibatch runs.
struct StepPlan {
  std::vector<int> widths;      // in order
  std::vector<double> weights;  // of the widths' losses
  LossKind kind = LossKind::Joint;
  Update update = Update::Each;
  double beta = 0;  // weight of distillation now
  double lr = 0;
  double clip_norm = 0;  // 0 = off
  uint64_t noise_seed = 0;
  std::string place;  // "joint phase, step 120 (epoch 3)", for messages
  std::string kept;   // which checkpoint there is, for messages
};

/// Runs minibatches. References live longer than it.
class MinibatchTrainer {
 public:
  MinibatchTrainer(nn::Executor& executor, Optimizer& optimizer, GradientExchange& exchange,
                   const LossOptions& loss)
      : executor_(executor), optimizer_(optimizer), exchange_(exchange), loss_(loss) {}

  /// One record for each width that learned. Error naming place and bit-width for a loss or
  /// gradient that is not finite; the weights are then those before the step.
  std::vector<WidthRecord> run(const data::Batch& batch, const StepPlan& plan);

 private:
  struct Student;
  at::Tensor forward(int bits, size_t position, const StepPlan& plan);
  WidthRecord learn(const Student& student, const at::Tensor& labels, const StepPlan& plan);
  void update(const StepPlan& plan, int bits);
  std::vector<WidthRecord> run_widths(const data::Batch& batch, const StepPlan& plan);
  std::vector<WidthRecord> run_max_loss(const data::Batch& batch, const StepPlan& plan);

  nn::Executor& executor_;
  Optimizer& optimizer_;
  GradientExchange& exchange_;
  const LossOptions& loss_;
};

}  // namespace instantnet::train
