#include "instantnet/nn/fused_depthwise.h"

#include <cstring>

#include "instantnet/nn/every_isa.h"

namespace instantnet::nn {
namespace {

/// kWide floats side by side; the compiler splits them where registers are shorter.
template <int kWide>
struct Wide {
  typedef float Lanes __attribute__((vector_size(kWide * sizeof(float))));
};
template <>
struct Wide<1> {
  typedef float Lanes;
};

/// Channels [first, first + kBlocks * kWide) of one kernel row.
template <int kKernel, int kWide, int kBlocks>
INSTANTNET_INLINE void kernel_row(const ConvolutionShape& s, const float* in, const float* gradient,
                                  int64_t first, int64_t r, float* out) {
  using Lanes = typename Wide<kWide>::Lanes;
  Lanes sums[kBlocks][kKernel] = {};
  const int64_t channels = s.in_channels;
  for (int64_t n = 0; n < s.images; ++n)
    for (int64_t y = 0; y < s.out_height; ++y) {
      const int64_t from = y * s.stride + r * s.dilation - s.padding;
      if (from < 0 || from >= s.in_height) continue;
      const float* row = in + (n * s.in_height + from) * s.in_width * channels + first;
      const float* at = gradient + (n * s.out_height + y) * s.out_width * channels + first;
      for (int64_t x = 0; x < s.out_width; ++x, at += channels) {
        Lanes g[kBlocks];
        for (int b = 0; b < kBlocks; ++b) std::memcpy(&g[b], at + b * kWide, sizeof(Lanes));
        const int64_t left = x * s.stride - s.padding;
#pragma GCC unroll 8
        for (int k = 0; k < kKernel; ++k) {
          const int64_t column = left + k * s.dilation;
          if (column < 0 || column >= s.in_width) continue;
#pragma GCC unroll 4
          for (int b = 0; b < kBlocks; ++b) {
            Lanes value;
            std::memcpy(&value, row + column * channels + b * kWide, sizeof(Lanes));
            sums[b][k] += g[b] * value;
          }
        }
      }
    }
  for (int k = 0; k < kKernel; ++k)
    for (int b = 0; b < kBlocks; ++b)
      std::memcpy(out + (r * kKernel + k) * channels + first + b * kWide, &sums[b][k],
                  sizeof(Lanes));
}

template <int kKernel>
INSTANTNET_INLINE void all_channels(const ConvolutionShape& s, const float* in,
                                    const float* gradient, float* out) {
  int64_t c = 0;
  for (; c + 32 <= s.in_channels; c += 32)
    for (int64_t r = 0; r < kKernel; ++r) kernel_row<kKernel, 16, 2>(s, in, gradient, c, r, out);
  for (; c + 16 <= s.in_channels; c += 16)
    for (int64_t r = 0; r < kKernel; ++r) kernel_row<kKernel, 16, 1>(s, in, gradient, c, r, out);
  for (; c + 8 <= s.in_channels; c += 8)
    for (int64_t r = 0; r < kKernel; ++r) kernel_row<kKernel, 8, 1>(s, in, gradient, c, r, out);
  for (; c < s.in_channels; ++c)
    for (int64_t r = 0; r < kKernel; ++r) kernel_row<kKernel, 1, 1>(s, in, gradient, c, r, out);
}

INSTANTNET_EVERY_ISA
void gradient3(const ConvolutionShape& s, const float* in, const float* gradient, float* out) {
  all_channels<3>(s, in, gradient, out);
}

INSTANTNET_EVERY_ISA
void gradient5(const ConvolutionShape& s, const float* in, const float* gradient, float* out) {
  all_channels<5>(s, in, gradient, out);
}

INSTANTNET_EVERY_ISA
void gradient7(const ConvolutionShape& s, const float* in, const float* gradient, float* out) {
  all_channels<7>(s, in, gradient, out);
}

}  // namespace

bool has_depthwise_gradient(const ConvolutionShape& shape) {
  const bool depthwise =
      shape.groups > 1 && shape.groups == shape.in_channels && shape.groups == shape.out_channels;
  return depthwise && (shape.kernel == 3 || shape.kernel == 5 || shape.kernel == 7);
}

void depthwise_weight_gradient(const ConvolutionShape& shape, const float* in,
                               const float* out_gradient, float* gradient) {
  if (shape.kernel == 3) return gradient3(shape, in, out_gradient, gradient);
  if (shape.kernel == 5) return gradient5(shape, in, out_gradient, gradient);
  gradient7(shape, in, out_gradient, gradient);
}

}  // namespace instantnet::nn
