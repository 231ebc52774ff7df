// The passes of the fused executor against loops over single numbers, its convolutions against
// ATen's, and lanes.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "instantnet/core/rng.h"
#include "instantnet/nn/fused_convolution.h"
#include "instantnet/nn/fused_depthwise.h"
#include "instantnet/nn/fused_kernels.h"
#include "instantnet/nn/lanes.h"

namespace instantnet::nn {
namespace {

using Numbers = std::vector<float>;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int kCases = 60;

Numbers drawn(int64_t count, Rng& rng, double low = -2, double high = 2) {
  Numbers all(static_cast<size_t>(count));
  for (float& one : all) one = static_cast<float>(rng.uniform(low, high));
  return all;
}

/// What a pass works on: rows x channels numbers and what belongs to each channel.
struct Sample {
  int64_t rows, channels;
  Numbers x, gradient, pivot;
  Numbers scale, shift;                        // of the affine
  Numbers low, division, inverse, step, zero;  // of the grid
  Affine affine;
  GridRows grid;
  bool has_grid = false;
  std::string what;

  float at(const Numbers& values, int64_t row, int64_t channel) const {
    return values[static_cast<size_t>(row * channels + channel)];
  }
  const GridRows* grid_or_none() const { return has_grid ? &grid : nullptr; }
};

/// Sizes on both sides of every vector length and block.
int64_t drawn_channels(Rng& rng) {
  constexpr std::array<int64_t, 12> kSpecial = {1, 7, 8, 15, 16, 17, 64, 255, 256, 257, 272, 300};
  if (rng.flip()) return kSpecial[rng.below(kSpecial.size())];
  return static_cast<int64_t>(1 + rng.below(300));
}

void draw_grid(Sample& sample, Rng& rng) {
  const int64_t c = sample.channels;
  const int bits = 1 + static_cast<int>(rng.below(8));
  sample.has_grid = rng.flip(0.8);
  sample.grid.offset = rng.flip();
  sample.grid.mask_gradient = rng.flip(0.8);
  sample.low = drawn(c, rng, -1, 0);
  sample.division = drawn(c, rng, 0.01, 0.5);
  sample.inverse = drawn(c, rng, 2, 100);
  sample.step = drawn(c, rng, 0.01, 0.5);
  sample.zero = drawn(c, rng, -1, 0);
  sample.grid.low = sample.low.data();
  sample.grid.division = sample.division.data();
  sample.grid.inverse = sample.inverse.data();
  sample.grid.step = sample.step.data();
  sample.grid.zero = sample.zero.data();
  const bool is_signed = !sample.grid.offset && bits > 1 && rng.flip();
  sample.grid.most = static_cast<float>(is_signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1);
  sample.grid.least = is_signed ? -sample.grid.most : 0;
}

/// Pointers lead into the vectors, so a Sample is filled where it stays.
void draw(Sample& sample, Rng& rng) {
  sample.rows = static_cast<int64_t>(1 + rng.below(70));
  sample.channels = drawn_channels(rng);
  const int64_t count = sample.rows * sample.channels;
  sample.x = drawn(count, rng);
  sample.gradient = drawn(count, rng);
  sample.pivot = drawn(sample.channels, rng);
  sample.scale = drawn(sample.channels, rng, -1.5, 1.5);
  sample.shift = drawn(sample.channels, rng, -1, 1);
  constexpr std::array<std::pair<float, float>, 3> kClamps = {
      {{-kInfinity, kInfinity}, {0, kInfinity}, {0, 6}}};
  const auto [least, most] = kClamps[rng.below(3)];
  sample.affine = {sample.scale.data(), sample.shift.data(), least, most};
  draw_grid(sample, rng);
  sample.what = fmt::format("{} x {}, grid {}, offset {}", sample.rows, sample.channels,
                            sample.has_grid, sample.grid.offset);
}

/// Calls `check` on random samples, with the seed in every failure.
template <class F>
void on_samples(uint64_t seed, const F& check) {
  Rng rng(seed);
  for (int i = 0; i < kCases; ++i) {
    Sample sample;
    draw(sample, rng);
    SCOPED_TRACE(fmt::format("seed {}, case {}: {}", seed, i, sample.what));
    check(sample, rng);
    if (testing::Test::HasFailure()) return;
  }
}

float clamped(float x, float least, float most) { return std::min(std::max(x, least), most); }

float raw_of(const Sample& s, int64_t r, int64_t c) {
  const auto at = static_cast<size_t>(c);
  return s.at(s.x, r, c) * s.scale[at] + s.shift[at];
}

float activated(const Sample& s, int64_t r, int64_t c) {
  return clamped(raw_of(s, r, c), s.affine.least, s.affine.most);
}

bool is_open(const Sample& s, int64_t r, int64_t c) {
  const float raw = raw_of(s, r, c);
  return raw > s.affine.least && raw < s.affine.most;
}

float position_of(const Sample& s, float y, int64_t c) {
  const auto at = static_cast<size_t>(c);
  return s.grid.offset ? (y - s.low[at]) / s.division[at] : y * s.inverse[at];
}

float on_grid(const Sample& s, float y, int64_t c) {
  if (!s.has_grid) return y;
  const auto at = static_cast<size_t>(c);
  const float code = std::nearbyint(clamped(position_of(s, y, c), s.grid.least, s.grid.most));
  return s.grid.offset ? code * s.step[at] + s.zero[at] : code * s.step[at];
}

/// value(row, channel) of every place.
template <class F>
Numbers everywhere(const Sample& s, const F& value) {
  Numbers all;
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t c = 0; c < s.channels; ++c) all.push_back(value(r, c));
  return all;
}

/// Sums of term(row, channel) over rows in double, and of |term|.
template <class F>
void expect_sums(const Sample& s, const std::vector<double>& sums, const F& term) {
  for (int64_t c = 0; c < s.channels; ++c) {
    double sum = 0, size = 0;
    for (int64_t r = 0; r < s.rows; ++r) {
      const double one = term(r, c);
      sum += one;
      size += std::abs(one);
    }
    ASSERT_NEAR(sums[static_cast<size_t>(c)], sum, 1e-5 * size + 1e-12) << "channel " << c;
  }
}

ChannelSums fresh_sums(int64_t channels) {
  ChannelSums sums;
  sums.reset(channels);
  return sums;
}

TEST(FusedKernels, ApplyIsTheAffineAndTheGrid) {
  on_samples(81, [](const Sample& s, Rng&) {
    const Numbers expected =
        everywhere(s, [&](int64_t r, int64_t c) { return on_grid(s, activated(s, r, c), c); });
    Numbers out(s.x.size()), in_place = s.x;
    apply_rows(s.x.data(), out.data(), s.rows, s.channels, s.affine, s.grid_or_none());
    apply_rows(in_place.data(), in_place.data(), s.rows, s.channels, s.affine, s.grid_or_none());
    EXPECT_EQ(out, expected);
    EXPECT_EQ(in_place, expected);
  });
}

TEST(FusedKernels, ObserveAddsSumsAndExtremes) {
  on_samples(82, [](const Sample& s, Rng&) {
    ChannelSums sums = fresh_sums(s.channels);
    const int64_t half = s.rows / 2;  // two calls
    observe_rows(s.x.data(), s.pivot.data(), half, s.channels, sums);
    observe_rows(s.x.data() + half * s.channels, s.pivot.data(), s.rows - half, s.channels, sums);
    const auto off = [&](int64_t r, int64_t c) {
      return static_cast<double>(s.at(s.x, r, c)) - s.pivot[static_cast<size_t>(c)];
    };
    expect_sums(s, sums.sum, off);
    expect_sums(s, sums.square, [&](int64_t r, int64_t c) { return off(r, c) * off(r, c); });
    for (int64_t c = 0; c < s.channels; ++c) {
      float least = kInfinity, most = -kInfinity;
      for (int64_t r = 0; r < s.rows; ++r) {
        least = std::min(least, s.at(s.x, r, c));
        most = std::max(most, s.at(s.x, r, c));
      }
      ASSERT_EQ(sums.least[static_cast<size_t>(c)], least);
      ASSERT_EQ(sums.most[static_cast<size_t>(c)], most);
    }
  });
}

TEST(FusedKernels, ChannelSumsAddUp) {
  ChannelSums a = fresh_sums(2), b = fresh_sums(2);
  EXPECT_EQ(a.least, (Numbers{kInfinity, kInfinity}));
  EXPECT_EQ(a.most, (Numbers{-kInfinity, -kInfinity}));
  a = {{1, 2}, {3, 4}, {-1, 5}, {2, 6}};
  b = {{10, 20}, {30, 40}, {-2, 7}, {1, 8}};
  a.add(b);
  EXPECT_EQ(a.sum, (std::vector<double>{11, 22}));
  EXPECT_EQ(a.square, (std::vector<double>{33, 44}));
  EXPECT_EQ(a.least, (Numbers{-2, 5}));
  EXPECT_EQ(a.most, (Numbers{2, 8}));
}

TEST(FusedKernels, FactsAreExtremesAndSquaresOfEverything) {
  on_samples(83, [](const Sample& s, Rng& rng) {
    const bool plain = rng.flip();
    RowFacts facts{kInfinity, -kInfinity, 0};
    facts_of_rows(s.x.data(), s.rows, s.channels, plain ? nullptr : &s.affine, facts);
    float least = kInfinity, most = -kInfinity;
    double squares = 0;
    for (int64_t r = 0; r < s.rows; ++r)
      for (int64_t c = 0; c < s.channels; ++c) {
        const float value = plain ? s.at(s.x, r, c) : activated(s, r, c);
        least = std::min(least, value);
        most = std::max(most, value);
        squares += static_cast<double>(value) * static_cast<double>(value);
      }
    EXPECT_EQ(facts.least, least);
    EXPECT_EQ(facts.most, most);
    EXPECT_NEAR(facts.squares, squares, 1e-5 * squares);
  });
}

/// Masked gradient of the activation behind one place, and its term of the range's gradient.
struct Backward {
  float passed = 0;
  double range = 0;
};

Backward backward_at(const Sample& s, int64_t r, int64_t c, RangeRule rule) {
  const float g = s.at(s.gradient, r, c);
  Backward result{is_open(s, r, c) ? g : 0.0F, 0};
  if (!s.has_grid || !s.grid.mask_gradient) return result;
  const float position = position_of(s, activated(s, r, c), c);
  const bool below = position<s.grid.least, above = position> s.grid.most;
  if (below || above) result.passed = 0;
  const double code = std::nearbyint(clamped(position, s.grid.least, s.grid.most));
  if (rule == RangeRule::Lsq) result.range = g * (below || above ? code : code - position);
  if (rule == RangeRule::Pact) result.range = above ? g : below && s.grid.least < 0 ? -g : 0;
  return result;
}

void expect_backward(const Sample& s, RangeRule rule, bool accumulate, bool with_sums) {
  Numbers target = s.x;
  ChannelSums sums = fresh_sums(s.channels);
  double range = 0.25;
  const BackwardRows what{s.x.data(), s.gradient.data(), target.data(), accumulate, s.pivot.data()};
  backward_rows(what, s.rows, s.channels, s.affine, s.grid_or_none(), rule, &range,
                with_sums ? &sums : nullptr);
  EXPECT_EQ(target, everywhere(s, [&](int64_t r, int64_t c) {
              const float passed = backward_at(s, r, c, rule).passed;
              return accumulate ? s.at(s.x, r, c) + passed : passed;
            }));
  double expected = 0.25, size = 0;
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t c = 0; c < s.channels; ++c) {
      expected += backward_at(s, r, c, rule).range;
      size += std::abs(backward_at(s, r, c, rule).range);
    }
  EXPECT_NEAR(range, expected, 1e-5 * size + 1e-12);
  if (!with_sums) return;
  const auto passed = [&](int64_t r, int64_t c) {
    return static_cast<double>(backward_at(s, r, c, rule).passed);
  };
  expect_sums(s, sums.sum, passed);
  expect_sums(s, sums.square, [&](int64_t r, int64_t c) {
    return passed(r, c) * (s.at(s.x, r, c) - s.pivot[static_cast<size_t>(c)]);
  });
}

