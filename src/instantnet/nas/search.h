// A search from options to a folder with the derived network, checkpoints and logs.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "instantnet/core/progress.h"
#include "instantnet/nas/cost.h"
#include "instantnet/nas/options.h"
#include "instantnet/nas/report.h"
#include "instantnet/train/evaluate.h"

namespace instantnet::nas {

/// What a search came to.
struct SearchResult {
  SearchReport report;
  NetworkSpec network;           // the derived one
  bool stopped = false;          // on request; continue with resume
  bool early = false;            // `patience` epochs with the same network
  std::vector<int> bits;         // of the evaluation
  train::Evaluation evaluation;  // of the derived network with the supernet's weights
  double seconds = 0;            // of this call
};

/// What a search can find and what that costs, before anything is trained.
struct SearchSetting {
  SpaceImage image;
  CostTable table;
  Window window;  // as asked, or the middle tenth
};
/// Reads the data set's shape, prices the space, checks space and window. Error, one sentence.
SearchSetting prepare_search(const SearchOptions& options, const Price& price);

/// Searches into `folder`:
///   network.yaml   the derived network, as after the newest epoch
///   search.json    how it was chosen (report.h), likewise
///   last/          newest checkpoint: the supernet's weights, the alphas, both optimisers
///   config.yaml, run.jsonl, events.out.tfevents.instantnet   as train::train writes them
/// `resume` continues from last/ byte for byte. Error as prepare_search, for a folder that holds a
/// search already, options that differ from those of the search to continue, numbers that are not
/// finite, and a search that collapsed: all cells skip, and that is outside the window.
SearchResult search(const SearchOptions& options, const std::string& folder, const Price& price,
                    bool resume, Progress& progress, const std::atomic<bool>* stop = nullptr);

inline constexpr const char* kNetworkFile = "network.yaml";
inline constexpr const char* kReportFile = "search.json";

}  // namespace instantnet::nas
