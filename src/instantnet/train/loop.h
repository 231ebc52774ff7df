// A training run from options to a folder of checkpoints and logs.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/core/progress.h"
#include "instantnet/train/checkpoint.h"
#include "instantnet/train/evaluate.h"
#include "instantnet/train/optimizer.h"
#include "instantnet/train/options.h"

namespace instantnet::train {

/// What a run came to.
struct TrainResult {
  RunState state;
  bool stopped = false;   // on request; continue with resume
  std::vector<int> bits;  // of the scores
  Evaluation evaluation;  // on the test set; of the independent networks with loss.kind independent
  Evaluation independent;  // with independent_too: the same for one network a bit-width, else empty
  double seconds = 0;      // of this call
};

/// Trains into `folder`:
///   last/                newest checkpoint, enough to continue bit for bit
///   best/                weights of the epoch with the highest mean accuracy in the joint phase
///   float/               weights after the float phase
///   kept/PHASE-EPOCH/    with keep_last
///   config.yaml          every option as it ran, to run it again
///   run.jsonl            a record at the start, after each epoch, and at the end
///   events.out.tfevents.instantnet   the same numbers for TensorBoard
///   bits-B/              a folder like this for each independent network
/// `resume` continues from last/ (from the beginning when there is none yet): the weights become
/// those of a run without interruption, byte for byte. `stop`, when it becomes true, ends the run
/// after the minibatch in work, saved. Error for options that cannot be (see check), a folder that
/// holds a run (or someone else's config.yaml) already, options that differ from those of the run to continue, a loss that is not
/// finite (last/ stays as it was). Of several workers (`exchange`) only rank 0 writes; `stop` must
/// become true for all of them before the same minibatch.
TrainResult train(const TrainOptions& options, const std::string& folder, bool resume,
                  Progress& progress, const std::atomic<bool>* stop = nullptr,
                  GradientExchange* exchange = nullptr);

/// Names of files inside a run's folder: the TensorBoard file, and the options.
inline constexpr const char* kEventFile = "events.out.tfevents.instantnet";
inline constexpr const char* kConfigFile = "config.yaml";

}  // namespace instantnet::train
