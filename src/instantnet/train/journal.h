// The two logs of a run: run.jsonl and the TensorBoard file. What depends on the clock is written
// with a constant number of characters, so that lengths of the logs, which checkpoints hold, are
// the same in every run with the same options.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "instantnet/core/run_log.h"
#include "instantnet/core/tree.h"
#include "instantnet/train/evaluate.h"
#include "instantnet/train/meters.h"
#include "instantnet/train/options.h"

namespace instantnet::train {

/// What is known at the end of an epoch.
struct EpochFacts {
  std::string phase;
  int64_t epoch = 0;                          // finished, of the phase
  int64_t total_steps = 0;                    // of the run
  double lr = 0;                              // of the last minibatch
  double images_per_second = 0, seconds = 0;  // of training; by the clock
  std::string part;       // evaluated on: "validation" or "test"; empty: not evaluated
  std::vector<int> bits;  // of the evaluation
  Evaluation evaluation;
};

class Journal {
 public:
  /// `log_bytes` and `event_bytes` of the checkpoint to continue from; 0 begins new files.
  Journal(const std::string& folder, int64_t log_bytes, int64_t event_bytes);

  void start(const Tree& options, const std::string& network, int64_t training_images);
  void epoch(const EpochFacts& facts, const Meters& meters);
  void result(const std::string& part, const std::vector<int>& bits, const Evaluation& evaluation,
              int64_t total_steps);

  int64_t log_bytes() const { return log_.bytes(); }
  int64_t event_bytes() const { return events_.bytes(); }

 private:
  RunLog log_;
  EventFile events_;
};

}  // namespace instantnet::train
