#include "instantnet/runtime/file_bytes.h"

#include <fmt/format.h>

#include <algorithm>

#include "instantnet/core/error.h"

namespace instantnet::runtime {

std::vector<float> ByteReader::floats() {
  const auto count = number<uint32_t>();
  return numbers<float>(count);
}

void ByteReader::align(size_t to) {
  const std::string_view gap = take((to - at_ % to) % to);
  if (std::any_of(gap.begin(), gap.end(), [](char c) { return c != 0; }))
    fail_here("the bytes between two tables are not zero; the file was changed.");
}

void ByteReader::end() const {
  if (at_ != bytes_.size())
    fail_here(fmt::format("{} bytes are left over; this is no model file, or it was changed.",
                          bytes_.size() - at_));
}

void ByteReader::fail_here(std::string_view sentence) const {
  fail(fmt::format("{}, byte {}", where_, offset_ + at_), sentence);
}

std::string_view ByteReader::take(uint64_t count) { return take_many(count, 1); }

std::string_view ByteReader::take_many(uint64_t count, uint64_t each) {
  const size_t left = bytes_.size() - at_;
  if (count > left / each)
    fail_here(fmt::format("{} values of {} bytes should follow, but only {} bytes do.", count, each,
                          left));
  const std::string_view taken = bytes_.substr(at_, count * each);
  at_ += taken.size();
  return taken;
}

}  // namespace instantnet::runtime
