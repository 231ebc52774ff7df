#include "instantnet/core/checksum.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "instantnet/core/rng.h"

namespace instantnet {
namespace {

std::string random_bytes(Rng& rng, size_t count) {
  std::string bytes;
  while (bytes.size() < count) bytes += static_cast<char>(rng.next());
  return bytes;
}

/// A word at a time, as the header describes it.
uint64_t slow_checksum(const std::string& bytes) {
  const auto step = [](uint64_t lane, uint64_t word) {
    const uint64_t product = (lane ^ word) * 0x9E3779B97F4A7C15;
    return (product ^ product >> 32) * 0xC4CEB9FE1A85EC53;
  };
  std::vector<uint64_t> lanes = {1, 2, 3, 4, 5, 6, 7, 8};
  for (size_t i = 0; 8 * i < bytes.size(); ++i) {
    uint64_t word = 0;
    for (size_t byte = 0; byte < 8 && 8 * i + byte < bytes.size(); ++byte)
      word += uint64_t{static_cast<unsigned char>(bytes[8 * i + byte])} << 8 * byte;
    lanes[i % 8] = step(lanes[i % 8], word);
  }
  uint64_t sum = step(0, bytes.size());
  for (const uint64_t lane : lanes) sum = step(sum, lane);
  sum = (sum ^ sum >> 32) * 0x9E3779B97F4A7C15;
  return sum ^ sum >> 29;
}

TEST(Checksum, IsTheSlowOneForEveryLength) {
  Rng rng(1);
  for (size_t length = 0; length < 300; ++length) {
    const std::string bytes = random_bytes(rng, length);
    EXPECT_EQ(checksum(bytes), slow_checksum(bytes)) << "seed 1, length " << length;
  }
}

TEST(Checksum, IsTheSameOnEveryMachine) { EXPECT_EQ(checksum("instantnet"), 0xC4C2AD8B99E4208U); }

TEST(Checksum, ChangesWithEveryBitAndWithEveryZeroAtTheEnd) {
  Rng rng(2);
  const std::string bytes = random_bytes(rng, 333);
  std::set<uint64_t> seen = {checksum(bytes)};
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    EXPECT_TRUE(seen.insert(checksum(changed)).second) << "bit " << bit;
  }
  for (size_t zeros = 1; zeros < 200; ++zeros)
    EXPECT_TRUE(seen.insert(checksum(bytes + std::string(zeros, '\0'))).second) << zeros;
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_TRUE(seen.insert(checksum(bytes.substr(0, length))).second) << length;
}

void flip(std::string& bytes, size_t bit) {
  bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
}

/// The three contents in which flips were once lost: zeros, small codes, anything.
std::vector<std::string> contents(size_t count) {
  Rng rng(3);
  std::vector<std::string> all = {std::string(count, '\0'), random_bytes(rng, count),
                                  random_bytes(rng, count)};
  for (char& byte : all[1]) byte = static_cast<char>(byte & 3);
  return all;
}

TEST(Checksum, ChangesWithAnyTwoBitsOfThreeBlocks) {
  for (std::string bytes : contents(3 * 64)) {
    const uint64_t sum = checksum(bytes);
    size_t lost = 0;
    for (size_t a = 0; a < 8 * bytes.size(); ++a) {
      flip(bytes, a);
      for (size_t b = a + 1; b < 8 * bytes.size(); ++b) {
        flip(bytes, b);
        if (checksum(bytes) == sum) ++lost;
        flip(bytes, b);
      }
      flip(bytes, a);
    }
    EXPECT_EQ(lost, 0u);
  }
}

/// Word i + 8 meets in a lane what word i has left there.
TEST(Checksum, ChangesWithAnyThreeBitsOfTwoWordsOfALane) {
  for (std::string bytes : contents(2 * 64)) {
    const uint64_t sum = checksum(bytes);
    std::vector<size_t> bits;
    for (size_t bit = 0; bit < 64; ++bit) bits.insert(bits.end(), {bit, bit + 512});
    size_t lost = 0;
    for (size_t a = 0; a < bits.size(); ++a)
      for (size_t b = a + 1; b < bits.size(); ++b)
        for (size_t c = b + 1; c < bits.size(); ++c) {
          for (const size_t bit : {bits[a], bits[b], bits[c]}) flip(bytes, bit);
          if (checksum(bytes) == sum) ++lost;
          for (const size_t bit : {bits[a], bits[b], bits[c]}) flip(bytes, bit);
        }
    EXPECT_EQ(lost, 0u);
  }
}

TEST(Checksum, ChangesWithManyThreesAndFoursOfBitsAnywhere) {
  Rng rng(4);
  for (std::string bytes : contents(3 * 64)) {
    const uint64_t sum = checksum(bytes);
    size_t lost = 0;
    for (int i = 0; i < 1'000'000; ++i) {
      std::set<size_t> bits;
      while (bits.size() < 3 + static_cast<size_t>(i % 2))
        bits.insert(rng.next() % (8 * bytes.size()));
      for (const size_t bit : bits) flip(bytes, bit);
      if (checksum(bytes) == sum) ++lost;
      for (const size_t bit : bits) flip(bytes, bit);
    }
    EXPECT_EQ(lost, 0u) << "seed 4";
  }
}

TEST(Checksum, ChangesWhenWordsTradePlaces) {
  std::string bytes;
  for (char word = 0; word < 40; ++word) bytes += std::string(8, word);
  std::set<uint64_t> seen = {checksum(bytes)};
  for (size_t a = 0; a < 40; ++a)
    for (size_t b = a + 1; b < 40; ++b) {
      std::string changed = bytes;
      for (size_t i = 0; i < 8; ++i) std::swap(changed[8 * a + i], changed[8 * b + i]);
      EXPECT_TRUE(seen.insert(checksum(changed)).second) << a << " and " << b;
    }
}

}  // namespace
}  // namespace instantnet
