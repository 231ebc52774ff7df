#include "instantnet/nn/fused_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "instantnet/nn/every_isa.h"

namespace instantnet::nn {

namespace {

// Rows are taken four at a time, so that per-channel numbers are loaded once for four pixels.
constexpr int64_t kRows = 4;
// Channels whose running sums are kept on the stack at a time.
constexpr int64_t kBlock = 256;

INSTANTNET_INLINE float clamped(float x, float least, float most) {
  const float above = x > least ? x : least;
  return above < most ? above : most;
}

INSTANTNET_INLINE float activated(float x, float scale, float shift, float least, float most) {
  return clamped(x * scale + shift, least, most);
}

template <bool kOffset>
INSTANTNET_INLINE float position_of(float y, const GridRows& grid, int64_t c) {
  return kOffset ? (y - grid.low[c]) / grid.division[c] : y * grid.inverse[c];
}

template <bool kOffset>
INSTANTNET_INLINE float value_of(float code, const GridRows& grid, int64_t c) {
  return kOffset ? code * grid.step[c] + grid.zero[c] : code * grid.step[c];
}

template <bool kGrid, bool kOffset>
INSTANTNET_INLINE void apply_body(const float* in, float* out, int64_t rows, int64_t channels,
                                  const Affine& affine, const GridRows& grid) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* x = in + r * channels;
    float* y = out + r * channels;
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) {
      const float value =
          activated(x[c], affine.scale[c], affine.shift[c], affine.least, affine.most);
      y[c] = kGrid ? value_of<kOffset>(std::nearbyintf(clamped(position_of<kOffset>(value, grid, c),
                                                               grid.least, grid.most)),
                                       grid, c)
                   : value;
    }
  }
}

template <bool kMasks, bool kOffset, RangeRule kRule, bool kSums>
INSTANTNET_INLINE void backward_body(const BackwardRows& what, int64_t rows, int64_t channels,
                                     const Affine& affine, const GridRows& grid,
                                     double* range_gradient, ChannelSums* sums) {
  double range_total = 0;
  for (int64_t first = 0; first < channels; first += kBlock) {
    const int64_t width = std::min(kBlock, channels - first);
    float sum[kBlock], square[kBlock], range[kBlock];
    for (int64_t c = 0; c < width; ++c) sum[c] = square[c] = range[c] = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t row = r * channels + first;
      const float* x = what.x + row;
      const float* g = what.gradient + row;
      float* target = what.target + row;
#pragma GCC ivdep
      for (int64_t c = 0; c < width; ++c) {
        const float raw = x[c] * affine.scale[first + c] + affine.shift[first + c];
        const float y = clamped(raw, affine.least, affine.most);
        const float incoming = g[c];
        float passed = raw > affine.least && raw < affine.most ? incoming : 0.0F;
        if constexpr (kMasks) {
          const float position = position_of<kOffset>(y, grid, first + c);
          const bool open = position >= grid.least && position <= grid.most;
          passed = open ? passed : 0.0F;
          if constexpr (kRule == RangeRule::Lsq) {
            const float code = std::nearbyintf(clamped(position, grid.least, grid.most));
            range[c] += incoming * (code - (open ? position : 0.0F));
          }
          if constexpr (kRule == RangeRule::Pact) {
            const float above = position > grid.most ? incoming : 0.0F;
            range[c] += above - (grid.least < 0 && position < grid.least ? incoming : 0.0F);
          }
        }
        if constexpr (kSums) {
          sum[c] += passed;
          square[c] += passed * (x[c] - what.pivot[first + c]);
        }
        target[c] = what.accumulate ? target[c] + passed : passed;
      }
    }
    if constexpr (kRule != RangeRule::None)
      for (int64_t c = 0; c < width; ++c) range_total += static_cast<double>(range[c]);
    if constexpr (kSums)
      for (int64_t c = 0; c < width; ++c) {
        sums->sum[static_cast<size_t>(first + c)] += static_cast<double>(sum[c]);
        sums->square[static_cast<size_t>(first + c)] += static_cast<double>(square[c]);
      }
  }
  if constexpr (kRule != RangeRule::None) *range_gradient += range_total;
}

}  // namespace

