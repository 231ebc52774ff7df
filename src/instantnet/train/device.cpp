#include "instantnet/train/device.h"

#include <fmt/format.h>
#include <torch/cuda.h>

#include <charconv>
#include <cstdint>
#include <optional>
#include <system_error>

#include "instantnet/core/error.h"

namespace instantnet::train {
namespace {

/// 0 of "cuda", N of "cuda:N"; nothing of any other name.
std::optional<int64_t> cuda_number(std::string_view name) {
  constexpr std::string_view kCuda = "cuda";
  if (name == kCuda) return 0;
  if (!name.starts_with("cuda:")) return std::nullopt;
  name.remove_prefix(kCuda.size() + 1);
  int64_t number = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool whole = error == std::errc() && end == name.data() + name.size() && number >= 0;
  return whole ? std::optional(number) : std::nullopt;
}

}  // namespace

void check_device(const std::string& name, std::string_view where) {
  if (name == "cpu") return;
  const std::optional<int64_t> number = cuda_number(name);
  if (!number)
    fail(where, fmt::format("there is no device '{}'; give cpu, cuda, or cuda:N.", name));
  const auto devices = static_cast<int64_t>(torch::cuda::device_count());
  if (devices == 0)
    fail(where,
         fmt::format("'{}' is asked for, but libtorch finds no CUDA device; give cpu, or use "
                     "a libtorch with CUDA on a machine that has a GPU.",
                     name));
  if (*number >= devices)
    fail(where, fmt::format("'{}' is asked for, but there are only cuda:0 to cuda:{}.", name,
                            devices - 1));
}

}  // namespace instantnet::train
