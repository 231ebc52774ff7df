// Slow, obvious loops that compute every integer of one image (docs/integer-model.md); all other
// ways to run a model are tested against them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "instantnet/runtime/prepare.h"

namespace instantnet::runtime {

/// One tensor of integers that occurred.
struct Traced {
  std::string node;  // whose value it is; "input" for the image
  bool stream = false;
  int fraction = 0;   // of streams: real value = number / 2^fraction
  CodeFormat format;  // of codes
  TensorShape shape;
  std::vector<int32_t> numbers;  // (h, w, c): codes without the stored code of zero, or the stream
};

struct Trace {
  std::vector<Traced> tensors;  // in the order of Prepared::forms
  std::vector<float> logits;
  int predicted = 0;  // the lowest index of the largest logit's integer
};

/// image: (h, w, c) bytes of the spec's size; Error otherwise.
Trace run_reference(const Source& source, const Prepared& prepared, std::span<const uint8_t> image);

/// Prepares and runs.
Trace run_reference(const IntModel& model, const std::vector<Precision>& precisions,
                    std::span<const uint8_t> image);

}  // namespace instantnet::runtime
