#include "instantnet/core/checksum.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace instantnet {
namespace {

constexpr size_t kLanes = 8, kWord = 8, kBlock = kLanes * kWord;
/// Odd: 2^64 divided by the golden ratio, and a factor of MurmurHash3's last steps (Appleby 2011).
constexpr uint64_t kFactor = 0x9E3779B97F4A7C15, kSecond = 0xC4CEB9FE1A85EC53;

using Lanes = std::array<uint64_t, kLanes>;

uint64_t step(uint64_t state, uint64_t word) {
  const uint64_t mixed = (state ^ word) * kFactor;
  // The high half reaches the low one. Without the second product a change of the highest bit would
  // end as a change of just two bits, whatever the rest is, and two more flips would undo it.
  return (mixed ^ mixed >> 32) * kSecond;
}

uint64_t word_at(const char* from) {
  uint64_t word = 0;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(&word, from, kWord);
  } else {
    for (size_t i = 0; i < kWord; ++i)
      word |= uint64_t{static_cast<unsigned char>(from[i])} << (8 * i);
  }
  return word;
}

/// A block for each kBlock bytes; the lanes are independent chains, which hides their latency.
void add_blocks(const char* from, size_t blocks, Lanes& lanes) {
  Lanes local = lanes;
  for (; blocks > 0; --blocks, from += kBlock)
    for (size_t i = 0; i < kLanes; ++i) local[i] = step(local[i], word_at(from + i * kWord));
  lanes = local;
}

}  // namespace

uint64_t checksum(std::string_view bytes) {
  Lanes lanes = {1, 2, 3, 4, 5, 6, 7, 8};
  const size_t blocks = bytes.size() / kBlock;
  add_blocks(bytes.data(), blocks, lanes);
  bytes.remove_prefix(blocks * kBlock);
  for (size_t i = 0; i * kWord < bytes.size(); ++i) {
    std::array<char, kWord> last{};
    std::memcpy(last.data(), bytes.data() + i * kWord, std::min(kWord, bytes.size() - i * kWord));
    lanes[i] = step(lanes[i], word_at(last.data()));
  }
  uint64_t sum = step(0, blocks * kBlock + bytes.size());
  for (const uint64_t lane : lanes) sum = step(sum, lane);
  sum = (sum ^ sum >> 32) * kFactor;
  return sum ^ sum >> 29;
}

}  // namespace instantnet