TEST(FusedKernels, BackwardMasksAndSumsUnderEveryRule) {
  on_samples(84, [](const Sample& s, Rng& rng) {
    // A grid with a zero point learns no range.
    const std::array<RangeRule, 3> rules = {RangeRule::None, RangeRule::Lsq, RangeRule::Pact};
    const bool learns = s.has_grid && s.grid.mask_gradient && !s.grid.offset;
    for (const RangeRule rule : rules)
      if (rule == RangeRule::None || learns)
        expect_backward(s, rule, /*accumulate=*/rng.flip(), /*with_sums=*/rng.flip());
  });
}

TEST(FusedKernels, BackwardMayOverwriteTheGradient) {
  on_samples(85, [](const Sample& s, Rng&) {
    Numbers apart(s.x.size()), in_place = s.gradient;
    backward_rows({s.x.data(), s.gradient.data(), apart.data(), false, nullptr}, s.rows, s.channels,
                  s.affine, s.grid_or_none(), RangeRule::None, nullptr, nullptr);
    backward_rows({s.x.data(), in_place.data(), in_place.data(), false, nullptr}, s.rows,
                  s.channels, s.affine, s.grid_or_none(), RangeRule::None, nullptr, nullptr);
    EXPECT_EQ(apart, in_place);
  });
}

