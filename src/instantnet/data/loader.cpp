#include "instantnet/data/loader.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/core/rng.h"
#include "instantnet/data/options.h"
#include "instantnet/data/order.h"
#include "instantnet/images/input.h"
#include "instantnet/images/transform.h"

namespace instantnet::data {

using images::Box;
using images::Dataset;
using images::Image;
using images::Normaliser;
using images::Placement;
using images::View;

namespace {

constexpr uint64_t kAugmentStream = 0x6175676d656e74;  // "augment"

/// Decoded and resized images of equal length, each filled by the first thread that needs it.
class Cache {
 public:
  Cache(int64_t images, int64_t bytes_each)
      : bytes_each_(bytes_each),
        bytes_(std::make_unique_for_overwrite<uint8_t[]>(static_cast<size_t>(images * bytes_each))),
        states_(static_cast<size_t>(images)) {}

  /// nullptr when the image is not there yet.
  const uint8_t* find(int64_t position) const {
    if (states_[position].load(std::memory_order_acquire) != kThere) return nullptr;
    return bytes_.get() + position * bytes_each_;
  }

  void keep(int64_t position, const uint8_t* pixels) {
    int expected = kEmpty;
    if (!states_[position].compare_exchange_strong(expected, kBeingWritten)) return;
    std::memcpy(bytes_.get() + position * bytes_each_, pixels, static_cast<size_t>(bytes_each_));
    states_[position].store(kThere, std::memory_order_release);
  }

