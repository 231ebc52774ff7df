// Bit-widths: which a network can run at, and which a layer runs at.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace instantnet {

/// Bits of weights and of input activations of a layer; 32 means float32, not quantized.
struct Precision {
  int weight = 32;
  int activation = 32;

  bool is_float() const { return weight == 32 && activation == 32; }
  bool operator==(const Precision&) const = default;
};

/// "8" for {8, 8}, "w4a32" when the two differ.
std::string to_string(Precision precision);

/// The inverse. Error (prefix `where`) unless each is 1..16 or 32.
Precision parse_precision(std::string_view text, std::string_view where);

/// Error unless bits are ascending, without repeats, each 1..16 or 32, and at least one.
void check_bits(const std::vector<int>& bits, std::string_view where);

}  // namespace instantnet