TEST(FusedKernels, NormBackwardIsThreeTermsAChannel) {
  on_samples(86, [](const Sample& s, Rng&) {
    const NormBackward norm{s.scale, s.shift, s.zero, s.pivot};
    Numbers out(s.x.size());
    norm_backward_rows(s.gradient.data(), s.x.data(), out.data(), s.rows, s.channels, norm);
    EXPECT_EQ(out, everywhere(s, [&](int64_t r, int64_t c) {
                const auto at = static_cast<size_t>(c);
                return norm.a[at] * s.at(s.gradient, r, c) +
                       (norm.b[at] * (s.at(s.x, r, c) - norm.mean[at]) + norm.c[at]);
              }));
  });
}

TEST(FusedKernels, AddSumsActivationsAndClamps) {
  on_samples(87, [](const Sample& s, Rng& rng) {
    const Affine none;
    const std::vector<AddInput> inputs = {{s.x.data(), rng.flip() ? s.affine : none},
                                          {s.gradient.data(), none},
                                          {s.x.data(), s.affine}};
    Numbers out(s.x.size());
    add_rows(inputs, out.data(), s.rows, s.channels, s.affine.least, s.affine.most);
    EXPECT_EQ(out, everywhere(s, [&](int64_t r, int64_t c) {
                const float first = inputs[0].affine.scale ? activated(s, r, c) : s.at(s.x, r, c);
                const float sum = first + s.at(s.gradient, r, c) + activated(s, r, c);
                return clamped(sum, s.affine.least, s.affine.most);
              }));
  });
}

