// A set of kernels for the register type V. Where the templates are compiled for more than the rest
// of the program, they were included before.
#pragma once

#include <string_view>

#include "instantnet/runtime/kernel.h"
#include "instantnet/runtime/simd_dense.h"
#include "instantnet/runtime/simd_depthwise.h"
#include "instantnet/runtime/simd_rest.h"

namespace instantnet::runtime::simd {

template <class V>
class SimdKernels : public Kernels {
 public:
  std::string_view name() const override { return V::kName; }

  size_t packed_bytes(const ConvProblem& problem) const override {
    switch (way_of(problem)) {
      case Way::Dense:
        return dense_packed_bytes<V>(problem);
      case Way::Depthwise:
        return depthwise_packed_bytes<V>(problem);
      case Way::Portable:
        break;
    }
    return Kernels::packed_bytes(problem);
  }

  void pack(const ConvProblem& problem, const WeightSource& weights,
            std::byte* packed) const override {
    switch (way_of(problem)) {
      case Way::Dense:
        return dense_pack<V>(problem, weights, packed);
      case Way::Depthwise:
        return depthwise_pack<V>(problem, weights, packed);
      case Way::Portable:
        break;
    }
    Kernels::pack(problem, weights, packed);
  }

  size_t scratch_bytes(const ConvProblem& problem) const override {
    switch (way_of(problem)) {
      case Way::Dense:
        return dense_scratch_bytes<V>(problem);
      case Way::Depthwise:
        return depthwise_scratch_bytes<V>(problem);
      case Way::Portable:
        break;
    }
    return Kernels::scratch_bytes(problem);
  }

  void convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                const Memory& memory) const override {
    switch (way_of(problem)) {
      case Way::Dense:
        return dense_convolve<V>(problem, call, part, memory);
      case Way::Depthwise:
        return depthwise_convolve<V>(problem, call, part, memory);
      case Way::Portable:
        break;
    }
    Kernels::convolve(problem, call, part, memory);
  }

  void float_convolve(const ConvShape& shape, const FloatCall& call, const Part& part,
                      const Memory& memory) const override {
    if (takes_float(shape)) return simd::float_convolve<V>(shape, call, part, memory.arena);
    Kernels::float_convolve(shape, call, part, memory);
  }

  void combine(const CombineCall& call, const Part& part, std::byte* arena) const override {
    simd::combine<V>(call, part, arena);
  }

 private:
  enum class Way { Dense, Depthwise, Portable };

  static Way way_of(const ConvProblem& problem) {
    const int64_t window = int64_t{problem.shape.kernel_height} * problem.shape.kernel_width;
    if (window > kMostWindow) return Way::Portable;
    if (takes_depthwise<V>(problem)) return Way::Depthwise;
    return problem.shape.depthwise() ? Way::Portable : Way::Dense;
  }
};

}  // namespace instantnet::runtime::simd
