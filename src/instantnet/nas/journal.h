// The logs of a search: run.jsonl and the TensorBoard file. What depends on the clock has a
// constant number of characters, as in a training's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/core/run_log.h"
#include "instantnet/core/tree.h"
#include "instantnet/nas/alphas.h"
#include "instantnet/nas/report.h"
#include "instantnet/net/search_space.h"
#include "instantnet/train/evaluate.h"
#include "instantnet/train/meters.h"

namespace instantnet::nas {

/// What is known at the end of an epoch.
struct SearchEpoch {
  SearchReport report;
  bool searching = false;  // false: weights alone
  int64_t total_steps = 0;
  double lr = 0, temperature = 0;
  double alpha_loss = 0;     // mean cross-entropy of the architecture's steps
  double expected_cost = 0;  // of an architecture drawn from the alphas
  std::vector<int> bits;     // of the evaluation
  train::Evaluation evaluation;
  double images_per_second = 0, seconds = 0;  // by the clock
};

class SearchJournal {
 public:
  SearchJournal(const std::string& folder, int64_t log_bytes, int64_t event_bytes);

  void start(const Tree& options, const CostTable& table, const Window& window);
  void epoch(const SearchEpoch& epoch, const train::Meters& meters, const SearchSpace& space,
             const Rows& alpha);
  void result(const SearchReport& report);

  int64_t log_bytes() const { return log_.bytes(); }
  int64_t event_bytes() const { return events_.bytes(); }

 private:
  RunLog log_;
  EventFile events_;
};

}  // namespace instantnet::nas