TEST(FusedKernels, MaskClosesOnAndOutsideTheClamp) {
  on_samples(88, [](const Sample& s, Rng&) {
    Numbers y = everywhere(s, [&](int64_t r, int64_t c) { return activated(s, r, c); });
    y.front() = 0;
    y.back() = 6;
    Numbers gradient = s.gradient;
    mask_rows(gradient.data(), y.data(), s.rows, s.channels, 0, 6);
    for (size_t i = 0; i < y.size(); ++i)
      ASSERT_EQ(gradient[i], y[i] > 0 && y[i] < 6 ? s.gradient[i] : 0) << i;
  });
}

TEST(FusedKernels, ReduceSumsTheMaskedGradient) {
  on_samples(89, [](const Sample& s, Rng& rng) {
    ChannelSums sums = fresh_sums(s.channels);
    Numbers masked(s.x.size());
    const bool writes = rng.flip();
    reduce_rows(s.gradient.data(), s.x.data(), s.pivot.data(), writes ? masked.data() : nullptr,
                s.rows, s.channels, s.affine, sums);
    const auto passed = [&](int64_t r, int64_t c) {
      return is_open(s, r, c) ? s.at(s.gradient, r, c) : 0.0F;
    };
    EXPECT_EQ(masked, writes ? everywhere(s, passed) : Numbers(s.x.size()));
    expect_sums(s, sums.sum, passed);
    expect_sums(s, sums.square, [&](int64_t r, int64_t c) {
      return static_cast<double>(passed(r, c)) *
             (s.at(s.x, r, c) - s.pivot[static_cast<size_t>(c)]);
    });
  });
}