void ChannelSums::reset(int64_t channels) {
  const auto n = static_cast<size_t>(channels);
  sum.assign(n, 0.0);
  square.assign(n, 0.0);
  least.assign(n, std::numeric_limits<float>::infinity());
  most.assign(n, -std::numeric_limits<float>::infinity());
}

void ChannelSums::add(const ChannelSums& other) {
  for (size_t c = 0; c < sum.size(); ++c) {
    sum[c] += other.sum[c];
    square[c] += other.square[c];
    least[c] = std::min(least[c], other.least[c]);
    most[c] = std::max(most[c], other.most[c]);
  }
}

INSTANTNET_EVERY_ISA
void apply_rows(const float* in, float* out, int64_t rows, int64_t channels, const Affine& affine,
                const GridRows* grid) {
  const GridRows none;
  if (grid == nullptr) {
    apply_body<false, false>(in, out, rows, channels, affine, none);
  } else if (grid->offset) {
    apply_body<true, true>(in, out, rows, channels, affine, *grid);
  } else {
    apply_body<true, false>(in, out, rows, channels, affine, *grid);
  }
}

INSTANTNET_EVERY_ISA
void observe_rows(const float* x, const float* pivot, int64_t rows, int64_t channels,
                  ChannelSums& sums) {
  for (int64_t first = 0; first < channels; first += kBlock) {
    const int64_t width = std::min(kBlock, channels - first);
    float sum[kBlock], square[kBlock], least[kBlock], most[kBlock];
    for (int64_t c = 0; c < width; ++c) {
      sum[c] = square[c] = 0;
      least[c] = sums.least[static_cast<size_t>(first + c)];
      most[c] = sums.most[static_cast<size_t>(first + c)];
    }
    int64_t r = 0;
    for (; r + kRows <= rows; r += kRows) {
      const float* row = x + r * channels + first;
#pragma GCC ivdep
      for (int64_t c = 0; c < width; ++c) {
        const float x0 = row[c], x1 = row[c + channels], x2 = row[c + 2 * channels],
                    x3 = row[c + 3 * channels];
        const float p = pivot[first + c];
        const float d0 = x0 - p, d1 = x1 - p, d2 = x2 - p, d3 = x3 - p;
        sum[c] += (d0 + d1) + (d2 + d3);
        square[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        const float low01 = x0 < x1 ? x0 : x1, low23 = x2 < x3 ? x2 : x3;
        const float high01 = x0 > x1 ? x0 : x1, high23 = x2 > x3 ? x2 : x3;
        const float low = low01 < low23 ? low01 : low23, high = high01 > high23 ? high01 : high23;
        least[c] = low < least[c] ? low : least[c];
        most[c] = high > most[c] ? high : most[c];
      }
    }
    for (; r < rows; ++r)
      for (int64_t c = 0; c < width; ++c) {
        const float value = x[r * channels + first + c], d = value - pivot[first + c];
        sum[c] += d;
        square[c] += d * d;
        least[c] = value < least[c] ? value : least[c];
        most[c] = value > most[c] ? value : most[c];
      }
    for (int64_t c = 0; c < width; ++c) {
      const auto at = static_cast<size_t>(first + c);
      sums.sum[at] += static_cast<double>(sum[c]);
      sums.square[at] += static_cast<double>(square[c]);
      sums.least[at] = least[c];
      sums.most[at] = most[c];
    }
  }
}

INSTANTNET_EVERY_ISA
void facts_of_rows(const float* x, int64_t rows, int64_t channels, const Affine* affine,
                   RowFacts& facts) {
  for (int64_t first = 0; first < channels; first += kBlock) {
    const int64_t width = std::min(kBlock, channels - first);
    float least[kBlock], most[kBlock], square[kBlock];
    for (int64_t c = 0; c < width; ++c) {
      least[c] = facts.least;
      most[c] = facts.most;
      square[c] = 0;
    }
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = x + r * channels + first;
#pragma GCC ivdep
      for (int64_t c = 0; c < width; ++c) {
        const float value = affine
                                ? activated(row[c], affine->scale[first + c],
                                            affine->shift[first + c], affine->least, affine->most)
                                : row[c];
        least[c] = value < least[c] ? value : least[c];
        most[c] = value > most[c] ? value : most[c];
        square[c] += value * value;
      }
    }
    for (int64_t c = 0; c < width; ++c) {
      facts.least = std::min(facts.least, least[c]);
      facts.most = std::max(facts.most, most[c]);
      facts.squares += static_cast<double>(square[c]);
    }
  }
}

