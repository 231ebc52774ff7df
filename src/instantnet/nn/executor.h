// Runs a SwitchableModel: forward at any precision, backward into gradients. Two programs with one interface and the same
// results within the stated tolerance: plain (autograd, any device) and fused (CPU).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/net/precision.h"
#include "instantnet/nn/gates.h"
#include "instantnet/nn/model.h"

namespace instantnet::nn {

/// What batch norms and ranges do in a forward pass.
enum class Mode {
  Train,      // batch statistics, running ones updated, kept for backward
  Calibrate,  // batch statistics, running ones updated (cumulatively, see Executor::calibrate), nothing kept
  Eval,       // running statistics
};

/// Not thread-safe; one model may have several executors when only one of them trains.
class Executor {
 public:
  virtual ~Executor() = default;

  /// Announces a minibatch: what does not depend on the bit-width is computed once for all forward passes until the next
  /// begin, or until weights_changed. images (n, c, h, w) float32.
  virtual void begin(const at::Tensor& images) = 0;
  /// The weights were changed since begin (a step after each bit-width).
  virtual void weights_changed() = 0;

  /// Logits (n, classes) at `bits`, without gradient tracking. A backward belongs to the last forward; a forward in
  /// Mode::Train may also stay without one.
  virtual at::Tensor forward(int bits, Mode mode) = 0;
  /// The same with a precision for each layer (in the order of model.layers()).
  virtual at::Tensor forward(const std::vector<Precision>& precisions, Mode mode) = 0;

  /// Adds d loss / d parameter to the gradient (Tensor::grad) of every parameter that the last forward used, given
  /// d loss / d logits (n, classes). Gradients of what is shared by all bit-widths of a minibatch may be added only by finish.
  virtual void backward(const at::Tensor& logits_gradient) = 0;
  /// Completes the gradients of the minibatch. Call before every optimiser step.
  virtual void finish() = 0;

  /// From the next forward pass on, the named Add nodes weigh their inputs; the others sum. What only gates of 0 lead to
  /// is not computed, gets no gradient and keeps its statistics. No gates: everything is computed. Error as GateSet::set.
  virtual void set_gates(const Gates& gates) = 0;
  /// d loss / d gate, summed over the backward passes since set_gates; 0 where the gate is 0.
  virtual Gates gate_gradients() const = 0;

  /// false: backward passes give gradients to gates alone, which is less work.
  virtual void learn_weights(bool learn) = 0;

  /// Momentum of running statistics in Mode::Calibrate (share of the new batch).
  virtual void calibration_momentum(double momentum) = 0;
  /// Dropout masks are a function of this number and the layer.
  virtual void noise_seed(uint64_t seed) = 0;
};

/// An executor for the model as its options say. `threads` >= 1. The same bytes for any number of threads on the CPU.
std::unique_ptr<Executor> make_executor(SwitchableModel& model, int threads);

/// Both by name, for tests and benchmarks. make_fused returns nullptr where it cannot serve the model, and says why.
std::unique_ptr<Executor> make_plain_executor(SwitchableModel& model, int threads);
std::unique_ptr<Executor> make_fused_executor(SwitchableModel& model, int threads, std::string* why = nullptr);

}  // namespace instantnet::nn
