// A training run on disk: everything needed to continue it bit for bit, or to use the network.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "instantnet/core/tree.h"
#include "instantnet/net/spec.h"
#include "instantnet/nn/model.h"

namespace instantnet::train {

/// Where a run stands. Everything random is a function of (seed, epoch, step, index), so these
/// numbers are the whole state besides tensors.
struct RunState {
  std::string phase;        // "float", "joint", "done"
  int64_t epoch = 0;        // within the phase, finished
  int64_t step = 0;         // optimiser minibatches finished within the phase
  int64_t total_steps = 0;  // minibatches finished in the whole run
  double best_score = -1;   // what "best" was chosen by: mean accuracy over bit-widths
  int64_t best_epoch = -1;
  int64_t log_bytes =
      0;  // length of run.jsonl when this was written; a resumed run cuts it to that
  int64_t event_bytes = 0;  // the same of the TensorBoard file
  bool operator==(const RunState&) const = default;
};

/// The folder holds
///   checkpoint.yaml      format version, bits, classes, model options, run options, state
///   network.yaml
///   weights.safetensors  all of SwitchableModel::tensors()
///   optimizer.safetensors (absent in a checkpoint that is only for use)
///   digests.txt          sha256 of each of the above, last line of itself
struct Checkpoint {
  NetworkSpec spec;
  std::vector<int> bits;
  nn::ModelOptions model_options;
  Tree run_options;  // the whole of train.yaml as it ran
  std::map<std::string, at::Tensor> weights;
  std::map<std::string, at::Tensor> optimizer;
  RunState state;
};

/// The version this program writes. It reads 1..kCheckpointVersion.
constexpr int kCheckpointVersion = 1;

/// Atomic: after a crash at any moment the folder is the old or the new checkpoint. Error with the
/// system's reason.
void save_checkpoint(const Checkpoint& checkpoint, const std::string& folder);

/// Verifies digests and version. Error naming the file and what is wrong with it.
Checkpoint load_checkpoint(const std::string& folder);

/// The model of a checkpoint, ready to run.
nn::SwitchableModel make_model(const Checkpoint& checkpoint);

}  // namespace instantnet::train