INSTANTNET_EVERY_ISA
void backward_rows(const BackwardRows& what, int64_t rows, int64_t channels, const Affine& affine,
                   const GridRows* grid, RangeRule rule, double* range_gradient,
                   ChannelSums* sums) {
  const GridRows none;
  const GridRows& g = grid ? *grid : none;
  const bool masks = grid != nullptr && grid->mask_gradient;
  // A grid that masks nothing leaves gradients alone, and learns no range.
  if (!masks && sums)
    return backward_body<false, false, RangeRule::None, true>(what, rows, channels, affine, g,
                                                              nullptr, sums);
  if (!masks)
    return backward_body<false, false, RangeRule::None, false>(what, rows, channels, affine, g,
                                                               nullptr, sums);
  if (grid->offset) {
    if (sums)
      return backward_body<true, true, RangeRule::None, true>(what, rows, channels, affine, g,
                                                              nullptr, sums);
    return backward_body<true, true, RangeRule::None, false>(what, rows, channels, affine, g,
                                                             nullptr, sums);
  }
  switch (rule) {
    case RangeRule::None:
      if (sums)
        return backward_body<true, false, RangeRule::None, true>(what, rows, channels, affine, g,
                                                                 nullptr, sums);
      return backward_body<true, false, RangeRule::None, false>(what, rows, channels, affine, g,
                                                                nullptr, sums);
    case RangeRule::Lsq:
      if (sums)
        return backward_body<true, false, RangeRule::Lsq, true>(what, rows, channels, affine, g,
                                                                range_gradient, sums);
      return backward_body<true, false, RangeRule::Lsq, false>(what, rows, channels, affine, g,
                                                               range_gradient, sums);
    case RangeRule::Pact:
      if (sums)
        return backward_body<true, false, RangeRule::Pact, true>(what, rows, channels, affine, g,
                                                                 range_gradient, sums);
      return backward_body<true, false, RangeRule::Pact, false>(what, rows, channels, affine, g,
                                                                range_gradient, sums);
  }
}

INSTANTNET_EVERY_ISA
void norm_backward_rows(const float* gradient, const float* x, float* out, int64_t rows,
                        int64_t channels, const NormBackward& norm) {
  const float* a = norm.a.data();
  const float* b = norm.b.data();
  const float* shift = norm.c.data();
  const float* mean = norm.mean.data();
  for (int64_t r = 0; r < rows; ++r) {
    const float* g = gradient + r * channels;
    const float* row = x + r * channels;
    float* to = out + r * channels;
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c)
      to[c] = a[c] * g[c] + (b[c] * (row[c] - mean[c]) + shift[c]);
  }
}

INSTANTNET_EVERY_ISA
void add_rows(const std::vector<AddInput>& inputs, float* out, int64_t rows, int64_t channels,
              float least, float most) {
  for (int64_t r = 0; r < rows; ++r) {
    float* to = out + r * channels;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const float* from = inputs[i].data + r * channels;
      const Affine& affine = inputs[i].affine;
      const bool first = i == 0;
      if (affine.scale == nullptr) {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) to[c] = first ? from[c] : to[c] + from[c];
      } else {
#pragma GCC ivdep
        for (int64_t c = 0; c < channels; ++c) {
          const float y =
              activated(from[c], affine.scale[c], affine.shift[c], affine.least, affine.most);
          to[c] = first ? y : to[c] + y;
        }
      }
    }
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) to[c] = clamped(to[c], least, most);
  }
}

INSTANTNET_EVERY_ISA
void mask_rows(float* gradient, const float* out, int64_t rows, int64_t channels, float least,
               float most) {
#pragma GCC ivdep
  for (int64_t i = 0; i < rows * channels; ++i)
    gradient[i] = out[i] > least && out[i] < most ? gradient[i] : 0.0F;
}

