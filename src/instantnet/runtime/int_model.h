// A frozen network: integers for every bit-width, as plain values. docs/integer-model.md says what
// they mean; prepare.h turns them into what kernels run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "instantnet/net/precision.h"
#include "instantnet/net/spec.h"
#include "instantnet/runtime/numbers.h"

namespace instantnet::runtime {

/// How weight codes lie (docs/integer-model.md, equations 1 and 2).
enum class Lattice : uint8_t {
  Nested,  // odd multiples of range / 2^b about zero; narrow codes are the wide one's leading bits
  Sbm,     // 2^b - 1 steps from the lowest weight (Banner et al., NeurIPS 2018)
};

/// What the layer's input codes mean.
enum class InputKind : uint8_t {
  Image,     // 8-bit pixels, normalised; only layers that read the network's input
  Unsigned,  // 0 .. 2^a - 1 from real zero
  Signed,    // symmetric about zero
  Offset,    // 0 .. 2^a - 1 from `low`
};

/// What one layer has for one bit-width.
struct LayerWidth {
  int bits = 0;                     // of the network: one entry for each of IntModel::bits below 32
  std::vector<float> scale, shift;  // (k): y = scale * sum + shift
  /// Of the input activations at this width; one number, or one a channel. Empty for images.
  std::vector<float> low, range;  // low only for InputKind::Offset
  bool operator==(const LayerWidth&) const = default;
};

/// One convolution or linear layer. Node::bits of the spec says at which width it runs: 0 as the
/// network, 32 here means 16-bit codes (and 16-bit input activations, or pixels), else that width.
struct IntLayer {
  std::string node;  // its name in the spec
  Lattice lattice = Lattice::Nested;
  InputKind input = InputKind::Unsigned;
  int master_bits = 8;      // 8 or 16
  Numbers<uint16_t> codes;  // (k, r, s, c / groups); linear (k, c)
  /// (k): nested: range c. sbm: lowest weight and range.
  std::vector<float> low, range;
  std::vector<LayerWidth> widths;  // ascending
  bool operator==(const IntLayer&) const = default;
};

/// The float32 network for the 32-bit width: weights, and the affine behind each layer.
struct FloatLayer {
  Numbers<float> weights;           // as IntLayer::codes
  std::vector<float> scale, shift;  // (k)
  bool operator==(const FloatLayer&) const = default;
};

/// How pixels (0..255) become what the network was trained on: x = (p / 255 - mean) / deviation,
/// one pair a channel.
struct Normalisation {
  std::vector<float> mean, deviation;
  bool operator==(const Normalisation&) const = default;
};

struct IntModel {
  NetworkSpec spec;
  std::vector<int> bits;  // ascending; 32 only with a float section
  Normalisation normalisation;
  std::vector<IntLayer> layers;      // by the order of the spec's layers
  std::vector<FloatLayer> floats;    // the same order, or empty
  std::vector<std::string> classes;  // names, or empty
  std::string origin;                // where it came from: checkpoint, data set, program version
  bool operator==(const IntModel&) const = default;
};

/// Error naming the layer for everything that cannot be run: wrong counts, ranges that are not
/// finite or not positive, codes out of range, widths that are missing, a spec that check(spec)
/// refuses.
void check(const IntModel& model);

/// model.spnet: little-endian, sections aligned to 64 bytes, each with its length and checksum;
/// written to a temporary file and renamed. read_model(write_model(m)) == m.
void write_model(const IntModel& model, const std::string& path);
/// Error with the section and offset for a file that is cut short, changed, of a newer version or
/// not a model. Never reads or allocates more than the file's own size allows. The file is mapped,
/// and the model's large tables lie in the mapping: while the model or a copy of it lives the file
/// may be renamed, removed or replaced (write_model does), but not changed or cut in place.
IntModel read_model(const std::string& path);

/// What a file holds, for `instantnet inspect`: each section's name, place and checksum.
struct FileSection {
  std::string name;
  uint64_t offset = 0, bytes = 0;
  uint64_t checksum = 0;
  std::string sha256;  // from sections(path): of its bytes, as they are now
};
std::vector<FileSection> sections(const std::string& path);

}  // namespace instantnet::runtime
