#include "instantnet/train/loss.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <functional>
#include <set>

namespace instantnet::train {
namespace {

/// Reproducible numbers around 0.
at::Tensor numbers(int64_t n, int64_t classes, double phase) {
  return at::arange(n * classes, at::kDouble)
      .mul(1.7)
      .add(phase)
      .sin()
      .mul(2)
      .view({n, classes})
      .to(at::kFloat);
}

at::Tensor labels_of(int64_t n, int64_t classes) { return at::arange(n).mul(3).remainder(classes); }

double naive_log_softmax(const at::Tensor& x, int64_t i, int64_t k, double temperature) {
  double sum = 0;
  for (int64_t j = 0; j < x.size(1); ++j) sum += std::exp(x[i][j].item<double>() / temperature);
  return x[i][k].item<double>() / temperature - std::log(sum);
}

double naive_ce(const at::Tensor& x, const at::Tensor& labels, double smoothing) {
  double loss = 0;
  const double classes = x.size(1);
  for (int64_t i = 0; i < x.size(0); ++i)
    for (int64_t k = 0; k < x.size(1); ++k) {
      const double q = (labels[i].item<int64_t>() == k ? 1 - smoothing : 0) + smoothing / classes;
      loss -= q * naive_log_softmax(x, i, k, 1);
    }
  return loss / x.size(0);
}

double naive_kl(const at::Tensor& s, const at::Tensor& t, double temperature) {
  double loss = 0;
  for (int64_t i = 0; i < s.size(0); ++i)
    for (int64_t k = 0; k < s.size(1); ++k) {
      const double log_t = naive_log_softmax(t, i, k, temperature);
      loss += std::exp(log_t) * (log_t - naive_log_softmax(s, i, k, temperature));
    }
  return temperature * temperature * loss / s.size(0);
}

double naive_mse(const at::Tensor& s, const at::Tensor& t) {
  double loss = 0;
  for (int64_t i = 0; i < s.size(0); ++i)
    for (int64_t k = 0; k < s.size(1); ++k)
      loss += std::pow(s[i][k].item<double>() - t[i][k].item<double>(), 2);
  return loss / (s.size(0) * s.size(1));
}

/// Every entry of the gradient against a central difference.
void expect_gradient(const std::function<LossTerm(const at::Tensor&)>& loss,
                     const at::Tensor& at_x) {
  const at::Tensor gradient = loss(at_x).gradient;
  const double h = 1e-5;
  for (int64_t i = 0; i < at_x.size(0); ++i)
    for (int64_t k = 0; k < at_x.size(1); ++k) {
      at::Tensor up = at_x.to(at::kDouble), down = up.clone();
      up[i][k] += h;
      down[i][k] -= h;
      EXPECT_NEAR(gradient[i][k].item<double>(), (loss(up).value - loss(down).value) / (2 * h),
                  1e-9);
    }
}

TEST(CrossEntropy, AgreesWithPlainLoopsAndFiniteDifferences) {
  const at::Tensor x = numbers(5, 4, 0), labels = labels_of(5, 4);
  for (const double smoothing : {0.0, 0.1, 1.0}) {
    EXPECT_NEAR(cross_entropy(x, labels, smoothing).value, naive_ce(x, labels, smoothing), 1e-12);
    expect_gradient([&](const at::Tensor& at_x) { return cross_entropy(at_x, labels, smoothing); },
                    x);
  }
}

TEST(MeanSquared, AgreesWithPlainLoopsAndFiniteDifferences) {
  const at::Tensor s = numbers(3, 4, 0), t = numbers(3, 4, 1);
  EXPECT_NEAR(mean_squared(s, t).value, naive_mse(s, t), 1e-12);
  expect_gradient([&](const at::Tensor& at_s) { return mean_squared(at_s, t); }, s);
}

TEST(KlDivergence, AgreesWithPlainLoopsAndFiniteDifferences) {
  const at::Tensor s = numbers(3, 4, 0), t = numbers(3, 4, 1);
  for (const double temperature : {1.0, 3.0}) {
    EXPECT_NEAR(kl_divergence(s, t, temperature).value, naive_kl(s, t, temperature), 1e-12);
    expect_gradient([&](const at::Tensor& at_s) { return kl_divergence(at_s, t, temperature); }, s);
  }
}

TEST(WidthLoss, AddsWeightedTeachersAndScales) {
  const at::Tensor s = numbers(3, 4, 0), a = numbers(3, 4, 1), b = numbers(3, 4, 2);
  const at::Tensor labels = labels_of(3, 4);
  LossOptions options;
  options.per_teacher = false;
  const WidthLoss summed = width_loss(s, labels, {a, b}, options, 0.5, 0.25);
  const double both = naive_mse(s, a) + naive_mse(s, b);
  EXPECT_NEAR(summed.distill, 0.5 * both, 1e-12);
  EXPECT_NEAR(summed.total, 0.25 * (naive_ce(s, labels, 0) + 0.5 * both), 1e-12);
  options.per_teacher = true;
  const WidthLoss shared = width_loss(s, labels, {a, b}, options, 0.5, 0.25);
  EXPECT_NEAR(shared.distill, 0.25 * both, 1e-12);
}

TEST(WidthLoss, WithoutTeachersIsCrossEntropyByteForByte) {
  const at::Tensor s = numbers(3, 4, 0), labels = labels_of(3, 4);
  LossOptions options;
  const WidthLoss loss = width_loss(s, labels, {}, options, 1.0, 1.0);
  EXPECT_TRUE(loss.gradient.equal(cross_entropy(s, labels).gradient.to(at::kFloat)));
  EXPECT_EQ(loss.total, cross_entropy(s, labels).value);
}

TEST(WidthLoss, HasTheSameBytesForAnyNumberOfThreads) {
  const at::Tensor s = numbers(512, 200, 0), t = numbers(512, 200, 1), labels = labels_of(512, 200);
  LossOptions options;
  options.distance = Distance::Kl;
  const int before = at::get_num_threads();
  std::vector<WidthLoss> losses;
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    losses.push_back(width_loss(s, labels, {t}, options, 1.0, 1.0));
  }
  at::set_num_threads(before);
  EXPECT_EQ(losses[0].total, losses[1].total);
  EXPECT_TRUE(losses[0].gradient.equal(losses[1].gradient));
}

/// Teachers are recognised by their value.
std::set<int> teaching(LossKind kind, int bits, const std::vector<int>& computed) {
  std::vector<WidthLogits> logits;
  for (const int one : computed) logits.push_back({one, at::full({1, 1}, one)});
  std::set<int> result;
  for (const at::Tensor& one : teachers_of(kind, bits, 32, logits)) result.insert(one.item<int>());
  return result;
}

TEST(Teachers, AreThoseOfEachKind) {
  using Set = std::set<int>;
  EXPECT_EQ(teaching(LossKind::Cdt, 4, {32, 16, 8}), (Set{8, 16, 32}));
  EXPECT_EQ(teaching(LossKind::Cdt, 16, {32, 4, 8}), (Set{32}));
  EXPECT_EQ(teaching(LossKind::Sp, 4, {32, 16, 8}), (Set{32}));
  EXPECT_EQ(teaching(LossKind::Recursive, 4, {32, 16, 8}), (Set{8}));
  EXPECT_EQ(teaching(LossKind::Recursive, 4, {32, 8, 16}), (Set{8}));
  EXPECT_EQ(teaching(LossKind::MaxLoss, 8, {32, 16, 8, 4}), (Set{16, 32}));
  EXPECT_EQ(teaching(LossKind::Joint, 4, {32, 16, 8}), Set{});
  EXPECT_EQ(teaching(LossKind::Cdt, 32, {}), Set{});
}

TEST(DistillWeight, GrowsOverTheRamp) {
  LossOptions options;
  options.weight = 2;
  EXPECT_EQ(distill_weight(options, 0), 2);
  options.ramp_epochs = 4;
  EXPECT_EQ(distill_weight(options, 0), 0);
  EXPECT_EQ(distill_weight(options, 1), 0.5);
  EXPECT_EQ(distill_weight(options, 9), 2);
}

}  // namespace
}  // namespace instantnet::train
