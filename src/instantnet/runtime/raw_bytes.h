// Large memory that is written once.
#pragma once

#include <cstddef>

namespace instantnet::runtime {

/// Bytes that nobody has set, at a multiple of 64. Where the system has large pages, large memory
/// is on them: a page fault for each 4 KiB can take longer than writing them.
class RawBytes {
 public:
  /// std::bad_alloc when memory runs out.
  explicit RawBytes(size_t size);
  ~RawBytes();
  RawBytes(const RawBytes&) = delete;
  RawBytes& operator=(const RawBytes&) = delete;

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  size_t size_, align_;
  std::byte* data_;
};

}  // namespace instantnet::runtime
