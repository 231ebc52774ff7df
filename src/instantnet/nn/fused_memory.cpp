#include "instantnet/nn/fused_memory.h"

#include <sys/mman.h>
#include <torch/torch.h>

#include <cstdlib>
#include <new>

namespace instantnet::nn {

namespace {

/// Memory for floats on large pages where the system has them: a minibatch's tensors are read once
/// from end to end, and small pages cost a translation each.
at::Tensor large_page_floats(int64_t count) {
  constexpr size_t kPage = size_t{2} << 20;
  const size_t bytes = (static_cast<size_t>(count) * sizeof(float) + kPage - 1) / kPage * kPage;
  if (bytes < 2 * kPage) return at::empty({count}, at::kFloat);
  void* memory = std::aligned_alloc(kPage, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: nothing depends on it
  return at::from_blob(
      memory, {count}, [](void* address) { std::free(address); }, at::TensorOptions(at::kFloat));
}

}  // namespace

at::Tensor Pool::take(const std::vector<int64_t>& shape) {
  int64_t floats = 1;
  for (const int64_t size : shape) floats *= size;
  const auto found = free_.lower_bound(floats);
  at::Tensor flat;
  if (found != free_.end() && found->first <= floats + floats / 2) {
    flat = std::move(found->second);
    free_.erase(found);
  } else {
    flat = large_page_floats(floats);
  }
  const at::Tensor front = flat.narrow(0, 0, floats);
  at::Tensor shaped =
      shape.size() == 4 ? front.view({shape[0], shape[2], shape[3], shape[1]}).permute({0, 3, 1, 2})
                        : front.view(shape);
  taken_[shaped.data_ptr()] = flat;
  return shaped;
}

void Pool::give(at::Tensor& tensor) {
  if (!tensor.defined()) return;
  const auto found = taken_.find(tensor.data_ptr());
  if (found != taken_.end()) {
    free_.emplace(found->second.numel(), std::move(found->second));
    taken_.erase(found);
  }
  tensor = at::Tensor();
}

float* aligned(std::vector<float>& room, int64_t count) {
  if (room.size() < static_cast<size_t>(count) + 16) room.resize(static_cast<size_t>(count) + 16);
  const auto address = reinterpret_cast<uintptr_t>(room.data());
  return room.data() + (64 - address % 64) % 64 / sizeof(float);
}

}  // namespace instantnet::nn
