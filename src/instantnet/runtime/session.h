// Running a model: load once, open a session a thread, switch bit-widths between two images.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "instantnet/net/precision.h"
#include "instantnet/runtime/aligned.h"
#include "instantnet/runtime/execute.h"
#include "instantnet/runtime/plan.h"
#include "instantnet/runtime/raw_bytes.h"
#include "instantnet/runtime/thread_pool.h"

namespace instantnet::runtime {

/// Where the weights of all bit-widths are. Other than with Resident a width is prepared when a
/// session first asks for it, and what would be wrong with it is an Error then.
enum class Residency {
  Resident,  // in memory, packed for the kernels when the model is made: a switch moves a pointer
  OnDemand,  // a session packs those of its own width from the master codes when it switches
  FirstUse,  // packed when a session first asks for the width, then as Resident
};

struct ModelOptions {
  /// A set of kernels (kernel_sets()), or "auto" for the fastest this processor runs.
  std::string kernels = "auto";
  Residency residency = Residency::Resident;
};

/// A model ready to run. Any number of sessions and threads may share one.
class Model {
 public:
  /// Error as check(model), or (Resident) when its numbers cannot be prepared at one of its
  /// bit-widths.
  explicit Model(IntModel model, const ModelOptions& options = {});
  /// Reads a file. Error as read_model, or when memory runs out.
  static std::shared_ptr<const Model> load(const std::string& path,
                                           const ModelOptions& options = {});
  /// From a file's bytes; `where` starts messages. As parse_model the model's largest tables are
  /// left in them when it has a `keeper`. std::bad_alloc when memory runs out.
  static std::shared_ptr<const Model> parse(std::string_view bytes, const std::string& where,
                                            const ModelOptions& options = {},
                                            const std::shared_ptr<const void>& keeper = nullptr);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const IntModel& integers() const { return source_.model(); }
  const Kernels& kernels() const { return kernels_; }
  /// Bytes of packed weights in memory.
  int64_t packed_bytes() const;

 private:
  friend class Session;

  /// Everything for one choice of bit-widths.
  struct Ready {
    std::unique_ptr<const Plan> plan;
    PackedWeights weights;            // empty when packed on demand
    std::vector<size_t> offsets;      // on demand: where each layer's weights go
    size_t packed_bytes = 0;          // on demand: of all layers
    std::vector<const Step*> layers;  // steps with weights
  };
  /// A layer's weights, packed for one problem.
  struct Packed {
    ConvProblem problem;
    bool is_float = false;
    const std::byte* data = nullptr;
    size_t bytes = 0;
  };

  struct Checked {
    IntModel model;  // has passed check()
  };
  Model(Checked checked, const ModelOptions& options);

  /// One of the model's own widths for the whole network.
  struct Uniform {
    explicit Uniform(Precision one) : precision(one) {}
    Precision precision;
    mutable std::atomic<bool> made = false;      // set once, behind `ready`
    mutable std::shared_ptr<const Ready> ready;  // read only when `made`
  };

  /// Prepares the width if nobody has.
  const std::shared_ptr<const Ready>& ready(const Uniform& width) const;
  /// Mixes are prepared at first use, and the last kMostMixes of them are kept.
  std::shared_ptr<const Ready> ready(const std::vector<Precision>& asked) const;
  std::shared_ptr<const Ready> make_ready(const std::vector<Precision>& asked) const;
  size_t step_bytes(const Step& step) const;
  void pack_step(const Step& step, std::byte* to) const;
  const std::byte* known(const Step& step) const;
  void pack_resident(Ready& made) const;

  Source source_;
  const Kernels& kernels_;
  Residency residency_;
  std::deque<Uniform> uniform_;
  mutable std::mutex mutex_;  // of what follows, and of Uniform::ready while it is made
  mutable std::vector<std::shared_ptr<const Ready>> mixes_;  // oldest first
  mutable std::vector<std::vector<Packed>> packed_;          // by layer
  mutable std::vector<std::unique_ptr<const RawBytes>> memory_;
};

struct SessionOptions {
  /// Threads that compute one image together. Results are the same bytes for any number.
  int threads = 1;
};

/// One image at a time. Not for two threads at once; open a session for each.
class Session {
 public:
  /// Starts at the highest width below 32. Unless the model is Resident, that one is prepared by
  /// the first run() before which no other was chosen. Error for threads outside 1..256.
  explicit Session(std::shared_ptr<const Model> model, const SessionOptions& options = {});

  const Model& model() const { return *model_; }
  /// What the session runs at, one entry a layer, as it was asked for.
  const std::vector<Precision>& precisions() const {
    return ready_ ? ready_->plan->precisions : start_;
  }

  /// One precision for all layers. Error listing the widths there are; the session then stays as it
  /// was. Nothing is allocated for one of the model's own widths with Resident, nor with FirstUse
  /// when the session was at it before.
  void set_precision(Precision precision);
  /// One a layer, in the order of the model's layers; or just one.
  void set_precisions(const std::vector<Precision>& precisions);

  /// Pixels (h, w, c). Error when there are more or fewer. Allocates nothing, but for a first run
  /// that prepares its width.
  void run(std::span<const uint8_t> image);
  /// Pixels / 255. At less than 32 bits rounded to the nearest of 0 .. 255.
  void run(std::span<const float> image);

  /// Of the last image; zeros before the first.
  std::span<const float> logits() const { return logits_; }
  /// The class with the largest logit, the first of equals.
  int predicted() const { return predicted_; }

 private:
  void start();
  void use(std::shared_ptr<const Model::Ready> ready);
  void run_steps(const Image& image);
  void read_logits();
  void check_size(size_t given) const;

  std::shared_ptr<const Model> model_;
  std::shared_ptr<const Model::Ready> ready_;  // null: start_, not yet prepared
  std::vector<Precision> start_;
  PackedWeights on_demand_;
  const PackedWeights* weights_ = nullptr;
  Aligned<std::byte> packed_, arena_, scratch_;
  size_t scratch_bytes_ = 0;  // of one thread
  std::vector<uint8_t> bytes_;
  std::vector<float> logits_;
  int predicted_ = 0;
  std::unique_ptr<ThreadPool> pool_;
};

}  // namespace instantnet::runtime
