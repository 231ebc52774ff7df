// Minibatches: shuffled, augmented and normalised as a function of (seed, epoch, index) alone, so
// any number of threads gives the same bytes; prepared ahead by a pool of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "instantnet/core/config.h"
#include "instantnet/images/dataset.h"

namespace instantnet::data {

/// How images become network input. Everything a user can set in train.yaml under `data`.
struct DataOptions {
  std::string path = "/usr/share/datasets/fashion-mnist";
  std::string format = "auto";
  int64_t batch_size = 128;
  int64_t threads = 2;      // loader threads; 0 = the training thread prepares its own batches
  int64_t limit = 0;        // use only this many training images (chosen by seed); 0 = all
  double validation = 0.0;  // share of the training set kept aside for validation, chosen by seed
  int64_t height = 0, width = 0;  // resize to this; 0 = as stored
  std::string resize = "auto";    // "stretch", "crop", "auto" = the data set's own
  std::string augment = "auto";   // "auto" = the data set's own, "none", "custom"
  int64_t crop_padding = 0;       // the next five count for "custom"
  int64_t shift = 0;
  bool flip = false;
  bool random_resized_crop = false;
  double least_area = 0.08;             // of random_resized_crop
  std::vector<double> mean, deviation;  // empty = the data set's own
  int64_t cache_mib = 2048;             // memory for decoded and resized images
  bool operator==(const DataOptions&) const = default;
};
Fields fields(DataOptions& options);

/// Error (the key, what was given, what would be right) for the first value that cannot be.
void check_options(const DataOptions& options);

/// One minibatch.
struct Batch {
  at::Tensor images;             // (n, c, h, w) float32, channels-last
  at::Tensor labels;             // (n) int64
  std::vector<int64_t> indices;  // of the images in the data set
};

/// Which images, in which order, a worker sees in an epoch. The order is a permutation chosen by
/// (seed, epoch); shard `rank` of `ranks` takes every ranks-th of it. So batch number i of all
/// ranks together holds the same images as batch i of one rank with `ranks` times the batch size.
/// Without drop_last the ranks may differ by one in their number of batches.
struct Order {
  uint64_t seed = 1;
  int64_t epoch = 0;
  bool shuffle = true;
  bool augment = true;
  bool drop_last = false;  // leave out a last batch that is not full (the same for every rank)
  int64_t rank = 0, ranks = 1;
};

/// A subset of a data set, prepared for a network. Keeps decoded images in memory when they fit in
/// `options.cache_mib`.
class Source {
 public:
  /// `indices` into `dataset`; all of it when empty. Error when an image shape does not suit the
  /// options.
  Source(std::shared_ptr<const images::Dataset> dataset, std::vector<int64_t> indices,
         const DataOptions& options);
  ~Source();

  int64_t size() const;
  int64_t classes() const;
  std::vector<std::string> class_names() const;
  /// Channels, height, width of prepared images.
  std::vector<int64_t> shape() const;
  /// Number of batches of this rank.
  int64_t batches(const Order& order) const;
  /// The options with nothing left to choose: "auto" is replaced by what the data set wants.
  const DataOptions& options() const;
  /// Indices into the data set, ascending unless given otherwise.
  const std::vector<int64_t>& indices() const;
  /// Some of its images, prepared the same; `chosen` are indices into the data set.
  std::shared_ptr<Source> part(std::vector<int64_t> chosen) const;

  /// Prepares the batches of an epoch from `first_batch` on, in order, on `options.threads` threads
  /// that stay at most 2 * threads batches ahead, and hands each to `take` on the calling thread;
  /// stops early when take returns false. What goes wrong in a thread is thrown here when its batch
  /// is due.
  void for_each(const Order& order, int64_t first_batch,
                const std::function<bool(Batch&)>& take) const;

  /// One batch, prepared on the calling thread: for_each gives exactly these bytes.
  Batch batch(const Order& order, int64_t number) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Training, validation (empty pointer when options.validation = 0) and test sources as the options
/// say. Validation and test are normalised like training and never augmented, whatever their Order
/// says. `limit` is taken from what validation leaves.
struct Sources {
  std::shared_ptr<Source> train, validation, test;
};
Sources open_sources(const DataOptions& options, uint64_t seed);

}  // namespace instantnet::data
