#include "instantnet/cli/torch/npy.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <bit>

namespace instantnet::cli {

static_assert(std::endian::native == std::endian::little, "'<f4' below");

std::string npy_bytes(const at::Tensor& tensor) {
  std::string shape = fmt::format("{}", fmt::join(tensor.sizes(), ", "));
  if (tensor.dim() == 1) shape += ",";  // a tuple of Python
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape);
  constexpr size_t kBefore = 10, kAlign = 64;  // magic, version and header length come before
  const size_t whole = (kBefore + header.size() + 1 + kAlign - 1) / kAlign * kAlign;
  header.resize(whole - kBefore - 1, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  const at::Tensor plain = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  return bytes.append(static_cast<const char*>(plain.data_ptr()), plain.nbytes());
}

}  // namespace instantnet::cli
