// What a session does for one image at one choice of bit-widths: steps on a planned stretch of
// memory, with sums, additions and codes joined where one follows the other.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "instantnet/runtime/kernel.h"
#include "instantnet/runtime/prepare.h"

namespace instantnet::runtime {

/// The image into the arena: bytes as they are, through a table of 256 numbers a channel, or as
/// float32, pixel / 255 * scale[c] + shift[c].
struct InputStep {
  View to;
  const int32_t* table = nullptr;
  const float *scale = nullptr, *shift = nullptr;  // F32 only
};

struct ConvStep {
  int layer = 0;
  ConvProblem problem;
  ConvCall call;  // weights are the session's
  std::vector<CodeTarget> targets;
};

struct CombineStep {
  CombineCall call;
  std::vector<View> inputs;
  std::vector<CodeTarget> targets;
};

struct PoolStep {
  PoolCall call;
  bool average = false;
};

/// Output element i of each pixel is input element from[i]; or, flattening, output element i is
/// element from[i] of the whole image counted (h, w, c).
struct MoveStep {
  View input, output;
  bool flatten = false;
  std::vector<int32_t> from;
};

struct FloatConvStep {
  int layer = 0;
  ConvShape shape;
  FloatCall call;  // weights are the session's
};

struct FloatAddStep {
  std::vector<View> inputs;
  View output;
  float least = 0, most = 0;
};

struct Step {
  std::variant<InputStep, ConvStep, CombineStep, PoolStep, MoveStep, FloatConvStep, FloatAddStep>
      what;
  int rows = 1, channels = 1;  // of its output
  int64_t work = 0;            // elementary operations, for sharing among threads
  /// Tensors it writes, whose halo is filled before, and the numbers their halo is filled with.
  struct Output {
    View view;
    int zero = 0;
    int tensor = -1;  // form, or value for float32
  };
  std::vector<Output> outputs;
};

/// Immutable; steps point into its own tables.
struct Plan {
  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  std::vector<Precision> precisions;  // as asked, one a layer
  bool is_float = false;
  Prepared prepared;                // integers
  std::vector<float> scale, shift;  // float32: of pixels, by channel
  std::vector<Step> steps;
  View logits;       // I32 or F32
  int fraction = 0;  // I32: logit = number / 2^fraction
  int64_t arena_bytes = 0, scratch_bytes = 0;
};

/// `asked` as expand() gives it. Error as prepare.
std::unique_ptr<const Plan> make_plan(const Source& source, const std::vector<Precision>& asked,
                                      const Kernels& kernels);

}  // namespace instantnet::runtime