 private:
  static constexpr int kEmpty = 0, kBeingWritten = 1, kThere = 2;
  int64_t bytes_each_;
  std::unique_ptr<uint8_t[]> bytes_;
  std::vector<std::atomic<int>> states_;
};

/// The order of one epoch, remembered: batch after batch asks for it.
struct Epoch {
  uint64_t seed = 0;
  int64_t epoch = -1;
  bool shuffle = false;
  std::shared_ptr<const std::vector<int64_t>> positions;
};

void check_order(const Order& order) {
  if (order.ranks < 1 || order.rank < 0 || order.rank >= order.ranks)
    bug(fmt::format("rank {} of {}", order.rank, order.ranks));
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

struct Source::Impl {
  std::shared_ptr<const Dataset> dataset;
  std::vector<int64_t> indices;
  DataOptions options;  // resolved
  int64_t channels = 0;
  Normaliser normaliser;
  std::unique_ptr<Cache> cache;

  mutable std::mutex epoch_mutex;
  mutable Epoch epoch;

  Impl(std::shared_ptr<const Dataset> set, std::vector<int64_t> chosen, const DataOptions& given)
      : dataset(std::move(set)),
        indices(std::move(chosen)),
        options(resolve(given, *dataset)),
        channels(dataset->image_shape()[0]),
        normaliser(options.mean, options.deviation) {
    if (indices.empty()) {
      indices.resize(static_cast<size_t>(dataset->size()));
      std::iota(indices.begin(), indices.end(), int64_t{0});
    }
    for (const int64_t index : indices)
      if (index < 0 || index >= dataset->size())
        bug(fmt::format("image {} of {}", index, dataset->size()));
    make_cache();
  }

  int64_t count() const { return static_cast<int64_t>(indices.size()); }
  int64_t bytes_each() const { return channels * options.height * options.width; }

  bool stored_at_input_size() const {
    const std::vector<int64_t> shape = dataset->image_shape();
    return shape[1] == options.height && shape[2] == options.width;
  }

  /// Nothing to keep when the set has its pixels in memory already, or when every epoch resizes
  /// other parts.
  void make_cache() {
    const bool in_memory = stored_at_input_size() && dataset->pixels(indices[0]) != nullptr;
    const int64_t mib = int64_t{1} << 20;
    const bool fits = bytes_each() * count() <= options.cache_mib * mib;
    if (!in_memory && !options.random_resized_crop && fits)
      cache = std::make_unique<Cache>(count(), bytes_each());
  }

  /// Positions of the whole epoch, all ranks.
  std::shared_ptr<const std::vector<int64_t>> positions(const Order& order) const {
    const std::lock_guard lock(epoch_mutex);
    const bool same = epoch.positions && epoch.shuffle == order.shuffle &&
                      (!order.shuffle || (epoch.seed == order.seed && epoch.epoch == order.epoch));
    if (same) return epoch.positions;
    std::vector<int64_t> made;
    if (order.shuffle) {
      made = permutation(count(), order.seed, order.epoch);
    } else {
      made.resize(indices.size());
      std::iota(made.begin(), made.end(), int64_t{0});
    }
    epoch = {order.seed, order.epoch, order.shuffle,
             std::make_shared<const std::vector<int64_t>>(std::move(made))};
    return epoch.positions;
  }

  /// How many images this rank sees when none is dropped.
  int64_t shard_size(const Order& order) const {
    return ceil_div(std::max<int64_t>(count() - order.rank, 0), order.ranks);
  }

  int64_t batches(const Order& order) const {
    check_order(order);
    return order.drop_last ? count() / order.ranks / options.batch_size
                           : ceil_div(shard_size(order), options.batch_size);
  }

  View input_view(const uint8_t* pixels) const {
    return {pixels, options.height, options.width, channels};
  }

  /// A part of the image at input size, in `resized`.
  View resized_view(const View& image, const Box& box, std::vector<uint8_t>& resized) const {
    resized.resize(static_cast<size_t>(bytes_each()));
    resize(image, box, options.height, options.width, resized.data());
    return input_view(resized.data());
  }

  /// The image at input size, without anything random. `decoded` and `resized` are memory to work
  /// in.
  View sized(int64_t position, Image& decoded, std::vector<uint8_t>& resized) const {
    if (cache)
      if (const uint8_t* kept = cache->find(position)) return input_view(kept);
    const images::Fit fit = options.resize == "crop" ? images::Fit::Crop : images::Fit::Stretch;
    const View view = images::fitted_view(images::stored_view(*dataset, indices[position], decoded),
                                          options.height, options.width, fit, resized);
    if (cache) cache->keep(position, view.pixels);
    return view;
  }

  Placement draw_placement(Rng& rng) const {
    Placement placement;
    for (const int64_t reach : {options.shift, options.crop_padding}) {
      if (reach == 0) continue;
      const auto choices = static_cast<uint64_t>(2 * reach + 1);
      placement.down += static_cast<int64_t>(rng.below(choices)) - reach;
      placement.right += static_cast<int64_t>(rng.below(choices)) - reach;
    }
    if (options.flip) placement.flip = rng.flip();
    return placement;
  }

  /// Everything random about an image comes from (seed, epoch, its index in the data set).
  void prepare(int64_t position, const Order& order, float* to) const {
    Image decoded;
    std::vector<uint8_t> resized;
    if (!order.augment || options.augment != "custom") {
      normaliser.write(sized(position, decoded, resized), {}, to);
      return;
    }
    Rng rng(order.seed ^ kAugmentStream, static_cast<uint64_t>(order.epoch),
            static_cast<uint64_t>(indices[position]));
    View view;
    if (options.random_resized_crop) {
      const View whole = images::stored_view(*dataset, indices[position], decoded);
      view = resized_view(whole, random_box(whole, options.least_area, rng), resized);
    } else {
      view = sized(position, decoded, resized);
    }
    normaliser.write(view, draw_placement(rng), to);
  }

  Batch make(const Order& order, const std::vector<int64_t>& all, int64_t number) const {
    const int64_t first = number * options.batch_size;
    const int64_t length = std::min(options.batch_size, shard_size(order) - first);
    Batch batch;
    batch.images = at::empty({length, channels, options.height, options.width},
                             at::TensorOptions().dtype(at::kFloat), at::MemoryFormat::ChannelsLast);
    batch.labels = at::empty({length}, at::TensorOptions().dtype(at::kLong));
    float* images = batch.images.data_ptr<float>();
    int64_t* labels = batch.labels.data_ptr<int64_t>();
    for (int64_t i = 0; i < length; ++i) {
      const int64_t position = all[order.rank + (first + i) * order.ranks];
      prepare(position, order, images + i * bytes_each());
      batch.indices.push_back(indices[position]);
      labels[i] = dataset->label(indices[position]);
    }
    return batch;
  }
};

namespace {

/// Batches made ahead by threads and taken in order by one.
class Prefetch {
 public:
  using Make = std::function<Batch(int64_t number)>;

  /// Makes batches `first` to `end` - 1, at most `ahead` beyond what was taken.
  Prefetch(Make make, int64_t first, int64_t end, int64_t threads, int64_t ahead)
      : make_(std::move(make)), next_(first), taken_(first), end_(end), ahead_(ahead) {
    try {
      for (int64_t i = 0; i < std::min(threads, end - first); ++i)
        threads_.emplace_back([this] { work(); });
    } catch (...) {  // no more threads: stop those there are, for they use this object
      stop();
      threads_.clear();
      throw;
    }
  }

  ~Prefetch() {
    stop();
    threads_.clear();
  }

  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  /// The next batch, in order. Throws what its making threw.
  Batch take() {
    std::unique_lock lock(mutex_);
    made_.wait(lock, [&] { return done_.contains(taken_); });
    Outcome outcome = std::move(done_.extract(taken_).mapped());
    ++taken_;
    lock.unlock();
    room_.notify_all();
    if (outcome.error) std::rethrow_exception(outcome.error);
    return std::move(*outcome.batch);
  }

 private:
  struct Outcome {
    std::optional<Batch> batch;
    std::exception_ptr error;
  };

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    room_.notify_all();
  }

  /// The number of a batch to make; empty when there is none left.
  std::optional<int64_t> next() {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return stopped_ || next_ >= end_ || next_ < taken_ + ahead_; });
    if (stopped_ || next_ >= end_) return {};
    return next_++;
  }

