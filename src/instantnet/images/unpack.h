// The bytes of a file in order, unpacked on the way when it is gzip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace instantnet::images {

/// Reads a plain file, or a gzip file (RFC 1952, recognised by its first two bytes).
class ByteReader {
 public:
  /// Error when the file cannot be read.
  explicit ByteReader(const std::string& path);
  ~ByteReader();
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;

  /// Fills `to` with `size` bytes and returns how many there were: fewer only at the end of the
  /// file. Error (packed and unpacked offset) when a gzip stream is cut short, damaged or followed
  /// by something else.
  size_t read(uint8_t* to, size_t size);

  /// How many bytes were read so far, unpacked.
  uint64_t offset() const;

  /// No more than this many unpacked bytes can come, so that a header's claim can be refused before
  /// memory is taken.
  uint64_t most_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace instantnet::images