INSTANTNET_EVERY_ISA
void reduce_rows(const float* gradient, const float* x, const float* pivot, float* masked,
                 int64_t rows, int64_t channels, const Affine& affine, ChannelSums& sums) {
  for (int64_t first = 0; first < channels; first += kBlock) {
    const int64_t width = std::min(kBlock, channels - first);
    float sum[kBlock], square[kBlock];
    for (int64_t c = 0; c < width; ++c) sum[c] = square[c] = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t row = r * channels + first;
#pragma GCC ivdep
      for (int64_t c = 0; c < width; ++c) {
        const float value = x[row + c];
        const float raw = value * affine.scale[first + c] + affine.shift[first + c];
        const float passed = raw > affine.least && raw < affine.most ? gradient[row + c] : 0.0F;
        sum[c] += passed;
        square[c] += passed * (value - pivot[first + c]);
        if (masked) masked[row + c] = passed;
      }
    }
    for (int64_t c = 0; c < width; ++c) {
      sums.sum[static_cast<size_t>(first + c)] += static_cast<double>(sum[c]);
      sums.square[static_cast<size_t>(first + c)] += static_cast<double>(square[c]);
    }
  }
}

INSTANTNET_EVERY_ISA
void average_rows(const float* x, float* out, int64_t rows, int64_t channels,
                  const Affine& affine) {
  for (int64_t c = 0; c < channels; ++c) out[c] = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * channels;
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c)
      out[c] += activated(row[c], affine.scale[c], affine.shift[c], affine.least, affine.most);
  }
  const float share = 1.0F / static_cast<float>(rows);
  for (int64_t c = 0; c < channels; ++c) out[c] *= share;
}

INSTANTNET_EVERY_ISA
void spread_rows(const float* gradient, const float* x, float* target, bool accumulate,
                 int64_t rows, int64_t channels, const Affine& affine) {
  const float share = 1.0F / static_cast<float>(rows);
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * channels;
    float* to = target + r * channels;
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) {
      const float raw = row[c] * affine.scale[c] + affine.shift[c];
      const float passed = raw > affine.least && raw < affine.most ? gradient[c] * share : 0.0F;
      to[c] = accumulate ? to[c] + passed : passed;
    }
  }
}

INSTANTNET_EVERY_ISA
void shuffle_rows(const float* in, float* out, int64_t rows, int64_t channels, int64_t groups,
                  const Affine& affine) {
  const int64_t each = channels / groups;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t first = g * each;
      const float* from = in + r * channels + first;
      float* to = out + r * channels + g;
      for (int64_t c = 0; c < each; ++c)
        to[c * groups] = activated(from[c], affine.scale[first + c], affine.shift[first + c],
                                   affine.least, affine.most);
    }
}

INSTANTNET_EVERY_ISA
void unshuffle_rows(const float* gradient, float* target, bool accumulate, int64_t rows,
                    int64_t channels, int64_t groups) {
  const int64_t each = channels / groups;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t g = 0; g < groups; ++g) {
      const float* from = gradient + r * channels + g;
      float* to = target + r * channels + g * each;
      for (int64_t c = 0; c < each; ++c)
        to[c] = accumulate ? to[c] + from[c * groups] : from[c * groups];
    }
}

INSTANTNET_EVERY_ISA
double scaled_into(float* target, const float* gradient, float factor, bool accumulate,
                   const float* x, int64_t n) {
  double total = 0;
  for (int64_t first = 0; first < n; first += kBlock) {
    const int64_t width = std::min(kBlock, n - first);
    float products[kBlock];
#pragma GCC ivdep
    for (int64_t i = 0; i < width; ++i) {
      const float g = gradient[first + i];
      const float scaled = factor * g;
      target[first + i] = accumulate ? target[first + i] + scaled : scaled;
      products[i] = g * x[first + i];
    }
    float sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += products[i];
    total += static_cast<double>(sum);
  }
  return total;
}

INSTANTNET_EVERY_ISA
void add_into(float* a, const float* b, int64_t n) {
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) a[i] += b[i];
}

}  // namespace instantnet::nn
