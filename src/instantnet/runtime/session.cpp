#include "instantnet/runtime/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "instantnet/core/error.h"

namespace instantnet::runtime {
namespace {

constexpr int kMostThreads = 256;

int checked_threads(int threads) {
  if (threads < 1 || threads > kMostThreads)
    fail("session", fmt::format("{} threads are asked for; give 1 .. {}.", threads, kMostThreads));
  return threads;
}

/// A step on its way through the threads.
struct SharedStep {
  const Step* step;
  const Work* work;
  std::byte* scratch;
  size_t scratch_bytes;
  int parts;
};

void run_part(void* context, int thread) {
  const auto& shared = *static_cast<const SharedStep*>(context);
  if (thread < shared.parts)
    run_step(*shared.step, part_of(*shared.step, thread, shared.parts), *shared.work,
             shared.scratch + static_cast<size_t>(thread) * shared.scratch_bytes);
}

template <class T>
void grow(Aligned<T>& memory, size_t size) {
  if (memory.size() < size) memory.resize(size);
}

}  // namespace

Session::Session(std::shared_ptr<const Model> model, const SessionOptions& options)
    : model_(std::move(model)),
      pool_(std::make_unique<ThreadPool>(checked_threads(options.threads))) {
  const NetworkSpec& spec = model_->integers().spec;
  bytes_.resize(static_cast<size_t>(spec.channels * spec.height * spec.width));
  logits_.resize(static_cast<size_t>(spec.classes));
  const Model::Uniform* widest = nullptr;
  for (const Model::Uniform& width : model_->uniform_) {
    // Room for all widths, so that switching allocates nothing.
    if (model_->residency_ == Residency::Resident) use(model_->ready(width));
    if (!width.precision.is_float()) widest = &width;
  }
  start_ = expand(model_->integers(), {widest->precision});
  if (model_->residency_ == Residency::Resident) use(model_->ready(*widest));
}

/// At the width that sessions start with, if none was chosen.
void Session::start() {
  if (!ready_) set_precisions(start_);
}

void Session::set_precision(Precision precision) {
  for (const Model::Uniform& width : model_->uniform_)
    if (width.precision == precision) return use(model_->ready(width));
  set_precisions({precision});
}

void Session::set_precisions(const std::vector<Precision>& precisions) {
  const std::vector<Precision> each = expand(model_->integers(), precisions);
  const bool uniform =
      std::all_of(each.begin(), each.end(), [&](Precision one) { return one == each[0]; });
  for (const Model::Uniform& width : model_->uniform_)
    if (uniform && width.precision == each[0]) return use(model_->ready(width));
  use(model_->ready(each));
}

void Session::use(std::shared_ptr<const Model::Ready> ready) {
  const Plan& plan = *ready->plan;
  const auto threads = static_cast<size_t>(pool_->threads());
  const size_t scratch = (static_cast<size_t>(plan.scratch_bytes) + 63) / 64 * 64;
  grow(arena_, static_cast<size_t>(plan.arena_bytes));
  grow(scratch_, threads * scratch);
  if (model_->residency_ == Residency::OnDemand && ready != ready_) {
    on_demand_.resize(ready->offsets.size());
    grow(packed_, ready->packed_bytes);
    for (size_t i = 0; i < on_demand_.size(); ++i)
      on_demand_[i] = packed_.data() + ready->offsets[i];
    for (const Step* step : ready->layers) {
      const auto* conv = std::get_if<ConvStep>(&step->what);
      const int layer = conv != nullptr ? conv->layer : std::get<FloatConvStep>(step->what).layer;
      model_->pack_step(*step, packed_.data() + ready->offsets[static_cast<size_t>(layer)]);
    }
  }
  // Nothing throws from here on.
  scratch_bytes_ = scratch;
  weights_ = model_->residency_ == Residency::OnDemand ? &on_demand_ : &ready->weights;
  ready_ = std::move(ready);
}

void Session::check_size(size_t given) const {
  const NetworkSpec& spec = model_->integers().spec;
  if (given != bytes_.size())
    fail("image", fmt::format("it has {} values; the network takes {} x {} pixels of {} channel{}, "
                              "{} values.",
                              given, spec.height, spec.width, spec.channels,
                              spec.channels == 1 ? "" : "s", bytes_.size()));
}

void Session::run(std::span<const uint8_t> image) {
  check_size(image.size());
  start();
  run_steps({image.data(), nullptr});
}

void Session::run(std::span<const float> image) {
  check_size(image.size());
  start();
  if (ready_->plan->is_float) return run_steps({nullptr, image.data()});
  for (size_t i = 0; i < image.size(); ++i) {
    const float pixel = image[i] * 255.0F + 0.5F;
    bytes_[i] = pixel >= 255 ? 255 : pixel > 0 ? static_cast<uint8_t>(pixel) : 0;  // NaN: 0
  }
  run_steps({bytes_.data(), nullptr});
}

void Session::run_steps(const Image& image) {
  const Work work{&model_->kernels_, weights_, image, arena_.data()};
  for (const Step& step : ready_->plan->steps) {
    fill_halos(step, arena_.data());
    SharedStep shared{&step, &work, scratch_.data(), scratch_bytes_,
                      part_count(step, pool_->threads())};
    if (shared.parts == 1)
      run_part(&shared, 0);
    else
      pool_->run(run_part, &shared);
  }
  read_logits();
}

void Session::read_logits() {
  const Plan& plan = *ready_->plan;
  if (plan.is_float) {
    const float* from = plan.logits.pixel<float>(std::as_const(arena_).data(), 0, 0);
    std::copy(from, from + logits_.size(), logits_.begin());
    predicted_ =
        static_cast<int>(std::max_element(logits_.begin(), logits_.end()) - logits_.begin());
    return;
  }
  const int32_t* from = plan.logits.pixel<int32_t>(std::as_const(arena_).data(), 0, 0);
  const double unit = std::ldexp(1.0, -plan.fraction);
  for (size_t i = 0; i < logits_.size(); ++i) logits_[i] = static_cast<float>(unit * from[i]);
  predicted_ = static_cast<int>(std::max_element(from, from + logits_.size()) - from);
}

}  // namespace instantnet::runtime
