#include "instantnet/runtime/avx512_kernels.h"

#include "instantnet/runtime/avx512_box.h"
#include "instantnet/runtime/avx512_combine.h"
#include "instantnet/runtime/avx512_dense.h"
#include "instantnet/runtime/avx512_depthwide.h"
#include "instantnet/runtime/avx512_depthwise.h"
#include "instantnet/runtime/avx512_float.h"

namespace instantnet::runtime {

namespace {

enum class Way { Dense, Depthwise, Depthwide, Portable };

Way way_of(const ConvProblem& problem) {
  const int64_t window = int64_t{problem.shape.kernel_height} * problem.shape.kernel_width;
  if (window > kMostWindow) return Way::Portable;
  if (avx512::takes_depthwise(problem)) return Way::Depthwise;
  return problem.shape.depthwise() ? Way::Depthwide : Way::Dense;
}

class Avx512Kernels : public Kernels {
 public:
  std::string_view name() const override { return "avx512-vnni"; }

  size_t packed_bytes(const ConvProblem& problem) const override {
    switch (way_of(problem)) {
      case Way::Dense:
        return avx512::dense_packed_bytes(problem);
      case Way::Depthwise:
        return avx512::depthwise_packed_bytes(problem);
      case Way::Depthwide:
        return avx512::depthwide_packed_bytes(problem);
      case Way::Portable:
        break;
    }
    return Kernels::packed_bytes(problem);
  }

  void pack(const ConvProblem& problem, const WeightSource& weights,
            std::byte* packed) const override {
    switch (way_of(problem)) {
      case Way::Dense:
        return avx512::dense_pack(problem, weights, packed);
      case Way::Depthwise:
        return avx512::depthwise_pack(problem, weights, packed);
      case Way::Depthwide:
        return avx512::depthwide_pack(problem, weights, packed);
      case Way::Portable:
        break;
    }
    Kernels::pack(problem, weights, packed);
  }

  size_t scratch_bytes(const ConvProblem& problem) const override {
    switch (way_of(problem)) {
      case Way::Dense:
        return avx512::dense_scratch_bytes(problem);
      case Way::Depthwise:
        return avx512::depthwise_scratch_bytes(problem);
      case Way::Depthwide:
        return 0;
      case Way::Portable:
        break;
    }
    return Kernels::scratch_bytes(problem);
  }

  void convolve(const ConvProblem& problem, const ConvCall& call, const Part& part,
                const Memory& memory) const override {
    switch (way_of(problem)) {
      case Way::Dense:
        return avx512::dense_convolve(problem, call, part, memory);
      case Way::Depthwise:
        return avx512::depthwise_convolve(problem, call, part, memory);
      case Way::Depthwide:
        return avx512::depthwide_convolve(problem, call, part, memory);
      case Way::Portable:
        break;
    }
    Kernels::convolve(problem, call, part, memory);
  }

  void float_convolve(const ConvShape& shape, const FloatCall& call, const Part& part,
                      const Memory& memory) const override {
    if (avx512::takes_float(shape)) return avx512::float_convolve(shape, call, part, memory.arena);
    Kernels::float_convolve(shape, call, part, memory);
  }

  void combine(const CombineCall& call, const Part& part, std::byte* arena) const override {
    avx512::combine(call, part, arena);
  }
};

}  // namespace

const Kernels* avx512_kernels() {
  static const Avx512Kernels set;
  const bool there = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                     __builtin_cpu_supports("avx512vnni");
  return there ? &set : nullptr;
}

}  // namespace instantnet::runtime