TEST(FusedKernels, AverageIsTheMeanOverRows) {
  on_samples(90, [](const Sample& s, Rng&) {
    Numbers out(static_cast<size_t>(s.channels));
    average_rows(s.x.data(), out.data(), s.rows, s.channels, s.affine);
    std::vector<double> sums;
    for (const float mean : out) sums.push_back(static_cast<double>(mean) * s.rows);
    expect_sums(s, sums, [&](int64_t r, int64_t c) { return activated(s, r, c); });
  });
}

TEST(FusedKernels, SpreadIsTheGradientOfTheMean) {
  on_samples(91, [](const Sample& s, Rng& rng) {
    const bool accumulate = rng.flip();
    Numbers target = s.x;
    spread_rows(s.gradient.data(), s.x.data(), target.data(), accumulate, s.rows, s.channels,
                s.affine);
    const float share = 1.0F / static_cast<float>(s.rows);
    EXPECT_EQ(target, everywhere(s, [&](int64_t r, int64_t c) {
                const float mine = is_open(s, r, c) ? s.at(s.gradient, 0, c) * share : 0.0F;
                return accumulate ? s.at(s.x, r, c) + mine : mine;
              }));
  });
}

TEST(FusedKernels, AddIntoAddsNumberByNumber) {
  on_samples(92, [](const Sample& s, Rng&) {
    Numbers sum = s.x;
    add_into(sum.data(), s.gradient.data(), static_cast<int64_t>(sum.size()));
    for (size_t i = 0; i < sum.size(); ++i) ASSERT_EQ(sum[i], s.x[i] + s.gradient[i]);
  });
}

/// A random shape with kernel 1, 3 or 5, odd sizes, groups 1, 2 or depthwise.
ConvolutionShape drawn_convolution(Rng& rng) {
  const auto pick = [&](uint64_t most) { return static_cast<int64_t>(1 + rng.below(most)); };
  ConvolutionShape shape;
  shape.images = pick(4);
  const int64_t kind = pick(3);
  shape.in_channels = 2 * pick(20);
  shape.groups = kind == 1 ? 1 : kind == 2 ? 2 : shape.in_channels;
  shape.out_channels = kind == 3 ? shape.in_channels : kind == 2 ? 2 * pick(12) : pick(33);
  shape.kernel = 2 * pick(3) - 1;
  shape.stride = pick(2);
  shape.dilation = pick(2);
  shape.padding =
      rng.flip() ? shape.dilation * (shape.kernel / 2) : static_cast<int64_t>(rng.below(2));
  const int64_t reach = shape.dilation * (shape.kernel - 1) + 1;
  shape.in_height = reach + static_cast<int64_t>(rng.below(9));
  shape.in_width = reach + static_cast<int64_t>(rng.below(9));
  const auto out = [&](int64_t size) {
    return (size + 2 * shape.padding - reach) / shape.stride + 1;
  };
  shape.out_height = out(shape.in_height);
  shape.out_width = out(shape.in_width);
  return shape;
}

