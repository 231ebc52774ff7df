#include "instantnet/runtime/raw_bytes.h"

#include <sys/mman.h>

#include <new>

namespace instantnet::runtime {
namespace {

constexpr size_t kAlign = 64, kLargePage = size_t{1} << 21;

}  // namespace

RawBytes::RawBytes(size_t size)
    : size_(size),
      align_(size < kLargePage ? kAlign : kLargePage),
      data_(static_cast<std::byte*>(::operator new (size, std::align_val_t{align_}))) {
#ifdef MADV_HUGEPAGE
  // Whole pages only: a last one that is mostly empty would take memory for nothing. A wish; what
  // the system answers does not matter.
  if (align_ == kLargePage) ::madvise(data_, size / kLargePage * kLargePage, MADV_HUGEPAGE);
#endif
}

RawBytes::~RawBytes() { ::operator delete (data_, std::align_val_t{align_}); }

}  // namespace instantnet::runtime
