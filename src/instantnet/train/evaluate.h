// Accuracy and loss of a network on a part of a data set, at any number of bit-widths in one pass
// over the images.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "instantnet/core/progress.h"
#include "instantnet/data/loader.h"
#include "instantnet/net/precision.h"
#include "instantnet/nn/executor.h"

namespace instantnet::train {

/// How good one setting is.
struct Score {
  double accuracy = 0;  // share of images whose largest logit is the label's, 0..1
  double loss = 0;      // mean cross-entropy
  bool operator==(const Score&) const = default;
};

/// One score a setting, in the order asked for.
struct Evaluation {
  int64_t images = 0;
  std::vector<Score> scores;
  bool complete = true;  // false: stopped on request, scores mean nothing

  double mean_accuracy() const;
  bool operator==(const Evaluation&) const = default;
};

/// What else an evaluation does.
struct EvaluateExtras {
  Progress* progress = nullptr;             // hears of images
  const std::atomic<bool>* stop = nullptr;  // ends it early when true
  at::Tensor* logits =
      nullptr;  // receives (settings, images, classes) float32, images in the order of the source
};

/// The network at each of `bits`. Deterministic: sums go in the order of images.
Evaluation evaluate(nn::Executor& executor, const data::Source& source,
                    const std::vector<int>& bits, const EvaluateExtras& extras = {});

/// The network at each of `settings`, a precision for each layer.
Evaluation evaluate(nn::Executor& executor, const data::Source& source,
                    const std::vector<std::vector<Precision>>& settings,
                    const EvaluateExtras& extras = {});

}  // namespace instantnet::train