std::string described(const ConvolutionShape& s) {
  return fmt::format(
      "{} x {} x {} x {} -> {} x {} x {}, kernel {} stride {} padding {} dilation {} groups {}",
      s.images, s.in_channels, s.in_height, s.in_width, s.out_channels, s.out_height, s.out_width,
      s.kernel, s.stride, s.padding, s.dilation, s.groups);
}

/// Memory in the order (n, h, w, c), of a tensor (n, c, h, w).
at::Tensor channels_last(const at::Tensor& x) { return x.permute({0, 2, 3, 1}).contiguous(); }

double relative(const at::Tensor& ours, const at::Tensor& theirs) {
  return ((ours - theirs).norm() / theirs.norm().clamp_min(1e-6)).item<double>();
}

/// Packed once, run, and brought back to (n, c, h, w).
struct Computed {
  at::Tensor out, in_gradient, weight_gradient;
};

Computed compute(const ConvolutionShape& s, const at::Tensor& in, const at::Tensor& weight,
                 const at::Tensor& out_gradient) {
  const FusedConvolution convolution(s);
  const at::Tensor plain = channels_last(weight), x = channels_last(in),
                   g = channels_last(out_gradient);
  at::Tensor forward_weight = at::full({convolution.forward_weight_floats()}, NAN),
             backward_weight = at::full({convolution.backward_weight_floats()}, NAN),
             packed = at::full({convolution.gradient_floats()}, NAN), out = at::full_like(g, NAN),
             in_gradient = at::full_like(x, NAN), weight_gradient = at::full_like(plain, NAN);
  convolution.pack_forward(plain.data_ptr<float>(), forward_weight.data_ptr<float>());
  convolution.pack_backward(plain.data_ptr<float>(), backward_weight.data_ptr<float>());
  convolution.forward(x.data_ptr<float>(), forward_weight.data_ptr<float>(), out.data_ptr<float>());
  convolution.backward_data(g.data_ptr<float>(), backward_weight.data_ptr<float>(),
                            in_gradient.data_ptr<float>());
  convolution.backward_weight(x.data_ptr<float>(), g.data_ptr<float>(), packed.data_ptr<float>());
  convolution.unpack_gradient(packed.data_ptr<float>(), weight_gradient.data_ptr<float>());
  const auto back = [](const at::Tensor& t) { return t.permute({0, 3, 1, 2}); };
  return {back(out), back(in_gradient), back(weight_gradient)};
}

TEST(FusedConvolution, EqualsAtensConvolutionAndItsGradients) {
  const uint64_t seed = 93;
  Rng rng(seed);
  torch::manual_seed(seed);
  for (int i = 0; i < 80; ++i) {
    const ConvolutionShape s = drawn_convolution(rng);
    SCOPED_TRACE(fmt::format("seed {}, case {}: {}", seed, i, described(s)));
    const at::Tensor in = at::randn({s.images, s.in_channels, s.in_height, s.in_width});
    const at::Tensor weight =
        at::randn({s.out_channels, s.in_channels / s.groups, s.kernel, s.kernel});
    const at::Tensor g = at::randn({s.images, s.out_channels, s.out_height, s.out_width});
    const Computed ours = compute(s, in, weight, g);
    const std::array<int64_t, 2> none = {0, 0};
    const std::array<int64_t, 2> stride = {s.stride, s.stride}, padding = {s.padding, s.padding},
                                 dilation = {s.dilation, s.dilation};
    const at::Tensor out =
        at::convolution(in, weight, {}, stride, padding, dilation, false, none, s.groups);
    const auto [in_gradient, weight_gradient, bias_gradient] =
        at::convolution_backward(g, in, weight, at::OptionalIntArrayRef(), stride, padding,
                                 dilation, false, none, s.groups, {true, true, false});
    EXPECT_LT(relative(ours.out, out), 3e-6);
    EXPECT_LT(relative(ours.in_gradient, in_gradient), 3e-6);
    EXPECT_LT(relative(ours.weight_gradient, weight_gradient), 3e-6);
  }
}

