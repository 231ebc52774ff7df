// Element-wise passes of the fused executor, over rows of channels (NHWC): each reads a chunk once
// and does all that is due. Plain loops, compiled for AVX-512, AVX2 and the base instruction set
// and chosen when the program starts; without fused multiply-add, so that all three give the same
// bits.
//
// In all of them `rows` counts pixels, `channels` values a row, and per-channel arrays have
// `channels` entries.
#pragma once

#include <cstdint>
#include <vector>

namespace instantnet::nn {

/// How a stored value becomes the activation y = clamp(x * scale + shift, least, most): batch norm
/// (or bias) and ReLU.
struct Affine {
  const float* scale = nullptr;
  const float* shift = nullptr;
  float least = 0, most = 0;  // -inf, inf without activation; 0, inf ReLU; 0, 6 ReLU6
};

/// How an activation becomes its value on the grid (quant::Grid), expanded per channel.
struct GridRows {
  bool offset =
      false;  // float zero point: position = (y - low) / division, value = code * step + zero
  const float* low = nullptr;
  const float* division = nullptr;
  const float* inverse = nullptr;  // otherwise position = y * inverse, value = code * step
  const float* step = nullptr;
  const float* zero = nullptr;
  float least = 0, most = 0;
  bool mask_gradient = true;
};

/// Sums over rows of one channel, in double across chunks.
struct ChannelSums {
  std::vector<double> sum, square;  // of x - pivot
  std::vector<float> least, most;   // of x
  void reset(int64_t channels);
  void add(const ChannelSums& other);
};

/// out = grid(affine(in)); without a grid out = affine(in). in may be out.
void apply_rows(const float* in, float* out, int64_t rows, int64_t channels, const Affine& affine,
                const GridRows* grid);

/// Adds the sums of x - pivot and its square, and the extremes of x, over rows.
void observe_rows(const float* x, const float* pivot, int64_t rows, int64_t channels,
                  ChannelSums& sums);

/// Extremes of x over everything and mean of squares, for ranges.
struct RowFacts {
  float least = 0, most = 0;
  double squares = 0;
};
void facts_of_rows(const float* x, int64_t rows, int64_t channels, const Affine* affine,
                   RowFacts& facts);

/// Which gradient a learned range gets.
enum class RangeRule { None, Lsq, Pact };

/// Turns the gradient of a layer's input values into the gradient of y, masked by the grid and by
/// the activation:
///   g(y) = g(value) * [least <= position <= most] * [y strictly inside the activation's clamp].
/// With `sums`: also adds sum of g(y) and of g(y) * (x - pivot). `range_gradient` gets the sum for
/// the range under `rule`. target = g(y), or target += g(y) when `accumulate`. g may be target.
struct BackwardRows {
  const float* x = nullptr;         // what was stored
  const float* gradient = nullptr;  // of the grid's values
  float* target = nullptr;
  bool accumulate = false;
  const float* pivot = nullptr;  // with sums
};
void backward_rows(const BackwardRows& what, int64_t rows, int64_t channels, const Affine& affine,
                   const GridRows* grid, RangeRule rule, double* range_gradient, ChannelSums* sums);

/// Batch norm backward: out = a * g + b * (x - mean) + c per channel.
struct NormBackward {
  std::vector<float> a, b, c, mean;
};
void norm_backward_rows(const float* gradient, const float* x, float* out, int64_t rows,
                        int64_t channels, const NormBackward& norm);

/// out = affine_1(in_1) + affine_2(in_2) + ..., clamped to [least, most].
struct AddInput {
  const float* data = nullptr;
  Affine affine;
};
void add_rows(const std::vector<AddInput>& inputs, float* out, int64_t rows, int64_t channels,
              float least, float most);

/// gradient *= [least < out < most]: the activation behind an Add.
void mask_rows(float* gradient, const float* out, int64_t rows, int64_t channels, float least,
               float most);

/// Sum of g * [activation open] and of the same times (x - pivot), where y = affine(x); writes the
/// masked gradient when `masked` is not null.
void reduce_rows(const float* gradient, const float* x, const float* pivot, float* masked,
                 int64_t rows, int64_t channels, const Affine& affine, ChannelSums& sums);

/// out[c] = mean over rows of affine(x): global average pooling of one image.
void average_rows(const float* x, float* out, int64_t rows, int64_t channels, const Affine& affine);

/// target (+)= gradient[c] / rows * [activation open]: its backward pass.
void spread_rows(const float* gradient, const float* x, float* target, bool accumulate,
                 int64_t rows, int64_t channels, const Affine& affine);

/// out = affine(in) with channels in the order of ShuffleNet's shuffle: (g, c/g) transposed.
void shuffle_rows(const float* in, float* out, int64_t rows, int64_t channels, int64_t groups,
                  const Affine& affine);

/// Its backward pass for the permutation alone: target (+)= gradient, channels put back.
void unshuffle_rows(const float* gradient, float* target, bool accumulate, int64_t rows,
                    int64_t channels, int64_t groups);

/// target = factor * gradient, or target += factor * gradient when `accumulate`; returns the sum of
/// gradient * x. n numbers.
double scaled_into(float* target, const float* gradient, float factor, bool accumulate,
                   const float* x, int64_t n);

/// a += b over n numbers.
void add_into(float* a, const float* b, int64_t n);

}  // namespace instantnet::nn
