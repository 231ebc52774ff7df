// A checksum as fast as memory, for finding what happened to a file by accident. It is no
// protection against someone who wants another file with the same checksum; sha256 is.
#pragma once

#include <cstdint>
#include <string_view>

namespace instantnet {

/// 64 bits over all bytes and their number. A change within one of the 8-byte words that the bytes
/// are cut into always changes it; any other change does but for a coincidence.
///
/// Word number i, little-endian, goes to lane i mod 8: x = (lane ^ word) * K, lane = (x ^ (x >>
/// 32))
/// * L, a one-to-one step both in the lane and in the word. The last word is filled up with zeros.
/// At the end the number of bytes and the lanes go through the same step one after the other.
uint64_t checksum(std::string_view bytes);

}  // namespace instantnet