TEST(FusedConvolution, IsALinearLayerAtSizeOne) {
  torch::manual_seed(94);
  ConvolutionShape shape;
  shape.images = 5;
  shape.in_channels = 37;
  shape.out_channels = 11;
  const at::Tensor in = at::randn({5, 37}), weight = at::randn({11, 37}), g = at::randn({5, 11});
  const auto pixel = [](const at::Tensor& t) { return t.unsqueeze(-1).unsqueeze(-1); };
  const Computed ours = compute(shape, pixel(in), pixel(weight), pixel(g));
  EXPECT_LT(relative(ours.out.flatten(1), at::linear(in, weight)), 3e-6);
  EXPECT_LT(relative(ours.in_gradient.flatten(1), g.mm(weight)), 3e-6);
  EXPECT_LT(relative(ours.weight_gradient.flatten(1), g.t().mm(in)), 3e-6);
}

TEST(FusedConvolution, SeveralThreadsGiveTheBytesOfOne) {
  torch::manual_seed(95);
  Rng rng(95);
  const ConvolutionShape s = drawn_convolution(rng);
  const at::Tensor in = at::randn({s.images, s.in_channels, s.in_height, s.in_width});
  const at::Tensor weight =
      at::randn({s.out_channels, s.in_channels / s.groups, s.kernel, s.kernel});
  const FusedConvolution convolution(s);
  const at::Tensor plain = channels_last(weight), x = channels_last(in);
  at::Tensor packed = at::empty({convolution.forward_weight_floats()});
  convolution.pack_forward(plain.data_ptr<float>(), packed.data_ptr<float>());
  at::Tensor outs = at::empty({6, s.images, s.out_height, s.out_width, s.out_channels});
  run_lanes(6, 3, [&](int64_t lane) {
    const SingleThreaded alone;
    convolution.forward(x.data_ptr<float>(), packed.data_ptr<float>(),
                        outs.data_ptr<float>() + lane * (outs.numel() / 6));
  });
  for (int64_t lane = 1; lane < 6; ++lane) EXPECT_TRUE(outs[lane].equal(outs[0])) << lane;
}

TEST(Lanes, SpansCoverEveryItemOnceAndEvenly) {
  for (const int64_t lanes : {1, 2, 3, 7, 8})
    for (int64_t count = 0; count < 60; ++count) {
      int64_t next = 0;
      for (int64_t lane = 0; lane < lanes; ++lane) {
        const Span span = lane_span(count, lanes, lane);
        ASSERT_EQ(span.first, next);
        ASSERT_GE(span.last - span.first, count / lanes);
        ASSERT_LE(span.last - span.first, count / lanes + 1);
        next = span.last;
      }
      ASSERT_EQ(next, count);
    }
}

TEST(Lanes, EveryLaneRunsOnceOnAnyNumberOfThreads) {
  for (const int threads : {1, 2, 3, 16})
    for (const int64_t lanes : {0, 1, 2, 5, 8}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(lanes));
      run_lanes(lanes, threads, [&](int64_t lane) { ++runs[static_cast<size_t>(lane)]; });
      for (const auto& count : runs) ASSERT_EQ(count, 1) << lanes << " lanes, " << threads;
    }
}

TEST(Lanes, TheFirstLanesExceptionIsRethrown) {
  for (const int threads : {2, 3, 8}) {
    std::string caught;
    std::atomic<int> finished = 0;
    try {
      run_lanes(8, threads, [&](int64_t lane) {
        if (lane == 2 || lane == 6) throw std::runtime_error(std::to_string(lane));
        ++finished;
      });
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "2") << threads << " threads";
    EXPECT_EQ(finished, 6) << threads << " threads";
  }
  EXPECT_THROW(run_lanes(3, 1, [](int64_t) { throw std::runtime_error("x"); }), std::runtime_error);
}

