#include "instantnet/cli/frozen_scores.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <span>
#include <thread>
#include <utility>

#include "instantnet/core/error.h"
#include "instantnet/runtime/prepare.h"
#include "instantnet/runtime/reference.h"

namespace instantnet::cli {
namespace {

/// Numbers 0 .. count - 1 handed out to threads; the caller's thread is one of them and tells the
/// progress. `work(thread, index)`.
void for_each_index(int64_t count, int threads, Progress& progress,
                    const std::function<void(int, int64_t)>& work) {
  std::atomic<int64_t> next{0}, done{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto run = [&](int thread) {
    try {
      for (int64_t i = next++; i < count; i = next++) {
        work(thread, i);
        ++done;
        if (thread == 0) progress.update(done);
      }
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (int thread = 1; thread < threads; ++thread) others.emplace_back(run, thread);
    run(0);
  }
  if (error) std::rethrow_exception(error);
  progress.update(count);
}

bool is_float(const FrozenSetting& setting) { return setting.precisions.front().weight == 32; }

}  // namespace

double cross_entropy(std::span<const float> logits, int64_t label) {
  const double most = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float one : logits) sum += std::exp(static_cast<double>(one) - most);
  return most + std::log(sum) - static_cast<double>(logits[static_cast<size_t>(label)]);
}

std::vector<double> softmax(std::span<const float> logits) {
  std::vector<double> result;
  for (size_t i = 0; i < logits.size(); ++i)
    result.push_back(std::exp(-cross_entropy(logits, static_cast<int64_t>(i))));
  return result;
}

FrozenScores score_frozen(const std::shared_ptr<const runtime::Model>& model,
                          const FrozenImages& images, const std::vector<FrozenSetting>& settings,
                          int threads, bool keep_logits, Progress& progress) {
  const auto count = static_cast<size_t>(images.count), ways = settings.size();
  const auto classes = static_cast<size_t>(model->integers().spec.classes);
  std::vector<double> losses(ways * count);
  std::vector<uint8_t> right(ways * count);
  FrozenScores result;
  if (keep_logits) result.logits.resize(ways * count * classes);
  std::vector<std::unique_ptr<runtime::Session>> sessions;
  for (int i = 0; i < threads; ++i) {
    sessions.push_back(std::make_unique<runtime::Session>(model));
    for (const FrozenSetting& one : settings) sessions.back()->set_precisions(one.precisions);
  }
  for_each_index(images.count, threads, progress, [&](int thread, int64_t index) {
    runtime::Session& session = *sessions[static_cast<size_t>(thread)];
    const std::vector<uint8_t> pixels = images.pixels(index);
    const int64_t label = images.label(index);
    for (size_t way = 0; way < ways; ++way) {
      session.set_precisions(settings[way].precisions);
      session.run(std::span<const uint8_t>(pixels));
      const size_t at = way * count + static_cast<size_t>(index);
      losses[at] = cross_entropy(session.logits(), label);
      right[at] = session.predicted() == label ? 1 : 0;
      if (keep_logits)
        std::copy(session.logits().begin(), session.logits().end(),
                  result.logits.begin() + static_cast<int64_t>(at * classes));
    }
  });
  for (size_t way = 0; way < ways; ++way) {
    FrozenScore score;
    for (size_t i = way * count; i < (way + 1) * count; ++i)
      score.loss += losses[i], score.accuracy += right[i];
    score.loss /= static_cast<double>(images.count);
    score.accuracy /= static_cast<double>(images.count);
    result.scores.push_back(score);
  }
  result.right = std::move(right);
  return result;
}

int64_t check_against_reference(const std::shared_ptr<const runtime::Model>& model,
                                const FrozenImages& images,
                                const std::vector<FrozenSetting>& settings, int64_t count,
                                int threads, Progress& progress) {
  const runtime::Source source(model->integers());
  std::vector<const FrozenSetting*> integers;
  std::vector<runtime::Prepared> prepared;
  for (const FrozenSetting& one : settings) {
    if (is_float(one)) continue;
    integers.push_back(&one);
    prepared.push_back(runtime::prepare(source, one.precisions));
  }
  std::vector<std::unique_ptr<runtime::Session>> sessions;
  for (int i = 0; i < threads; ++i) sessions.push_back(std::make_unique<runtime::Session>(model));
  for_each_index(std::min(count, images.count), threads, progress, [&](int thread, int64_t index) {
    runtime::Session& session = *sessions[static_cast<size_t>(thread)];
    const std::vector<uint8_t> pixels = images.pixels(index);
    for (size_t way = 0; way < integers.size(); ++way) {
      session.set_precisions(integers[way]->precisions);
      session.run(std::span<const uint8_t>(pixels));
      const runtime::Trace trace = runtime::run_reference(source, prepared[way], pixels);
      if (!std::equal(trace.logits.begin(), trace.logits.end(), session.logits().begin()) ||
          trace.predicted != session.predicted())
        fail("--check", fmt::format("image {} at {} bits: the kernels '{}' give other logits than "
                                    "the reference; please report this.",
                                    index, integers[way]->name, model->kernels().name()));
    }
  });
  return std::min(count, images.count) * static_cast<int64_t>(integers.size());
}

}  // namespace instantnet::cli
