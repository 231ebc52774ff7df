// A frozen network over many labelled images: accuracy and loss at several precisions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/core/progress.h"
#include "instantnet/net/precision.h"
#include "instantnet/runtime/session.h"

namespace instantnet::cli {

/// Images to run, by number. Both functions are called from several threads.
struct FrozenImages {
  int64_t count = 0;
  std::function<std::vector<uint8_t>(int64_t)> pixels;  // (h, w, c) of the network's size
  std::function<int64_t(int64_t)> label;
};

/// One way to run the network: its name ("8", "mixed") and one precision a layer, or one for all.
struct FrozenSetting {
  std::string name;
  std::vector<Precision> precisions;
};

struct FrozenScore {
  double accuracy = 0;  // share of images whose predicted class is the label, 0..1
  double loss = 0;      // mean cross-entropy
  bool operator==(const FrozenScore&) const = default;
};

struct FrozenScores {
  std::vector<FrozenScore> scores;  // one a setting
  std::vector<uint8_t> right;       // (settings, images): 1 where the predicted class is the label
  std::vector<float> logits;        // (settings, images, classes) when asked for
  bool operator==(const FrozenScores&) const = default;
};

/// Cross-entropy of one image, in double: log of the sum of exp, less the label's logit.
double cross_entropy(std::span<const float> logits, int64_t label);
/// exp(logit) over their sum, in double.
std::vector<double> softmax(std::span<const float> logits);

/// Each of `threads` threads has a session and takes images in turn; the result is the same bytes
/// for any number. Error of the first image that cannot be read.
FrozenScores score_frozen(const std::shared_ptr<const runtime::Model>& model,
                          const FrozenImages& images, const std::vector<FrozenSetting>& settings,
                          int threads, bool keep_logits, Progress& progress);

/// Runs the slow reference loops too (docs/integer-model.md) and compares every logit, on the first
/// `count` images and at the settings below 32 bits. Returns how many images and settings were
/// compared; Error naming the first that differs.
int64_t check_against_reference(const std::shared_ptr<const runtime::Model>& model,
                                const FrozenImages& images,
                                const std::vector<FrozenSetting>& settings, int64_t count,
                                int threads, Progress& progress);

}  // namespace instantnet::cli
