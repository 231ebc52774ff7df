// SGD, Adam and AdamW with torch's update rules and state that goes into checkpoints, and the one
// place where gradients meet the optimiser.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/nn/model.h"
#include "instantnet/train/options.h"

namespace instantnet::train {

/// What happens to gradients between backward and step. The base class is a run of one worker:
/// nothing. A data-parallel one replaces each gradient by its mean over workers. With equally large
/// batches the workers then step as one worker with the whole batch would, but for batch norms,
/// which see each worker's part only.
class GradientExchange {
 public:
  virtual ~GradientExchange() = default;
  /// One entry a parameter, in the order of SwitchableModel::parameters(); undefined where the
  /// parameter was not used (the same ones on every worker).
  virtual void exchange(std::vector<at::Tensor>& gradients);
  /// This worker's number and how many there are: the shard of the data it reads.
  virtual int64_t rank() const { return 0; }
  virtual int64_t ranks() const { return 1; }
  /// Returns when every worker has called it: what rank 0 wrote before is then there for all.
  virtual void wait() {}
};

/// Length of all gradients together, in double precision and fixed order. Undefined ones count
/// nothing.
double gradient_norm(const std::vector<at::Tensor>& gradients);

/// torch's clip_grad_norm_: multiplies by most / (norm + 1e-6) when that is below 1. `norm` from
/// gradient_norm.
void clip_gradients(std::vector<at::Tensor>& gradients, double norm, double most);

/// Updates parameters in place. A parameter whose gradient is undefined is left alone, with its
/// state, as torch does. Needs no memory in step on the CPU where gradient and parameter have the
/// same strides.
class Optimizer {
 public:
  /// Keeps references to the tensors of `parameters`. State starts at zero.
  Optimizer(const OptimizerOptions& options, std::vector<nn::Named> parameters);
  virtual ~Optimizer() = default;

  /// One update at learning rate `lr`: lr * range_lr_multiple for Role::Range and Role::WeightStep.
  void step(double lr);
  /// Gradients become undefined.
  void zero_gradients();
  /// Tensor::grad of every parameter, in order, sharing memory.
  std::vector<at::Tensor> gradients() const;

  /// Name -> tensor, sharing memory: "momentum/NAME", "average/NAME", "square/NAME", "steps".
  virtual std::map<std::string, at::Tensor> state() const = 0;
  /// Copies values in. Error (prefix `where`) for a missing or misshapen one.
  void load(const std::map<std::string, at::Tensor>& values, const std::string& where);

 protected:
  struct Slot {
    std::string name;
    at::Tensor parameter;
    double weight_decay = 0;
    double lr_multiple = 1;
  };

  virtual void update(size_t slot, const at::Tensor& gradient, double lr) = 0;
  const std::vector<Slot>& slots() const { return slots_; }
  const OptimizerOptions& options() const { return options_; }

 private:
  OptimizerOptions options_;
  std::vector<Slot> slots_;
};

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          std::vector<nn::Named> parameters);

}  // namespace instantnet::train
