// Little-endian numbers in and out of byte strings, on any machine; the reader trusts nothing.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "instantnet/runtime/numbers.h"

namespace instantnet::runtime {

/// Appends numbers to a string.
class ByteWriter {
 public:
  template <class T>
  void number(T value) {
    static_assert(std::is_integral_v<T>);
    for (size_t i = 0; i < sizeof(T); ++i)
      bytes_ += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i) & 0xFF);
  }
  void number(double value) { number(std::bit_cast<uint64_t>(value)); }
  /// Length, then the bytes.
  void text(std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    bytes_ += value;
  }
  /// Length, then the numbers.
  void floats(std::span<const float> values) {
    number(static_cast<uint32_t>(values.size()));
    for (const float value : values) number(std::bit_cast<uint32_t>(value));
  }
  void raw(std::string_view value) { bytes_ += value; }
  void align(size_t to) { bytes_.resize((bytes_.size() + to - 1) / to * to, '\0'); }

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Takes numbers off a section's front. Error (section, offset in the file) when it ends too early.
class ByteReader {
 public:
  /// `where` starts messages; `offset` is where `bytes` begin in the file.
  ByteReader(std::string_view bytes, std::string where, uint64_t offset)
      : bytes_(bytes), where_(std::move(where)), offset_(offset) {}

  template <class T>
  T number() {
    static_assert(std::is_integral_v<T>);
    const std::string_view from = take(sizeof(T));
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); ++i)
      value |= static_cast<uint64_t>(static_cast<unsigned char>(from[i])) << (8 * i);
    return static_cast<T>(value);
  }
  double real() { return std::bit_cast<double>(number<uint64_t>()); }
  std::string text() { return std::string(take(number<uint32_t>())); }
  std::vector<float> floats();
  /// `count` numbers of type T.
  template <class T>
  std::vector<T> numbers(uint64_t count) {
    const std::string_view from = take_many(count, sizeof(T));
    std::vector<T> values(count);
    if constexpr (std::endian::native == std::endian::little) {
      if (count > 0) std::memcpy(values.data(), from.data(), from.size());
    } else {
      ByteReader each(from, where_, offset_);
      for (T& value : values) {
        if constexpr (std::is_floating_point_v<T>)
          value = std::bit_cast<T>(each.number<uint32_t>());
        else
          value = each.number<T>();
      }
    }
    return values;
  }
  /// The same, left where they are if the machine can read them there and `keeper` keeps the bytes.
  template <class T>
  Numbers<T> stored(uint64_t count, const std::shared_ptr<const void>& keeper) {
    const auto address = reinterpret_cast<uintptr_t>(bytes_.data() + at_);
    if (std::endian::native != std::endian::little || keeper == nullptr ||
        address % alignof(T) != 0)
      return numbers<T>(count);
    const std::string_view from = take_many(count, sizeof(T));
    return {std::span(reinterpret_cast<const T*>(from.data()), count), keeper};
  }
  /// Skips to a multiple of `to` bytes from the section's start. Error unless the bytes are zeros.
  void align(size_t to);
  /// Error unless everything was taken.
  void end() const;
  [[noreturn]] void fail_here(std::string_view sentence) const;

 private:
  std::string_view take(uint64_t count);
  std::string_view take_many(uint64_t count, uint64_t each);

  std::string_view bytes_;
  std::string where_;
  uint64_t offset_;
  size_t at_ = 0;
};

}  // namespace instantnet::runtime