TEST(Depthwise, WeightGradientsAreThoseOfLoops) {
  const uint64_t seed = 41;
  Rng rng(seed);
  for (int round = 0; round < 60; ++round) {
    ConvolutionShape s;
    s.images = static_cast<int64_t>(1 + rng.below(3));
    s.in_channels = s.out_channels = s.groups = static_cast<int64_t>(2 + rng.below(80));
    s.kernel = static_cast<int64_t>(3 + 2 * rng.below(3));
    s.stride = static_cast<int64_t>(1 + rng.below(2));
    s.dilation = static_cast<int64_t>(1 + rng.below(2));
    s.padding = static_cast<int64_t>(rng.below(static_cast<uint64_t>(s.kernel)));
    const int64_t reach = s.dilation * (s.kernel - 1) + 1;
    s.in_height = std::max<int64_t>(1, reach - 2 * s.padding) + static_cast<int64_t>(rng.below(6));
    s.in_width = std::max<int64_t>(1, reach - 2 * s.padding) + static_cast<int64_t>(rng.below(6));
    s.out_height = (s.in_height + 2 * s.padding - reach) / s.stride + 1;
    s.out_width = (s.in_width + 2 * s.padding - reach) / s.stride + 1;
    ASSERT_TRUE(has_depthwise_gradient(s));
    const int64_t c = s.in_channels;
    const Numbers in = drawn(s.images * s.in_height * s.in_width * c, rng);
    const Numbers gradient = drawn(s.images * s.out_height * s.out_width * c, rng);
    Numbers ours(static_cast<size_t>(s.kernel * s.kernel * c));
    depthwise_weight_gradient(s, in.data(), gradient.data(), ours.data());
    for (int64_t r = 0; r < s.kernel; ++r)
      for (int64_t t = 0; t < s.kernel; ++t)
        for (int64_t channel = 0; channel < c; ++channel) {
          double sum = 0;
          for (int64_t n = 0; n < s.images; ++n)
            for (int64_t y = 0; y < s.out_height; ++y)
              for (int64_t x = 0; x < s.out_width; ++x) {
                const int64_t row = y * s.stride + r * s.dilation - s.padding;
                const int64_t column = x * s.stride + t * s.dilation - s.padding;
                if (row < 0 || row >= s.in_height || column < 0 || column >= s.in_width) continue;
                sum += static_cast<double>(in[static_cast<size_t>(
                           ((n * s.in_height + row) * s.in_width + column) * c + channel)]) *
                       gradient[static_cast<size_t>(((n * s.out_height + y) * s.out_width + x) * c +
                                                    channel)];
              }
          ASSERT_NEAR(ours[static_cast<size_t>((r * s.kernel + t) * c + channel)], sum, 1e-3)
              << "seed " << seed << " round " << round;
        }
  }
}

TEST(Shuffle, TransposesGroupsAndBack) {
  const Numbers in = {0, 1, 2, 3, 4, 5}, ones(6, 1.0F), zeros(6, 0.0F);
  Numbers out(6), back(6);
  shuffle_rows(in.data(), out.data(), 1, 6, 2, {ones.data(), zeros.data(), -kInfinity, kInfinity});
  EXPECT_EQ(out, (Numbers{0, 3, 1, 4, 2, 5}));
  unshuffle_rows(out.data(), back.data(), false, 1, 6, 2);
  EXPECT_EQ(back, in);
  unshuffle_rows(out.data(), back.data(), true, 1, 6, 2);
  EXPECT_EQ(back, (Numbers{0, 2, 4, 6, 8, 10}));
}

}  // namespace
}  // namespace instantnet::nn
