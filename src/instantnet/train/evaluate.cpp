#include "instantnet/train/evaluate.h"

#include <torch/torch.h>

#include <functional>

#include "instantnet/train/loss.h"

namespace instantnet::train {
namespace {

data::Order in_order() {
  data::Order order;
  order.shuffle = order.augment = false;
  return order;
}

/// Sums over images of one setting.
struct Sums {
  int64_t right = 0;
  double loss = 0;
};

void add_batch(Sums& sums, const at::Tensor& logits, const at::Tensor& labels) {
  sums.right += logits.argmax(1).eq(labels).sum().item<int64_t>();
  sums.loss += cross_entropy(logits, labels).value * static_cast<double>(labels.size(0));
}

using Forward = std::function<at::Tensor(size_t setting)>;

Evaluation run(nn::Executor& executor, const data::Source& source, size_t settings,
               const Forward& forward, const EvaluateExtras& extras) {
  Evaluation result;
  std::vector<Sums> sums(settings);
  const auto count = static_cast<int64_t>(settings);
  if (extras.logits != nullptr)
    *extras.logits = at::empty({count, source.size(), source.classes()}, at::kFloat);
  source.for_each(in_order(), 0, [&](data::Batch& batch) {
    executor.begin(batch.images);
    const int64_t n = batch.labels.size(0);
    for (size_t i = 0; i < settings; ++i) {
      const at::Tensor logits = forward(i).to(at::kCPU, at::kFloat);
      add_batch(sums[i], logits, batch.labels);
      if (extras.logits != nullptr)
        extras.logits->select(0, static_cast<int64_t>(i)).narrow(0, result.images, n).copy_(logits);
    }
    result.images += n;
    if (extras.progress != nullptr) extras.progress->update(result.images);
    result.complete = extras.stop == nullptr || !extras.stop->load();
    return result.complete;
  });
  const double images = static_cast<double>(result.images);
  for (const Sums& one : sums)
    result.scores.push_back({static_cast<double>(one.right) / images, one.loss / images});
  return result;
}

}  // namespace

double Evaluation::mean_accuracy() const {
  double sum = 0;
  for (const Score& one : scores) sum += one.accuracy;
  return scores.empty() ? 0.0 : sum / static_cast<double>(scores.size());
}

Evaluation evaluate(nn::Executor& executor, const data::Source& source,
                    const std::vector<int>& bits, const EvaluateExtras& extras) {
  const Forward forward = [&](size_t i) { return executor.forward(bits[i], nn::Mode::Eval); };
  return run(executor, source, bits.size(), forward, extras);
}

Evaluation evaluate(nn::Executor& executor, const data::Source& source,
                    const std::vector<std::vector<Precision>>& settings,
                    const EvaluateExtras& extras) {
  const Forward forward = [&](size_t i) { return executor.forward(settings[i], nn::Mode::Eval); };
  return run(executor, source, settings.size(), forward, extras);
}

}  // namespace instantnet::train