  Outcome try_make(int64_t number) const {
    Outcome outcome;
    try {
      outcome.batch = make_(number);
    } catch (...) {
      outcome.error = std::current_exception();
    }
    return outcome;
  }

  void work() {
    while (const auto number = next()) {
      Outcome outcome = try_make(*number);
      {
        const std::lock_guard lock(mutex_);
        done_.emplace(*number, std::move(outcome));
      }
      made_.notify_one();
    }
  }

  Make make_;
  std::mutex mutex_;
  std::condition_variable room_, made_;
  std::map<int64_t, Outcome> done_;
  int64_t next_, taken_, end_, ahead_;
  bool stopped_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace

Source::Source(std::shared_ptr<const Dataset> dataset, std::vector<int64_t> indices,
               const DataOptions& options)
    : impl_(std::make_unique<Impl>(std::move(dataset), std::move(indices), options)) {}

Source::~Source() = default;

int64_t Source::size() const { return impl_->count(); }

int64_t Source::classes() const { return impl_->dataset->classes(); }

std::vector<std::string> Source::class_names() const { return impl_->dataset->class_names(); }

std::vector<int64_t> Source::shape() const {
  return {impl_->channels, impl_->options.height, impl_->options.width};
}

int64_t Source::batches(const Order& order) const { return impl_->batches(order); }

const DataOptions& Source::options() const { return impl_->options; }

const std::vector<int64_t>& Source::indices() const { return impl_->indices; }

std::shared_ptr<Source> Source::part(std::vector<int64_t> chosen) const {
  if (chosen.empty()) bug("a part of a source without images");
  return std::make_shared<Source>(impl_->dataset, std::move(chosen), impl_->options);
}

void Source::for_each(const Order& order, int64_t first_batch,
                      const std::function<bool(Batch&)>& take) const {
  const int64_t end = batches(order);
  const int64_t threads = impl_->options.threads;
  const auto positions = impl_->positions(order);
  const auto make = [&](int64_t number) { return impl_->make(order, *positions, number); };
  if (first_batch >= end) return;
  if (threads == 0) {
    for (int64_t number = first_batch; number < end; ++number)
      if (Batch batch = make(number); !take(batch)) return;
    return;
  }
  Prefetch prefetch(make, first_batch, end, threads, 2 * threads);
  for (int64_t number = first_batch; number < end; ++number)
    if (Batch batch = prefetch.take(); !take(batch)) return;
}

Batch Source::batch(const Order& order, int64_t number) const {
  if (number < 0 || number >= batches(order))
    bug(fmt::format("batch {} of {}", number, batches(order)));
  return impl_->make(order, *impl_->positions(order), number);
}

}  // namespace instantnet::data
